"""What a stream keeps, however long it lasts."""

from __future__ import annotations

import tracemalloc

import pytest
from streams import STAMP

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.bench.scenes import packets as scene
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig

SIZE = (64, 48)


@pytest.mark.slow
def test_long_days_leave_nothing_behind():
    """What a stream keeps does not grow with time, whatever happens to its packets."""
    stream = PacketStream(WindowConfig())
    sent = [
        Packet("evt3", *SIZE, 0, encode("evt3", events), STAMP + k * PACKET_NS, k)
        for k, events in enumerate(scene(*SIZE, 0.02, 64))
    ]

    def turns(n):
        """A short recording that loops, with a packet lost and one doubled in each turn."""
        for _ in range(n):
            for packet in [*sent[:20], sent[19], *sent[21:]]:
                stream.push(packet)

    turns(20)
    tracemalloc.start()
    turns(20)
    before, _ = tracemalloc.get_traced_memory()
    turns(60)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2000
    assert stream.stats.restarts == 99
