"""Contrast maximisation at run time: shift each moving layer's motion until its events are sharp.

The network's answer is the start; a few steps uphill follow on the sum of squared counts in the
image of warped events, from coarse to fine (Gallego et al., CVPR 2018 and 2019). Only the layer's
translation is free: its deformation would rather pull all events together (event collapse, Shiba et
al., Sensors 2022), and a background that fills the image gains nothing. A background whose
events are clearly sharper where they happened stands still, whatever the network says.
"""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.events.warp import carry
from evlayerseg_ros.inference.segmentation import Segmentation

EVENTS = 10_000  # looked at; more do not make it better
FEWEST = 100  # of a layer
SCALES = (8, 4, 2)  # px per pixel of the image of warped events, one after the other
STEPS = 12  # at each scale
REST = 1.05  # how many times sharper at rest a background must be to be taken for still


def sharpen(found: Segmentation) -> np.ndarray:
    """The layers' motions after contrast maximisation.

    Args:
        found: a window's layers.

    Returns:
        float64 [L, 2, 3], px/s: of the background as it was, or none where its events are clearly
        sharper at rest; the others shifted.
    """
    window, affine = found.window, found.affine.copy()
    part = found.thinned(EVENTS)
    some, labels = part.window.events, part.event_labels
    size = (some.width, some.height)
    image = np.empty((size[0] // SCALES[-1] + 2) * (size[1] // SCALES[-1] + 2), np.float32)
    for layer in range(len(affine)):
        mine = np.flatnonzero(labels == layer)
        if len(mine) < FEWEST:
            continue
        x, y, t = some.x[mine], some.y[mine], some.t[mine]
        at = _carried(x, y, t, window.start, window.end, affine[layer])
        if layer > 0:
            affine[layer, :, 2] += np.array(_climb(at, SCALES, *size, image)) / window.duration
        else:
            rest = _carried(x, y, t, window.start, window.end, np.zeros((2, 3)))
            sharp, at_rest = (
                _contrast(a, 0.0, 0.0, SCALES[-1], *size, image)[0] for a in (at, rest)
            )
            if at_rest > REST * sharp:
                affine[layer] = 0
    return affine


@numba.njit(nogil=True, cache=True)
def _carried(x, y, t, start, end, motion):  # type: ignore[no-untyped-def]
    """float32 [N, 3]: each event's place (px) at the window's end, and its age, 0 to 1."""
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    at = np.empty((len(t), 3), np.float32)
    for i in range(len(t)):
        tau = (end - t[i]) * 1e-9
        at[i, 0], at[i, 1] = carry(a0, a1, a2, b0, b1, b2, float(x[i]), float(y[i]), tau)
        at[i, 2] = (end - t[i]) / (end - start)
    return at


@numba.njit(nogil=True, cache=True)
def _climb(at, scales, width, height, image):  # type: ignore[no-untyped-def]
    """Displacement (px over the window) to add to that of the events, uphill from none."""
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


# Fast, but comparisons with a motion that is no number must stay what they are.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
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
