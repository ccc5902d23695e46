"""What users' publishers do: no counting, clocks that are coarse, stray or of another pace."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from streams import MS, STAMP, events_at, run

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.stats import StreamStats, left_out
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig


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
    counts = {**StreamStats().counts(), "packets": 100, "events": 10_000}
    assert left_out(counts) == ""
    assert left_out({**counts, "bad_packets": 5, "out_of_range": 500}) == ""
    assert left_out({**counts, "doubled_packets": 400}) == "80 % of the packets were left out."
    told = left_out({**counts, "out_of_range": 10_000})
    assert told.startswith("50 % of the events were left out. They lie outside the sensor")
    assert left_out({**counts, "unsynced": 10_000}) == "50 % of the events were left out."
    assert left_out({**counts, "time_errors": 999}) == ""
    assert left_out({**counts, "events": 5, "time_errors": 50}) == ""


def test_times_that_begin_anew_in_each_packet_are_told():
    """A publisher of `mono` that counts from each packet's begin, but whose time base stays 0."""
    packets = [
        Packet("mono", 64, 48, 0, encode_mono(events_at(np.arange(600) * 3000), 0), stamp, k)
        for k, stamp in enumerate(range(STAMP, STAMP + 1_000 * MS, 2 * MS))
    ]
    _, stats = run(packets)
    assert stats.events == 300_000
    assert "100 % of the events had times that went back, or did not fit." in stats.in_words()


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
@pytest.mark.parametrize("first", [2**32 - 250, 2**31 - 250])
def test_numbers_of_32_bits_that_wrap(encoding, first):
    """With three packets lost, one doubled and one late about there."""
    packets = list(camera(encoding, lambda k: (first + k) % 2**32, lambda k, base: STAMP + base))
    packets = [*packets[:249], packets[250], packets[249], packets[250], *packets[254:]]
    windows, stats = run(packets)
    assert (len(windows), stats.restarts, stats.lost_packets) == (31, 0, 4)
    assert stats.doubled_packets == 2


@pytest.mark.parametrize("encoding", ["evt3", "libcaer", "mono"])
def test_packets_without_a_stamp_get_the_time_at_which_they_came(encoding):
    packets = camera(encoding, lambda k: k, lambda k, base: 0)
    late = np.random.default_rng(2).integers(0, 3 * MS, 500).tolist()
    packets = [replace(packet, stamp=0, time_base=base) for packet, (base, _) in
               zip(packets, encoded(encoding, 500, 2 * MS, 5 * MS), strict=True)]  # fmt: skip
    times = [STAMP + packet.time_base + wait for packet, wait in zip(packets, late, strict=True)]
    came = [packet.with_stamp(partial(int, t)) for packet, t in zip(packets, times, strict=True)]
    windows, stats = run(came)
    assert len(windows) == 31 and stats.unstamped == 500 and stats.time_jumps == 0
    assert all(abs(w.stamp - STAMP - w.end) < 5 * MS for w in windows)
    assert "500 packets without a stamp, whose time of arrival is used" in stats.in_words()


def test_nobody_is_asked_when_a_packet_with_a_stamp_came():
    stamped = Packet.of_events(events_at([MS]), STAMP)
    assert stamped.with_stamp(partial(pytest.fail, "asked")) is stamped
    none = Packet.of_events(events_at([MS]), 0)
    assert none.with_stamp(partial(int, STAMP)).stamp == STAMP
    unknown = none.with_stamp(int)
    assert unknown.stamp == 0 and not unknown.stamped


def test_mono_packets_of_one_time_base():
    """Whose stamps go on, and whose 32 bits of time wrap."""
    step = np.arange(20) * (MS // 10)
    packets = []
    for k in range(3000):
        at = 5 * MS + k * 2 * MS
        words = np.frombuffer(encode("mono", events_at(at + step), at).tobytes(), "<u4").copy()
        words[::2] += np.uint32(at % 2**32)
        packets.append(Packet("mono", 64, 48, 0, words.tobytes(), STAMP + at, k))
    windows, stats = run(packets)
    assert (stats.events, stats.time_jumps, stats.stray_events) == (60_000, 0, 0)
    assert len(windows) == 182 and all(abs(w.stamp - STAMP - w.end) < 5 * MS for w in windows[1:])


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
    assert stats.other_pace > 1000


def test_a_host_clock_that_is_set_is_told_apart():
    stamp = lambda k, base: STAMP + base + (k >= 250) * 3600 * 1000 * MS  # noqa: E731
    _, stats = run(camera("evt3", lambda k: k, stamp))
    assert stats.time_jumps == 1
    assert "3600.000 s ahead of the sensor's clock" in stats.last_fault
    assert stats.last_fault.endswith("agreed before, so one of them was set.")


@pytest.mark.parametrize("encoding, off", [("evt3", 5000), ("evt3", -5000), ("mono", 900)])
def test_one_stray_header_stamp_moves_nothing(encoding, off):
    packets = list(camera(encoding, lambda k: k, lambda k, base: STAMP + base))
    sound, _ = run(packets)
    packets[250] = replace(packets[250], stamp=packets[250].stamp + off * MS)
    windows, stats = run(packets)
    assert [w.stamp for w in windows] == [w.stamp for w in sound]
    assert stats.time_jumps == 0
    way = "ahead of" if off > 0 else "behind"
    assert f"was {abs(off) / 1000:.3f} s {way} the sensor's clock" in stats.last_fault


def test_a_packet_that_a_relay_stamped_anew_is_doubled():
    packets = list(camera("evt3", lambda k: k, lambda k, base: STAMP + base))
    twice = [p for one in packets for p in (one, replace(one, stamp=one.stamp + MS))]
    _, stats = run(twice)
    assert (stats.packets, stats.doubled_packets) == (500, 500)


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


def doubled(packets, lag=3):
    """Each packet comes again, after `lag` more."""
    for k, packet in enumerate(packets):
        yield packet
        if k >= lag:
            yield packets[k - lag]


STAMPS = {
    "constant": lambda k, packet: replace(packet, stamp=STAMP),
    "of 100 ms": lambda k, packet: replace(packet, stamp=packet.stamp // (100 * MS) * 100 * MS),
    "of arrival": lambda k, packet: replace(packet, stamp=STAMP + k * 5 * MS, stamped=False),
}


@pytest.mark.parametrize("encoding", ["evt3", "mono", "libcaer"])
@pytest.mark.parametrize("stamps", STAMPS)
def test_packets_that_come_again_where_stamps_say_little(encoding, stamps):
    packets = list(camera(encoding, lambda k: k, lambda k, base: STAMP + base))
    sound, _ = run(packets)
    windows, stats = run(STAMPS[stamps](k, packet) for k, packet in enumerate(doubled(packets)))
    assert stats.doubled_packets == len(packets) - 3
    assert (stats.lost_packets, stats.restarts) == (0, 0)
    assert [w.end for w in windows] == [w.end for w in sound]
    assert np.all(np.diff([w.stamp for w in windows]) >= 0)


@pytest.mark.parametrize("encoding", ["evt3", "mono", "libcaer"])
def test_packets_that_come_again_of_a_source_that_does_not_count(encoding):
    packets = list(camera(encoding, lambda k: 0, lambda k, base: STAMP + base))
    windows, stats = run(doubled(packets))
    assert stats.doubled_packets == len(packets) - 3
    assert [w.end for w in windows] == [w.end for w in run(packets)[0]]


def test_a_publisher_that_begins_again_where_stamps_say_nothing():
    first = list(camera("evt3", lambda k: k, lambda k, base: STAMP, n=60))
    other = [replace(p, data=p.data[8:]) for p in first]  # it is another one, not the same again
    stream = PacketStream(WindowConfig())
    for packet in first + other:
        stream.push(packet)
    assert stream.stats.restarts == 1 and stream.stats.packets >= 115


@pytest.mark.parametrize(
    "number",
    [lambda k: STAMP + k * 10 * MS, lambda k: 10**6 - k, lambda k: k * 7919 % 10**9 * 1009],
)
def test_numbers_that_are_no_count_are_not_used(number):
    """As times, numbers that fall, or anything."""
    windows, stats = run(camera("evt3", number, lambda k, base: STAMP + base))
    assert stats.restarts + stats.gaps < 25
    assert "are no count, and are not used." in stats.last_fault
    assert len([w for w in windows if w.end - w.start > 30 * MS]) >= 0.9 * len(
        run(camera("evt3", lambda k: k, lambda k, base: STAMP + base))[0]
    )


def test_losses_are_counted_between_packets_decoded_together():
    """A packet of 1500 is lost, a hundred come at once."""
    packets = list(camera("evt3", lambda k: k, lambda k, base: STAMP + base))
    sent = [replace(p, seq=k * 100 + j) for k in range(300) for j, p in enumerate(packets[:100])]
    sent = [replace(p, seq=n, stamp=STAMP + n * MS, data=p.data[:8]) for n, p in enumerate(sent)]
    sent = [p for p in sent if p.seq % 1500 != 700]
    stream = PacketStream(WindowConfig())
    for k in range(0, len(sent), 100):
        for _ in stream.push_each(sent[k : k + 100]):
            pass
    assert stream.stats.lost_packets == 20


def test_packets_of_two_cameras_on_one_topic_are_told():
    packets = list(camera("evt3", lambda k: 0, lambda k, base: STAMP + base))
    two = [replace(p, frame_id=name) for p in packets for name in ("left", "right")]
    two = [replace(p, data=p.data if p.frame_id == "left" else p.data[:-2]) for p in two]
    stats = run(two)[1]
    assert "have another frame_id than the one before: those of several" in stats.in_words()
