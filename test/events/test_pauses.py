"""A camera that sends nothing for a while: numbers go on, stamps and sensor time jump ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streams import MS, STAMP, events_at, run

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig

EVT = ("evt3", "evt2", "evt21")
# ms; EVT3's counter wraps after 16,777 ms.
GAPS = (80, 300, 1_500, 4_000, 16_720, 16_777, 16_830, 18_000, 100_000)


def paused(encoding: str, gap: int, n: int = 50) -> list[Packet]:
    """n packets of 10 ms with 20 events each, `gap` ms without any, n more."""
    packets = []
    for k in range(2 * n):
        base = 5 * MS + k * 10 * MS + (k >= n) * gap * MS
        data = encode(encoding, events_at(base + np.arange(20) * MS // 2), base)
        packets.append(Packet(encoding, 64, 48, base, data, STAMP + base, k))
    return packets


def facts(windows):
    return [(w.start, w.end, w.stamp, len(w.events)) for w in windows]


@pytest.mark.parametrize("encoding", EVT)
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("seq", [lambda k: k, lambda k: 0, lambda k: None])
def test_windows_after_a_pause_are_those_of_an_encoding_with_a_time_base(encoding, gap, seq):
    packets = [replace(p, seq=seq(p.seq)) for p in paused(encoding, gap)]
    windows, stats = run(packets)
    wanted, sound = run(paused("libcaer", gap))
    assert facts(windows) == facts(wanted)
    assert all(w.stamp == STAMP + w.end for w in windows)
    assert stats.counts() == sound.counts() and stats.last_fault == ""
    assert stats.pauses == (gap > 2_000) and stats.events == 2_000


@pytest.mark.parametrize("gap", GAPS)
def test_a_pause_among_packets_that_are_decoded_in_one_call(gap):
    stream, windows = PacketStream(WindowConfig()), []
    for some in stream.push_each(paused("evt3", gap)):
        windows += some
    assert facts(windows + stream.flush()) == facts(run(paused("libcaer", gap))[0])


def test_a_pause_in_which_empty_packets_come():
    before, after = np.split(np.array(paused("evt3", 1_500)), 2)
    empty = [replace(before[-1], data=b"", stamp=before[-1].stamp + k * MS) for k in range(1, 1500)]
    packets = [replace(p, seq=None) for p in [*before, *empty, *after]]
    windows, stats = run(packets)
    assert all(w.stamp == STAMP + w.end for w in windows) and stats.time_jumps == 0
    joined = PacketStream(WindowConfig())
    together = [w for some in joined.push_each(packets) for w in some]
    assert facts(together + joined.flush()) == facts(windows)


def test_packets_that_only_came_late_lose_nothing():
    """The host stood still: the stamps go on far, the sensor's times do not."""
    packets = paused("evt3", 0)
    packets[50:] = [replace(p, stamp=p.stamp + 300 * MS) for p in packets[50:]]
    windows, stats = run(packets)
    assert (stats.events, stats.unsynced, stats.time_jumps) == (2_000, 0, 0)
    assert [w.end for w in windows] == [w.end for w in run(paused("evt3", 0))[0]]


def test_a_wrong_time_word_after_a_pause_is_not_believed():
    packets = paused("evt3", 80)
    words = packets[50].data.view("<u2").copy()
    words[0] ^= 0x400  # of the high time: 4 s ahead
    packets[50] = replace(packets[50], data=words.view(np.uint8))
    windows, stats = run(packets)
    assert stats.time_jumps == 0 and windows[-1].stamp == STAMP + windows[-1].end


def sparse(encoding, gap, n=60):
    """n packets of 1 ms with 4 events and one time word each, `gap` ms apart."""
    for k in range(n):
        base = 5 * MS + k * gap * MS
        data = encode(encoding, events_at(base + np.arange(4) * MS // 4), base)
        yield Packet(encoding, 64, 48, base, data, STAMP + base, k)


def last_time(packets):
    """On the sensor's clock; where header stamps are wrong, those of windows are."""
    stream, windows = PacketStream(WindowConfig()), []
    for packet in packets:
        windows += stream.push(packet)
    return max(w.end for w in windows + stream.flush())


@pytest.mark.parametrize("encoding", EVT)
@pytest.mark.parametrize("gap", [60, 100, 600, 1200])
@pytest.mark.parametrize("bit", [5, 6, 7, 8, 10, 11])
def test_a_wrong_time_word_alone_in_its_packet_moves_no_clock(encoding, gap, bit):
    """The header stamps do not say the same."""
    packets = list(sparse(encoding, gap))
    words = packets[30].data.view("<u2" if encoding == "evt3" else "<u4").copy()
    codes = np.flatnonzero(words >> (8 * words.itemsize - 4) == 0x8)
    words[codes[0]] ^= 1 << (bit if encoding == "evt3" else bit + 16)
    wrong = replace(packets[30], data=words.view(np.uint8))
    assert last_time([*packets[:30], wrong, *packets[31:]]) == last_time(packets)


@pytest.mark.parametrize("encoding", EVT)
@pytest.mark.parametrize("gap", [60, 600, 1200])
@pytest.mark.parametrize("ms, packets", [(1_100, 1), (3_600_000, 30)], ids=["late", "set"])
def test_other_header_stamps_do_not_stop_the_sensors_clock(encoding, gap, ms, packets):
    sound = list(sparse(encoding, gap))
    other = [replace(p, stamp=p.stamp + ms * MS) for p in sound[30 : 30 + packets]]
    assert last_time([*sound[:30], *other, *sound[30 + packets :]]) == last_time(sound)


@pytest.mark.parametrize("encoding", EVT)
def test_a_host_whose_clock_is_set_in_a_pause_does_not_move_the_sensors(encoding):
    packets = paused(encoding, 100)
    packets[50:] = [replace(p, stamp=p.stamp + 1_700_000_000_000 * MS) for p in packets[50:]]
    windows, _ = run(packets)
    assert max(w.end for w in windows) == max(w.end for w in run(paused(encoding, 100))[0])


def test_words_ahead_of_the_first_time_are_of_the_time_before_the_pause():
    """Packets may be cut anywhere: no event is lost."""
    before, after = np.split(np.array(paused("evt3", 300)), 2)
    words = np.concatenate([before[-1].data, after[0].data])
    half = len(before[-1].data) // 4 * 2
    cut = replace(before[-1], data=words[:half]), replace(after[0], data=words[half:])
    _, stats = run([*before[:-1], *cut, *after[1:]])
    assert (stats.events, stats.unsynced) == (2_000, 0)
