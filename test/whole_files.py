"""What a recording holds, and what a stream that got all of it counted."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np

from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.recordings.readers import open_recording

VGA = (640, 480)


def some_events(n=20_000, size=VGA, span_us=500_000, seed=3):
    """Events all over a sensor, in whole us, at 40 kev/s if not said otherwise."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(1, span_us, n)) * 1000
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    return Events.from_arrays(x, y, t, rng.integers(0, 2, n), *size)


def run(path: Path, **options):
    """The recording as opened, its windows and the stream's counters."""
    stream = PacketStream(WindowConfig())
    with open_recording(path, **options) as recording:
        windows = [window for window, _ in windows_of(recording, stream)]
    assert all(a.stamp <= b.stamp for a, b in pairwise(windows))
    return recording, windows, stream.stats


def aedat_3(e: Events, source: int) -> bytes:
    """A packet of AEDAT 3.1."""
    data = e.x.astype(np.uint32) << 17 | e.y.astype(np.uint32) << 2 | e.p << 1 | 1
    words = np.column_stack([data, (e.t // 1000).astype(np.uint32)]).astype("<u4")
    n = len(e)
    return struct.pack("<hhiiiiii", 1, source, 8, 4, 0, n, n, n) + words.tobytes()
