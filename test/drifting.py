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
