"""Contrast maximisation: move events until they are sharp.

A motion is improved by a few steps uphill on the sum of squared counts in the image of warped
events, from coarse to fine (Gallego et al., CVPR 2018 and 2019). A moving object is only shifted:
its deformation would rather pull all its events together (event collapse, Shiba et al., Sensors
2022). The background fills the image and may deform a little.
"""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.warp import warp_point, within_pixel

FEWEST_FOR_MOTION = 100  # events from which on one can be read
STEPS = 8  # at each scale
# px per pixel of the images of warped events, one after the other
SCALES = (8.0, 4.0, 2.0)
BACKGROUND_SCALES = (2.0,)
# What a squared px away from the start costs, in logarithms of contrast: of the shift, and of the
# deformation at half the image's width. FREE costs nothing, FIXED cannot move.
FREE, FIXED = 0.0, np.inf
BACKGROUND_TIE = (0.0003, 0.003)


def maximise_contrast(
    window: Window, mine: np.ndarray, motion: np.ndarray, scales: tuple[float, ...] = SCALES,
    tie: float = FREE, stiff: float = FIXED,
) -> np.ndarray:  # fmt: skip
    """The motion near a given one that makes some events sharpest.

    Args:
        window: the events.
        mine: int [N], indices of those that follow the motion.
        motion: float64 [2, 3], px/s.
        scales: px per pixel of a 640 px wide sensor, of one image after the other.
        tie, stiff: what the shift and the deformation cost, see FREE and FIXED.

    Returns:
        float64 [2, 3], px/s.
    """
    width, height, image = room_for(window)
    at = warp_some(window, mine, motion)
    px = np.array(scales) * width / 640
    shift = _uphill(at, px, tie, stiff, width, height, image)
    half, middle = width / 2, np.array((width, height)) / 2
    linear = shift[:, 1:] / half
    more = np.column_stack((linear, shift[:, 0] - linear @ middle))
    return motion + more / window.duration


def sharpness(
    window: Window, mine: np.ndarray, motion: np.ndarray, scale: float = SCALES[-1]
) -> float:
    """Sum of squares of the image of warped events of the events at `mine`, along a motion."""
    width, height, image = room_for(window)
    at = warp_some(window, mine, motion)
    return float(contrast(at, np.zeros(6), scale * width / 640, width, height, image))


def warp_some(window: Window, mine: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float32 [N, 3]: place at the window's end and age (0 to 1) of the events at `mine`.

    Places are in px; each event has one of its own within its pixel (see within_pixel).
    """
    some = window.events
    return _warp(some.x[mine], some.y[mine], some.t[mine], window.start, window.end, motion)


def way_apart(window: Window, mine: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """How far (px over the window) two motions take the events at `mine` apart."""
    a, b = (warp_some(window, mine, motion) for motion in (one, other))
    return float(np.linalg.norm((a - b)[:, :2], axis=1).sum() / max(a[:, 2].sum(), 1e-9))


def room_for(window: Window) -> tuple[int, int, np.ndarray]:
    """Width and height of the sensor, and room for the largest image of warped events."""
    width, height = window.events.width, window.events.height
    scale = min(SCALES) * width / 640
    room = (int(width // scale) + 3) * (int(height // scale) + 3)
    return width, height, np.empty(room, np.float32)


@numba.njit(nogil=True, cache=True)
def _warp(x, y, t, start, end, motion):  # type: ignore[no-untyped-def]
    """float32 [N, 3]: each event's place (px) at the window's end, and its age, 0 to 1."""
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    at = np.empty((len(t), 3), np.float32)
    for i in range(len(t)):
        tau = (end - t[i]) * 1e-9
        right, down = within_pixel(i)
        px, py = x[i] + right, y[i] + down
        at[i, 0], at[i, 1] = warp_point(a0, a1, a2, b0, b1, b2, px, py, tau)
        at[i, 2] = (end - t[i]) / (end - start)
    return at


@numba.njit(nogil=True, cache=True)
def _uphill(at, scales, tie, stiff, width, height, image):  # type: ignore[no-untyped-def]
    """float64 [2, 3]: displacement over the window to add to that of the events, from none.

    Rows u and v (px): at the middle of the image, and how it changes from there to the right and to
    below by half the image's width.
    """
    cost = np.array([tie, stiff, stiff, tie, stiff, stiff])
    free = np.isfinite(cost)
    cost = np.where(free, cost, 0.0)
    moved = np.zeros(6)
    for scale in scales:
        frame = (scale, width, height, image)
        start = contrast(at, moved, *frame)
        if not start > 0:
            break
        slope = contrast_slope(at, moved, *frame)
        best = -(cost * moved * moved).sum()
        slope = free * slope / start - 2 * cost * moved
        step = 0.75 * scale
        for _ in range(STEPS):
            steepness = np.sqrt((slope * slope).sum())
            if not steepness > 0 or step < 0.05 * scale:
                break
            there = moved + step * slope / steepness
            sharp = contrast(at, there, *frame)
            value = np.log(max(sharp, 1e-9) / start) - (cost * there * there).sum()
            if value > best:
                moved, best = there, value
                slope = free * contrast_slope(at, moved, *frame) / sharp - 2 * cost * moved
                step *= 1.3
            else:
                step *= 0.4
    return moved.reshape(2, 3)


@numba.njit(nogil=True, cache=True, inline="always")
def _grid(moved, scale, width, height):  # type: ignore[no-untyped-def]
    """Columns and rows of the image of warped events, and `moved` as two rows of x, y, 1."""
    half = width / 2
    u0, u1, u2, v0, v1, v2 = moved
    u1, u2, v1, v2 = u1 / half, u2 / half, v1 / half, v2 / half
    u0, v0 = u0 - u1 * half - u2 * height / 2, v0 - v1 * half - v2 * height / 2
    return int(width // scale) + 1, int(height // scale) + 1, (u1, u2, u0), (v1, v2, v0)


# Fast, but comparisons with a motion that is no number must stay what they are.
FAST = {"reassoc", "contract", "arcp", "nsz"}


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def contrast(at, moved, scale, width, height, image):  # type: ignore[no-untyped-def]
    """Sum of squares of the image of warped events, which it leaves in `image`.

    Args:
        at: float32 [N, 3], place (px) and age (0 to 1) of the events.
        moved: float64 [6], what to add to their displacement over the window; see _uphill.
        scale: px per pixel of the image.
        width, height: of the sensor, px.
        image: room for it; see room_for.
    """
    columns, rows, (ux, uy, u0), (vx, vy, v0) = _grid(moved, scale, width, height)
    used = image[: columns * rows]
    used[:] = 0
    one, per_px = np.float32(1), 1 / scale
    for i in range(len(at)):
        x, y, age = at[i, 0], at[i, 1], at[i, 2]
        u = (x + age * (u0 + ux * x + uy * y)) * per_px
        v = (y + age * (v0 + vx * x + vy * y)) * per_px
        if not (0 <= u < columns - 1 and 0 <= v < rows - 1):
            continue
        j, k = int(u), int(v)
        fu, fv = np.float32(u - j), np.float32(v - k)
        here = k * columns + j
        used[here] += (one - fu) * (one - fv)
        used[here + 1] += fu * (one - fv)
        used[here + columns] += (one - fu) * fv
        used[here + columns + 1] += fu * fv
    squares = np.float32(0)
    for i in range(len(used)):
        squares += used[i] * used[i]
    return float(squares)


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def contrast_slope(at, moved, scale, width, height, image):  # type: ignore[no-untyped-def]
    """float64 [6]: slope of `contrast` along `moved`, from the image that it left."""
    columns, rows, (ux, uy, u0), (vx, vy, v0) = _grid(moved, scale, width, height)
    one, half, per_px = np.float32(1), width / 2, 1 / scale
    slope = np.zeros(6)
    for i in range(len(at)):
        x, y, age = at[i, 0], at[i, 1], at[i, 2]
        u = (x + age * (u0 + ux * x + uy * y)) * per_px
        v = (y + age * (v0 + vx * x + vy * y)) * per_px
        if not (0 <= u < columns - 1 and 0 <= v < rows - 1):
            continue
        j, k = int(u), int(v)
        fu, fv = np.float32(u - j), np.float32(v - k)
        here = k * columns + j
        n, e, s, se = image[here], image[here + 1], image[here + columns], image[here + columns + 1]
        across = age * ((e - n) * (one - fv) + (se - s) * fv)
        down = age * ((s - n) * (one - fu) + (se - e) * fu)
        slope[0] += across
        slope[1] += across * x
        slope[2] += across * y
        slope[3] += down
        slope[4] += down * x
        slope[5] += down * y
    for row in (0, 3):  # from sums of x and y to those of the way from the middle
        slope[row + 1] = slope[row + 1] / half - slope[row]
        slope[row + 2] = (slope[row + 2] - slope[row] * height / 2) / half
    return slope * (2 * per_px)
