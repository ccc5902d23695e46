"""What users' publishers do: no counting, clocks that are coarse, stray or of another pace."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clean import clean, is_stray
from evlayerseg_ros.events.dvs import parse_event_array
from evlayerseg_ros.events.stats import left_out
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.events.window import WindowConfig

MS = 1_000_000
STAMP = 1_700_000_000_000_000_000


def events_at(t):
    n = len(t)
    k = np.arange(n)
    return Events.from_arrays(k % 64, k % 48, np.asarray(t, np.int64), k % 2, 64, 48)


def camera(encoding, seq, stamp, n=500, every=2 * MS, start=5 * MS):
    """n packets of `every` ns with 20 events each; seq and stamp are functions of k and its ns."""
    for k, (base, data) in enumerate(encoded(encoding, n, every, start)):
        at = stamp(k, base)
        yield Packet(encoding, 64, 48, at if encoding == "mono" else base, data, at, seq(k))


@cache
def encoded(encoding, n, every, start):
    """Time base and bytes of each packet."""
    bases = range(start, start + n * every, every)
    step = np.arange(20) * (every // 20)
    return [(base, encode(encoding, events_at(base + step), base)) for base in bases]


def run(packets):
    stream, windows = PacketStream(WindowConfig()), []
    for packet in packets:
        windows += stream.push(packet)
    windows += stream.flush()
    assert all(a.stamp <= b.stamp for a, b in pairwise(windows))
    return windows, stream.stats


@pytest.mark.parametrize("encoding", ["evt3", "evt2", "evt21", "libcaer", "libcaer_cmp"])
@pytest.mark.parametrize("seq", [lambda k: 0, lambda k: 7, lambda k: k, lambda k: None])
@pytest.mark.parametrize(
    "stamp",
    [
        lambda k, base: STAMP + base,
        lambda k, base: STAMP + base // (10 * MS) * 10 * MS,  # a coarse clock
        lambda k, base: STAMP,  # a constant one
        lambda k, base: 0,
    ],
)
def test_a_publisher_that_does_not_count_and_whose_stamps_are_coarse(encoding, seq, stamp):
    windows, stats = run(camera(encoding, seq, stamp))
    assert stats.doubled_packets == stats.restarts == stats.lost_packets == 0
    assert stats.packets == 500 and stats.events >= 9_990  # EVT's first ones wait for a time
    assert len(windows) == 31


@pytest.mark.parametrize("encoding", ["evt3", "libcaer", "mono"])
@pytest.mark.parametrize("tick", [0, 100 * MS, 3000 * MS])
def test_stamps_that_stand_still_say_nothing(encoding, tick):
    """For seconds, where time bases go on: outputs follow the sensor's clock."""
    packets = [
        Packet(encoding, 64, 48, base, data, STAMP + (tick and base // tick * tick), 0)
        for base, data in encoded(encoding, 2500, 2 * MS, 5 * MS)
    ]
    windows, stats = run(packets)
    assert (len(windows), stats.time_jumps, stats.doubled_packets) == (152, 0, 0)
    assert windows[-1].stamp - windows[0].stamp == pytest.approx(4967 * MS, abs=6 * MS)


def test_packets_whose_time_base_is_a_stray():
    packets = [
        replace(packet, time_base=packet.time_base - 99 * MS * (k % 50 == 25 and k > 50))
        for k, packet in enumerate(camera("libcaer", lambda k: k, lambda k, base: STAMP + base))
    ]
    windows, stats = run(packets)
    assert (len(windows), stats.events, stats.time_jumps) == (31, 9_820, 0)
    assert stats.stray_events == 180
    assert stats.last_fault == "A packet lay 0.099 s before the last one."


@pytest.mark.parametrize("encoding", ["libcaer", "mono"])
def test_a_clock_that_was_set_back_leaves_nothing_out(encoding):
    late, early = (
        list(camera(encoding, lambda k: k, lambda k, base: STAMP + base, start=start))
        for start in (10**10, 5 * MS)
    )
    stream = PacketStream(WindowConfig())
    for packet in late[:250] + early[250:]:
        stream.push(packet)
    stream.flush()
    stats = stream.stats
    assert (stats.packets, stats.time_jumps, stats.stray_events) == (500, 1, 0)
    assert stats.events >= 9_990 and "clock jumped by" in stats.last_fault


def test_only_the_very_same_packet_is_doubled():
    packets = list(camera("evt3", lambda k: k, lambda k, base: STAMP + base))
    twice = [p for packet in packets for p in (packet, packet)]
    windows, stats = run(twice)
    assert (stats.packets, stats.doubled_packets, len(windows)) == (500, 500, 31)
    assert "50 % of the packets were left out." in stats.in_words()


def test_a_large_share_left_out_is_told():
    counts = dict.fromkeys(
        ("doubled_packets", "bad_packets", "out_of_range", "stray_events", "unsynced"), 0
    )
    counts |= {"packets": 100, "events": 10_000}
    assert left_out(counts) == ""
    assert left_out({**counts, "bad_packets": 5, "out_of_range": 500}) == ""
    assert left_out({**counts, "doubled_packets": 400}) == "80 % of the packets were left out."
    assert left_out({**counts, "out_of_range": 10_000}) == "50 % of the events were left out."


@pytest.mark.parametrize("pace", [0.5, 0.8, 1.3, 3.0])
def test_stamps_of_another_pace_than_the_sensor(pace):
    """They are followed and never go back; the sentence says which clocks, and by how much."""
    stamp = lambda k, base: STAMP + int(base * pace)  # noqa: E731
    windows, stats = run(camera("evt3", lambda k: k, stamp, n=2500, every=4 * MS))
    assert len(windows) == 304 and stats.restarts == 0
    assert 1 <= stats.time_jumps <= 3
    way = "ahead of" if pace > 1 else "behind"
    assert "The header stamps, which are the host's clock, are 1.0" in stats.last_fault
    assert f"s {way} the sensor's clock: the two run at different paces." in stats.last_fault
    last = windows[-1]
    assert abs(last.stamp - STAMP - last.end * pace) < 100 * MS


def test_a_host_clock_that_is_set_is_told_apart():
    stamp = lambda k, base: STAMP + base + (k >= 250) * 3600 * 1000 * MS  # noqa: E731
    _, stats = run(camera("evt3", lambda k: k, stamp))
    assert stats.time_jumps == 1
    assert "3600.000 s ahead of the sensor's clock" in stats.last_fault
    assert stats.last_fault.endswith("agreed before, so one of them was set.")


def arrays(changed=lambda k, t: t, n=100, stamp=lambda t: int(t[0])):
    """n messages of 10 ms with 50 decoded events each."""
    for k in range(n):
        t = np.sort(changed(k, STAMP + k * 10 * MS + np.arange(50) * MS // 5))
        yield Packet.of_events(events_at(t), stamp(t), "/events")


@pytest.mark.parametrize("back", [99 * MS, 3_600_000 * MS, -40 * MS, -99 * MS, -3_600_000 * MS])
@pytest.mark.parametrize("which", [0, 25, 49])
def test_stray_events_of_a_message_do_not_move_the_clock(back, which):
    def stray(k, t):
        t = t.copy()
        t[which] -= back * (k % 10 == 5)
        return t

    windows, stats = run(arrays(stray))
    assert len(windows) == 31
    assert (stats.stray_events, stats.time_jumps, stats.events) == (10, 0, 4990)


@pytest.mark.parametrize("late", [-99 * MS, 99 * MS])
def test_strays_among_messages_of_one_event(late):
    """One too late waits for the next one; one too early is late itself."""
    packets = (
        Packet.of_events(events_at([STAMP + k * MS + late * (k % 50 == 25)]), STAMP + k * MS)
        for k in range(1000)
    )
    windows, stats = run(packets)
    assert (len(windows), stats.events, stats.time_jumps) == (31, 980, 0)
    assert stats.stray_events + stats.doubled_packets == 20


def test_single_events_after_pauses_are_used():
    t = STAMP + np.concatenate([np.arange(50) * MS // 5, [60 * MS]])
    packets = [Packet.of_events(events_at(t + k * 300 * MS), int(t[0])) for k in range(5)]
    _, stats = run(packets)
    assert (stats.events, stats.stray_events, stats.packets) == (5 * 51, 0, 5)


def test_a_message_that_comes_late_is_left_out():
    packets = list(arrays())
    packets.insert(40, packets.pop(20))
    windows, stats = run(packets)
    assert (stats.doubled_packets, stats.time_jumps, len(windows)) == (1, 0, 31)
    assert "too late" in stats.last_fault


def test_a_clock_that_was_set_back_is_believed_after_five_messages():
    again = [*arrays(n=100), *arrays(n=40)]
    stream, windows = PacketStream(WindowConfig()), []
    for packet in again:
        windows += stream.push(packet)
    windows += stream.flush()
    assert stream.stats.events == 7000 and stream.stats.time_jumps == 1
    assert stream.stats.stray_events == 0


def test_strays_are_told_from_pauses_and_jumps():
    t = np.arange(100) * MS // 10
    assert not is_stray(t).any()
    paused = np.concatenate([t, t + 5000 * MS])
    assert not is_stray(paused).any()
    jumped = np.concatenate([t + 5000 * MS, t])
    assert not is_stray(jumped).any()
    late, early = t.copy(), t.copy()
    late[30] += 200 * MS
    early[60:62] -= 200 * MS
    assert np.flatnonzero(is_stray(late)).tolist() == [30]
    assert np.flatnonzero(is_stray(early)).tolist() == [60, 61]
    first = t[40:].copy()
    first[0] -= 500 * MS
    assert np.flatnonzero(is_stray(first, int(t[39]))).tolist() == [0]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 1000])
def test_cleaning_gives_sound_events_of_anything(n):
    rng = np.random.default_rng(n)
    for _ in range(50):
        x, y = rng.integers(-5, 70, n), rng.integers(-5, 70, n)
        t = np.cumsum(rng.choice([0, 1000, -3000, 50 * MS, -900 * MS, 2**61], n))
        parts = clean(x, y, t, rng.integers(0, 2, n), 64, 48, int(rng.integers(0, 10**9)))
        kept = sum(len(part.events) for part in parts)
        assert kept + sum(part.outside + part.strays for part in parts) == n
        for part in parts:
            assert np.all(np.diff(part.events.t) >= 0)


def test_a_message_that_lies_about_its_size():
    head = struct.pack("<HHiII", 0x100, 0, 1, 2, 4) + b"cam\0"
    with pytest.raises(InputError, match="no EventArray"):
        parse_event_array(head + struct.pack("<III", 48, 64, 2**32 - 1))
    with pytest.raises(InputError, match="no EventArray"):
        parse_event_array(b"\0\1")
    packet = parse_event_array(head + struct.pack("<III", 48, 64, 0))
    assert packet.events is not None and len(packet.events) == 0
    assert (packet.stamp, packet.frame_id) == (1_000_000_002, "cam")


def test_a_message_of_events_that_comes_again_is_left_out():
    twice = [packet for packet in arrays(n=100) for _ in range(2)]
    _, stats = run(twice)
    assert (stats.packets, stats.doubled_packets, stats.events) == (100, 100, 5000)
    assert stats.last_fault == "A message of events came again."
    assert "50 % of the packets were left out." in stats.in_words()


def test_a_packet_that_a_relay_stamped_anew_is_doubled():
    packets = list(camera("evt3", lambda k: k, lambda k, base: STAMP + base))
    twice = [p for one in packets for p in (one, replace(one, stamp=one.stamp + MS))]
    _, stats = run(twice)
    assert (stats.packets, stats.doubled_packets) == (500, 500)


def test_several_events_at_a_message_s_end_that_are_too_late_are_strays():
    def late(k, t):
        t[-5:] += 1000 * MS * (k % 10 == 5)
        return t

    _, stats = run(arrays(late, n=100))
    assert (stats.events, stats.stray_events, stats.time_jumps) == (4950, 50, 0)


def test_a_message_without_events():
    empty = Packet.of_events(events_at([]), STAMP, "/events")
    _, stats = run([empty, *arrays(n=2), empty])
    assert (stats.packets, stats.events, stats.stray_events) == (4, 100, 0)


def test_events_in_ros_time_whose_message_has_no_stamp():
    windows, _ = run(replace(packet, stamp=0) for packet in arrays(n=100))
    assert all(window.stamp == window.end for window in windows)


@pytest.mark.parametrize("encoding", ["libcaer", "mono"])
@pytest.mark.parametrize("late", [67 * MS, 500 * MS, 3600_000 * MS])
def test_a_stray_time_inside_a_packet(encoding, late):
    """One event of 20 in every 15th of 150 packets."""
    late = min(late, 4_000 * MS) if encoding == "mono" else late  # 32 bits of ns
    packets = []
    for k in range(150):
        base = (1 + k) * 10 * MS
        sound = events_at(base + np.arange(20) * MS // 2)
        sound.t[10] += late * (k % 15 == 7)
        data = encode(encoding, sound, base)
        packets.append(Packet(encoding, 64, 48, base, data, STAMP + base, k))
    windows, stats = run(packets)
    assert (stats.events, stats.stray_events, stats.time_jumps) == (2990, 10, 0)
    assert len(windows) == 46
    assert "10 events of stray times" in stats.in_words()


def test_a_long_pause_inside_a_packet_is_no_jump():
    """As in a file of a camera that was left alone for half an hour."""
    t = STAMP + np.concatenate([np.arange(500), 1_800_000 + np.arange(500)]) * MS
    windows, stats = run([Packet.of_events(events_at(t))])
    assert (stats.events, stats.time_jumps, stats.pauses) == (1000, 0, 1)
    assert windows[-1].stamp == windows[-1].end == t[-1]
    assert stats.in_words() == ""


def test_a_coarse_clock_and_a_blinking_lamp_are_no_message_again():
    """Each message of 2 ms has the same pixels, and the time only moves every 10 ms."""
    lamp = events_at(np.zeros(8, np.int64))
    packets = []
    for k in range(500):
        t = np.full(8, STAMP + k // 5 * 10 * MS)
        packets.append(Packet.of_events(replace(lamp, t=t), int(t[0]), "/events"))
    _, stats = run(packets)
    assert (stats.events, stats.doubled_packets) == (4000, 0)
