"""Windows of points that drift, whose motions are known."""

import numpy as np

from evlayerseg_ros.events import Events, Window

LENGTH = 30_000_000  # ns of a window


def drifting(
    index: int, size: tuple[int, int], rng: np.random.Generator,
    *layers: tuple[np.ndarray, tuple[float, float]],
) -> Window:  # fmt: skip
    """The window of that number: points [N, 2], px, that fire all the time while they go a way, px.

    They are at their places when it begins.
    """
    width, height = size
    t = np.sort(rng.uniform(0, LENGTH, 40))
    x, y = (
        np.concatenate([points[:, i : i + 1] + way[i] * t / LENGTH for points, way in layers])
        for i in (0, 1)
    )
    t = np.broadcast_to(t, x.shape)
    order = np.argsort(t, axis=None, kind="stable")
    x, y, t = (values.ravel()[order].astype(np.int64) for values in (x, y, t))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    start = index * LENGTH
    x, y, t = x[inside], y[inside], t[inside] + start
    events = Events.from_arrays(x, y, t, np.arange(len(t)) % 2, width, height)
    return Window(events, start, start + LENGTH, start + LENGTH)


def shift(u: float, v: float) -> np.ndarray:
    """float64 [2, 3]: a motion that shifts everything by (u, v) px/s."""
    return np.array([[0, 0, u], [0, 0, v]], float)


def flow_at(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float64 [N, 2]: velocity of an affine motion at points, px/s."""
    return points @ motion[:, :2].T + motion[:, 2]


def carried(
    size: tuple[int, int], rng: np.random.Generator, span: int,
    *layers: tuple[np.ndarray, np.ndarray], firings: int = 30,
) -> Events:  # fmt: skip
    """Points [N, 2], px, that fire at random instants of the `span` ns before they are there.

    By the affine convention: what is at X at the end was at X - tau u(X) tau seconds before.
    """
    x, y, t = [], [], []
    for points, motion in layers:
        age = rng.random((firings, len(points)))
        at = points - (age[..., None] * span * 1e-9) * flow_at(motion, points)
        x.append(np.round(at[..., 0]).ravel())
        y.append(np.round(at[..., 1]).ravel())
        t.append(((1 - age) * span).ravel())
    x, y, t = (np.concatenate(part).astype(np.int64) for part in (x, y, t))
    keep = np.flatnonzero((x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1]))
    keep = keep[np.argsort(t[keep], kind="stable")]
    return Events.from_arrays(x[keep], y[keep], t[keep], np.arange(len(keep)) % 2, *size)
