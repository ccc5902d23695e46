"""What users' messages of decoded events do: strays, messages again or late, no stamps."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from streams import MS, STAMP, events_at, run

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clean import clean, is_stray
from evlayerseg_ros.events.dvs import parse_event_array
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig


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


def test_short_messages_without_times_are_refused_once_they_are_many():
    """As a relay that knows no times sends them."""
    stream = PacketStream(WindowConfig())
    for k in range(200):
        with suppress(InputError):
            stream.push(Packet.of_events(events_at([0] * 5), STAMP + k * MS, "/events"))
    assert (stream.stats.events, stream.stats.bad_packets) == (75, 185)
    assert "16 messages in a row without times (ts is 0)" in stream.stats.last_error
    stream.push(Packet.of_events(events_at([STAMP, STAMP + MS]), STAMP, "/events"))
    stream.push(Packet.of_events(events_at([0]), STAMP, "/events"))
    assert stream.stats.bad_packets == 185


@pytest.mark.parametrize("unit", [1000, 1_000_000])
def test_nanoseconds_that_hold_us_or_ms_are_refused(unit):
    """As of a driver that fills them from a timeval."""
    stream = PacketStream(WindowConfig())
    changed = lambda k, t: t - t % 10**9 + t % 10**9 // unit  # noqa: E731
    for k, packet in enumerate(arrays(changed, n=600)):
        packet = replace(packet, stamp=STAMP + k * 10 * MS)
        with suppress(InputError):
            stream.push(packet)
    assert "4 s lie in" in stream.stats.last_error
    assert "ts.nanosec seems to hold us or ms, expected ns." in stream.stats.last_error
    assert 100 < stream.stats.bad_packets < 250  # of the last two seconds


def test_what_happens_once_a_second_is_used():
    """As a light that flashes by a clock's pulse, from one camera."""
    t = (np.arange(50) * MS // 100 + MS // 10 for _ in range(30))
    packets = (
        Packet.of_events(events_at(STAMP + k * 10**9 + a), STAMP + k * 10**9 + 3 * MS)
        for k, a in enumerate(t)
    )
    assert run(packets)[1].events == 30 * 50


def test_a_table_s_first_part_may_be_of_one_time():
    """As of times in steps of 10 ms."""
    stream = PacketStream(WindowConfig())
    stream.push(Packet.of_events(events_at([0] * 800), 0, "/events"))
    stream.push(Packet.of_events(events_at([0] * 400 + [10 * MS] * 400), 0, "/events"))
    assert (stream.stats.events, stream.stats.bad_packets) == (1600, 0)


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
