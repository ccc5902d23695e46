"""Contrast maximisation at run time: shift each moving layer's motion until its events are sharp.

The network's answer is the start; a few steps uphill follow on the sum of squared counts in the
image of warped events, from coarse to fine (Gallego et al., CVPR 2018 and 2019). Only the layer's
translation is free: its deformation would rather pull all events together (event collapse, Shiba et
al., Sensors 2022), and a background that fills the image gains nothing.
"""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.warp import carry
from evlayerseg_ros.inference.segmentation import Segmentation

EVENTS = 10_000  # looked at; more do not make it better
FEWEST = 100  # of a layer
SCALES = (8, 4, 2)  # px per pixel of the image of warped events, one after the other
FROM = 1
STEPS = 12  # at each scale


def sharpen(found: Segmentation) -> np.ndarray:
    """The layers' motions after contrast maximisation.

    Args:
        found: a window's layers.

    Returns:
        float64 [L, 2, 3], px/s: the background's as it was, the others shifted.
    """
    window, affine = found.window, found.affine.copy()
    events = window.events
    step = -(-len(events) // EVENTS)
    some = events[np.arange(0, len(events), step)]
    part = Segmentation(Window(some, window.start, window.end, window.stamp), found.labels, affine)
    labels = part.event_labels
    image = np.empty(
        (events.height // SCALES[-1] + 2) * (events.width // SCALES[-1] + 2), np.float32
    )
    for layer in range(FROM, len(affine)):
        mine = np.flatnonzero(labels == layer)
        if len(mine) >= FEWEST:
            shift = _climb(
                some.x[mine], some.y[mine], some.t[mine], window.end, window.end - window.start,
                affine[layer], events.width, events.height, SCALES, image,
            )  # fmt: skip
            affine[layer, :, 2] += np.array(shift) / window.duration
    return affine


@numba.njit(nogil=True, cache=True)
def _climb(x, y, t, end, span, motion, width, height, scales, image):  # type: ignore[no-untyped-def]
    """Displacement (px over the window) to add to a layer's, uphill from none."""
    a, b = motion[0], motion[1]
    at = np.empty((len(t), 3), np.float32)  # x, y at the window's end; age, 0 to 1
    for i in range(len(t)):
        u, v = carry(
            a[0], a[1], a[2], b[0], b[1], b[2], float(x[i]), float(y[i]), (end - t[i]) * 1e-9
        )
        at[i, 0], at[i, 1], at[i, 2] = u, v, (end - t[i]) / span
    du, dv = 0.0, 0.0
    for scale in scales:
        best, gu, gv = _contrast(at, du, dv, scale, width, height, image)
        step = 0.75 * scale
        for _ in range(STEPS):
            slope = (gu * gu + gv * gv) ** 0.5
            if slope == 0 or step < 0.05 * scale:
                break
            u, v = du + step * gu / slope, dv + step * gv / slope
            value, next_gu, next_gv = _contrast(at, u, v, scale, width, height, image)
            if value > best:
                du, dv, best, gu, gv = u, v, value, next_gu, next_gv
                step *= 1.3
            else:
                step *= 0.4
    return du, dv


@numba.njit(nogil=True, cache=True, fastmath=True)
def _contrast(at, du, dv, scale, width, height, image):  # type: ignore[no-untyped-def]
    """Sum of squares of the image of warped events, and its slope along the displacement."""
    columns, rows = width // scale + 1, height // scale + 1
    used = image[: columns * rows]
    used[:] = 0
    one = np.float32(1)
    for i in range(len(at)):
        u, v = (at[i, 0] + at[i, 2] * du) / scale, (at[i, 1] + at[i, 2] * dv) / scale
        if not (0 <= u < columns - 1 and 0 <= v < rows - 1):
            continue
        j, k = int(u), int(v)
        fu, fv = np.float32(u - j), np.float32(v - k)
        here = k * columns + j
        used[here] += (one - fu) * (one - fv)
        used[here + 1] += fu * (one - fv)
        used[here + columns] += (one - fu) * fv
        used[here + columns + 1] += fu * fv
    gu, gv = 0.0, 0.0
    for i in range(len(at)):
        u, v = (at[i, 0] + at[i, 2] * du) / scale, (at[i, 1] + at[i, 2] * dv) / scale
        if not (0 <= u < columns - 1 and 0 <= v < rows - 1):
            continue
        j, k = int(u), int(v)
        fu, fv = np.float32(u - j), np.float32(v - k)
        here = k * columns + j
        n, e, s, se = used[here], used[here + 1], used[here + columns], used[here + columns + 1]
        gu += at[i, 2] * ((e - n) * (one - fv) + (se - s) * fv)
        gv += at[i, 2] * ((s - n) * (one - fu) + (se - e) * fu)
    return (used * used).sum(), gu, gv
