"""Each window has the frame_id of the camera that saw it, where cameras are swapped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streams import noise

from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node.worker import Worker
from evlayerseg_ros.pipeline import windows_of

MS = 1_000_000


def swapped():
    """Packets of a camera, then of one of another size that says another frame_id."""
    packets = []
    for frame_id, size, begin in (("left", (64, 48), 0), ("right", (32, 24), 200 * MS)):
        events = noise(4000, size, 100 * MS)
        for k in range(0, 100, 10):
            first, last = np.searchsorted(events.t, (k * MS, (k + 10) * MS))
            part = events[first:last]
            part = replace(part, t=part.t + begin)
            packets.append(Packet.of_events(part, frame_id=frame_id))
    return packets


def right(seen):
    """Whether sizes and names belong together, and how many windows each camera has."""
    assert {(window.events.width, frame_id) for window, frame_id in seen} == {
        (64, "left"), (32, "right"),
    }  # fmt: skip
    return [sum(name == frame_id for _, name in seen) for frame_id in ("left", "right")]


def test_of_a_recording():
    assert right(list(windows_of(swapped(), PacketStream(WindowConfig())))) == [4, 4]


def test_of_the_node():
    seen, worker = [], None
    worker = Worker(
        PacketStream(WindowConfig()),
        read=lambda packet, arrived: packet,
        segment=lambda window: window,
        forget=lambda: None,
        wanted=lambda: True,
        publish=lambda window, segmentation, frame_id, arrived: seen.append((window, frame_id)),
        measure=lambda latency: None,
        report=pytest.fail,
        max_windows=1000,
        max_wait=60.0,
    )
    for packet in swapped():
        worker.put(packet, len(packet.events))
        worker._decode()
        while worker.backlog:
            worker._segment_next()
    assert right(seen) == [4, 3]  # the last window is still open
