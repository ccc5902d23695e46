"""Packets decoded in one call are what they are one by one, whatever is wrong with some of them."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.bench.scenes import packets as scene
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.sequence import MOST_BYTES, Last, batch_size
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig

SIZE = (64, 48)
STAMP = 1_700_000_000_000_000_000


def stream_of(n, encoding="evt3"):
    return [
        Packet(
            encoding, *SIZE, (k + 1) * PACKET_NS,
            encode(encoding, events, (k + 1) * PACKET_NS), STAMP + k * PACKET_NS, k,
        )
        for k, events in enumerate(scene(*SIZE, 0.05, n))
    ]  # fmt: skip


def one_by_one(stream, packets):
    for packet in packets:
        try:
            yield stream.push(packet)
        except InputError as error:
            yield error


def changed(k, **how):
    """A stream whose k-th packet is changed."""
    packets = stream_of(40)
    packets[k] = replace(packets[k], **how)
    return packets


def swapped(packets, a, b):
    packets[a], packets[b] = packets[b], packets[a]
    return packets


STREAMS = {
    "sound": stream_of(40),
    "not counted": [replace(p, seq=None) for p in stream_of(40)],
    "truncated": changed(20, data=stream_of(40)[20].data[:-1]),
    "lost": stream_of(40)[:20] + stream_of(40)[22:],
    "twice": [*stream_of(40)[:20], stream_of(40)[19], *stream_of(40)[20:]],
    "late": swapped(stream_of(40), 20, 22),
    "again from its beginning": stream_of(30) + stream_of(30),
    "another size": changed(20, width=32),
    "another encoding": changed(20, encoding="evt9"),
    "big endian": changed(20, big_endian=True),
    "unreadable": [*stream_of(20), Packet.unreadable("no packet"), *stream_of(40)[20:]],
    "noise": changed(20, data=np.random.default_rng(0).integers(0, 256, 400).astype(np.uint8)),
    "empty": changed(20, data=np.empty(0, np.uint8)),
    "stamps jump": changed(20, stamp=STAMP + 3_600_000_000_000),
    "mono": stream_of(40, "mono"),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("several", [2, 7, 100])
@pytest.mark.parametrize("size", [(0, 0), SIZE])
def test_windows_errors_and_counters_are_those_of_one_by_one(name, several, size):
    packets = STREAMS[name]
    alone, joined = (PacketStream(WindowConfig(duration_ms=10), *size) for _ in range(2))
    expected = list(one_by_one(alone, packets))
    found = []
    for k in range(0, len(packets), several):
        found += joined.push_each(packets[k : k + several])
    assert asdict(joined.stats) == asdict(alone.stats)
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, InputError):
            assert str(got) == str(wanted)
            continue
        for window, same in zip(got, wanted, strict=True):
            facts = (window.start, window.end, window.stamp, window.first)
            assert facts == (same.start, same.end, same.stamp, same.first)
            for part in "xytp":
                np.testing.assert_array_equal(
                    getattr(window.events, part), getattr(same.events, part)
                )


def test_sound_packets_are_decoded_together_as_long_as_they_are_small():
    packets = stream_of(40)
    decoder = Decoder("evt3", *SIZE)
    assert batch_size(packets[1:], decoder, Last(seq=0), SIZE) == 39
    assert batch_size(packets[2:], decoder, Last(seq=0), SIZE) == 0  # one was lost
    assert batch_size(changed(20, width=32)[1:], decoder, Last(seq=0), (0, 0)) == 19
    large = replace(packets[1], data=np.zeros(MOST_BYTES + 2, np.uint8))
    assert batch_size([large, *packets[2:]], decoder, Last(seq=0), SIZE) == 0


def test_each_packet_has_its_own_events_clock_and_counters():
    packets = [p.data for p in stream_of(20)]
    alone, joined = Decoder("evt3", 40, 48), Decoder("evt3", 40, 48)  # some events lie outside
    for data, got in zip(packets, joined.decode_each(packets), strict=True):
        events = alone.decode(data)
        for part in "xytp":
            np.testing.assert_array_equal(
                getattr(got.events, part), getattr(events, part), strict=True
            )
        assert (got.now, got.counted) == (alone.now, alone.counted)
    assert alone.counted.out_of_range > 0
