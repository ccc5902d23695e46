"""What users' clocks do: set, late, exact but uneven; packets without events, odd sensors."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from streams import MS, STAMP, events_at, run

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.stats import left_out
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig

START = 5 * MS


def camera(encoding, late=lambda k: 0, n=1000, seq=lambda k: k):
    """n packets of 4 ms with 20 events each; `late` (ns) is how late the stamp of each is."""
    for k in range(n):
        base = START + k * 4 * MS
        data = encode(encoding, events_at(base + np.arange(20) * MS // 5), base)
        time_base = 0 if encoding.startswith("evt") else base
        yield Packet(encoding, 64, 48, time_base, data, STAMP + base + late(k), seq(k))


def errors(windows, late=0):
    return np.array([w.stamp - STAMP - w.end for w in windows]) - late


FIRST_LATE, BACKLOG = lambda k: 900 * MS * (k == 0), lambda k: max(900 - 4 * k, 0) * MS


@pytest.mark.parametrize("encoding", ["evt3", "libcaer"])
@pytest.mark.parametrize("late", [FIRST_LATE, BACKLOG])
def test_packets_that_are_late_at_the_start_move_no_stamp_for_long(encoding, late):
    windows, stats = run(camera(encoding, late))
    found = errors(windows)
    assert len(windows) == 122 and np.abs(found[-30:]).max() < 10 * MS < found[0]
    assert np.diff([w.stamp for w in windows]).min() > 0
    assert stats.time_jumps == 1 and "packets had been late, or one was set" in stats.last_fault


@pytest.mark.parametrize("shift, jumps", [(-900, 0), (900, 0), (3_600_000, 1)])
def test_exact_stamps_of_a_clock_that_is_set(shift, jumps):
    """By less than a second they stand still until the clock comes there again."""
    windows, stats = run(camera("mono", lambda k: shift * MS * (k >= 500)))
    assert np.abs(errors(windows[-20:], shift * MS)).max() < 5 * MS
    assert stats.time_jumps == jumps


def test_exact_stamps_that_are_uneven_never_go_back():
    jitter = np.random.default_rng(2).integers(0, 60 * MS, 1000)
    windows, stats = run(camera("mono", lambda k: int(jitter[k])))
    assert np.diff([w.stamp for w in windows]).min() >= 0 and stats.time_jumps == 0
    assert errors(windows).min() >= 0 and errors(windows).max() <= 60 * MS


def test_empty_packets_of_a_source_that_does_not_count_are_no_packets_again():
    packets = list(camera("mono", seq=lambda k: 0))
    empty = [replace(p, data=np.empty(0, np.uint8)) for p in packets]
    _, stats = run([p for four in zip(packets, empty, empty, empty, strict=True) for p in four])
    assert (stats.events, stats.doubled_packets) == (20_000, 0) and not left_out(asdict(stats))


def test_messages_in_exchanged_pairs_are_told():
    times = [STAMP + k * 10 * MS + np.arange(50) * MS // 5 for k in range(100)]
    pairs = [times[k ^ 1] for k in range(100)]
    _, stats = run(Packet.of_events(events_at(t), int(t[0]), "/events") for t in pairs)
    assert (stats.events, stats.time_errors) == (5000, 2500)
    assert "50 % of the events had times that went back" in left_out(asdict(stats))


@pytest.mark.parametrize("events, told", [(20, True), (5, False)])
def test_messages_whose_events_all_have_one_time_are_told(events, told):
    """As of a simulator that makes them from the frames of a camera."""
    times = [np.full(events, STAMP + k * 33 * MS) for k in range(60)]
    _, stats = run(Packet.of_events(events_at(t), int(t[0]), "/events") for t in times)
    sentence = "100 % of the messages give all events one time: expected the sensor's."
    assert left_out(asdict(stats)) == sentence * told


@pytest.mark.parametrize("size", [(4, 480), (1, 4096), (59, 480)])
def test_a_sensor_that_is_all_rows_is_refused(size):
    """Its voxel grid, 320 cells wide, would take up to 40 GB."""
    stream = PacketStream(WindowConfig())
    with pytest.raises(InputError, match=f"{size[0]}x{size[1]} pixels: expected at most 8 rows"):
        stream.push(Packet("mono", *size, 0, b"", STAMP, 0))
