"""Events and streams of packets for tests, and what comes out of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Events
from evlayerseg_ros.events.window import WindowConfig

MS = 1_000_000
STAMP = 1_700_000_000_000_000_000


def events_at(t):
    n = len(t)
    k = np.arange(n)
    return Events.from_arrays(k % 64, k % 48, np.asarray(t, np.int64), k % 2, 64, 48)


def noise(n, size, span, begin=0, seed=3):
    """n events all over a sensor, at random times in `span` ns from `begin` on."""
    rng = np.random.default_rng(seed)
    x, y, p = (rng.integers(0, side, n) for side in (*size, 2))
    return Events.from_arrays(x, y, begin + np.sort(rng.integers(0, span, n)), p, *size)


def save(path, events, **more):
    """Writes events as an npz recording, with further arrays; returns its path."""
    columns = {name: getattr(events, name) for name in "xytp"}
    np.savez(path, **columns, size=(events.width, events.height), **more)
    return path


def run(packets):
    stream, windows = PacketStream(WindowConfig()), []
    for packet in packets:
        windows += stream.push(packet)
    windows += stream.flush()
    assert all(a.stamp <= b.stamp for a, b in pairwise(windows))
    return windows, stream.stats
