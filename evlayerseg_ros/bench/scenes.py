"""Synthetic events for measurements: as many as asked for, laid out as a sensor sends them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evlayerseg_ros.events.types import Events, Window

# Sensor time of a packet: about what camera drivers send, and one high time word of EVT 3.0.
PACKET_NS = 4_096_000


def packets(
    width: int, height: int, mev_s: float, count: int, begin: int = PACKET_NS
) -> Iterator[Events]:
    """A dotted background that drifts and a dotted box that overtakes it.

    Sensors read out rows: the busier the scene, the more events of a row share a microsecond.

    Args:
        width, height: of the sensor, px.
        mev_s: million events per second.
        count: how many packets of PACKET_NS each.
        begin: sensor time of the first one, ns.

    Yields:
        Events with times of whole us, all different, in the order of t, y, p, x; a few less than
        asked for, because no pixel fires twice in a microsecond.
    """
    rng = np.random.default_rng(0)
    dots = max(50, width * height // 40)
    boxed = np.arange(dots) < dots // 5
    places = rng.random((dots, 2)) * (width, height)
    places[boxed] = (0.2, 0.4) * np.array([width, height]) + places[boxed] / 4
    speed = np.where(boxed, 0.4, 0.1) * width * 1e-6  # px/us
    row = 1 + min(3, int(mev_s / 8))  # events of a row that share a time
    for k in range(count):
        bursts = round(mev_s * PACKET_NS * 1e-3 / row)
        t = rng.integers(0, PACKET_NS // 1000, bursts) + (begin + k * PACKET_NS) // 1000
        dot = rng.integers(0, dots, bursts)
        gaps = rng.integers(1, 30, (bursts, row)).cumsum(1)
        since = (t - begin // 1000) * speed[dot]
        x = (places[dot, 0] + since).astype(np.int64)[:, None] + gaps
        y = (places[dot, 1] + rng.integers(0, 3, bursts)).astype(np.int64) % height
        t, y, p = (np.repeat(a, row) for a in (t, y, rng.integers(0, 2, bursts)))
        yield _sorted(x.reshape(-1) % width, y, t, p, width, height)


def window(width: int, height: int, mev_s: float, seconds: float = 0.033) -> Window:
    """One window of such a scene."""
    count = round(seconds * 1e9 / PACKET_NS)
    events = Events.concatenate(list(packets(width, height, mev_s, count)))
    end = int(events.t[-1])
    return Window(events, PACKET_NS, end, end)


def _sorted(
    x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray, width: int, height: int
) -> Events:
    key = np.unique(((t * height + y) * 2 + p) * width + x)
    rest, x = np.divmod(key, width)
    rest, p = np.divmod(rest, 2)
    t, y = np.divmod(rest, height)
    return Events.from_arrays(x, y, t * 1000, p, width, height)
