"""Contrast maximisation at run time: move each layer until its events are sharp.

The network's answer is the start; a few steps uphill follow on the sum of squared counts in the
image of warped events, from coarse to fine (Gallego et al., CVPR 2018 and 2019). A moving layer is
only shifted: its deformation would rather pull all its events together (event collapse, Shiba et
al., Sensors 2022). The background fills the image and may deform a little. A background whose
events are about as sharp where they happened stands still.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numba
import numpy as np

from evlayerseg_ros.motion.warp import carry
from evlayerseg_ros.segmentation.segmentation import Segmentation

EVENTS = 10_000  # looked at; more do not make it better
FEWEST = 100  # of a layer
STEPS = 8  # at each scale
REST = 0.97  # how many times as sharp at rest a background must be to be taken for still
# Events per pixel of the background, as a share of the densest layer's: with fewer they are noise,
# the camera stands still, and no motion is to be read from them.
EMPTY = 0.004
MARGIN = 15  # px of 640 around moving layers in which no event is taken for the background's
# px per pixel of the images of warped events, one after the other
SCALES = (8.0, 4.0, 2.0)
BACKGROUND_SCALES = (4.0, 2.0)
# What a squared px away from the network's answer costs, in logarithms of contrast: of the shift,
# and of the deformation at half the image's width. FREE costs nothing, FIXED cannot move.
FREE, FIXED = 0.0, np.inf
BACKGROUND_TIE = (0.0003, 0.003)


def sharpen(found: Segmentation) -> np.ndarray:
    """The layers' motions after contrast maximisation.

    Args:
        found: a window's layers.

    Returns:
        float64 [L, 2, 3], px/s: moving layers shifted; the background's motion improved, or none
        where hardly any events are its own.
    """
    affine = found.affine.copy()
    part = found.thinned(EVENTS)
    labels = part.event_labels
    for layer in range(1, len(affine)):
        mine = np.flatnonzero(labels == layer)
        if len(mine) >= FEWEST:
            affine[layer] += climb(part, mine, affine[layer], SCALES, FREE, FIXED)
    if part.density[0] < EMPTY * part.density.max():
        affine[0] = 0
        return affine
    mine = _far_from_moving(found, part)
    if len(mine) >= FEWEST:
        affine[0] += climb(part, mine, affine[0], BACKGROUND_SCALES, *BACKGROUND_TIE)
    return affine


def settle(found: Segmentation) -> Segmentation:
    """The same with a background at rest, if its motion makes its events hardly any sharper."""
    part = found.thinned(EVENTS)
    mine = _far_from_moving(found, part)
    if len(mine) < FEWEST:
        return found
    none = np.zeros(6)
    moved, at_rest = (
        contrast(carried_by(part, mine, motion), none, SCALES[-1], *frame_of(part))
        for motion in (found.affine[0], np.zeros((2, 3)))
    )
    if at_rest <= REST * moved:
        return found
    return replace(found, affine=np.concatenate((np.zeros((1, 2, 3)), found.affine[1:])))


def _far_from_moving(found: Segmentation, part: Segmentation) -> np.ndarray:
    """Indices of the events of `part` that lie well outside of what moves."""
    margin = round(MARGIN * found.labels.shape[1] / 640)
    x, y, width, height = cv2.boundingRect((found.labels > 0).view(np.uint8))
    grown = found.labels
    if width:
        side = 2 * margin + 1
        top, left = max(y - margin, 0), max(x - margin, 0)
        box = np.s_[top : y + height + margin, left : x + width + margin]
        grown = grown.copy()
        grown[box] = cv2.dilate(grown[box], np.ones((side, side), np.uint8))
    return np.flatnonzero(replace(part, labels=grown).event_labels == 0)


def climb(
    found: Segmentation, mine: np.ndarray, motion: np.ndarray, scales: tuple[float, ...],
    tie: float, stiff: float,
) -> np.ndarray:  # fmt: skip
    """float64 [2, 3], px/s: what to add to a motion to make the events at `mine` sharp.

    Args:
        found: a window's layers.
        mine: indices of a layer's events.
        motion: float64 [2, 3], px/s.
        scales: px per pixel, of one image after the other.
        tie, stiff: what the shift and the deformation cost, see FREE and FIXED.
    """
    frame = frame_of(found)
    at = carried_by(found, mine, motion)
    shift = _uphill(at, np.array(scales), tie, stiff, *frame)
    half, middle = frame[0] / 2, np.array(frame[:2]) / 2
    linear = shift[:, 1:] / half
    return np.column_stack((linear, shift[:, 0] - linear @ middle)) / found.window.duration


def carried_by(found: Segmentation, mine: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float32 [N, 3]: place (px) at the window's end and age (0 to 1) of the events at `mine`."""
    window, some = found.window, found.window.events
    return _carried(some.x[mine], some.y[mine], some.t[mine], window.start, window.end, motion)


def way_apart(one: np.ndarray, other: np.ndarray) -> float:
    """How far (px over the window) two motions are apart that carry the same events.

    Args:
        one, other: float32 [N, 3], what carried_by makes of them.
    """
    apart = np.linalg.norm((one - other)[:, :2], axis=1).sum()
    return float(apart / max(one[:, 2].sum(), 1e-9))


def frame_of(found: Segmentation) -> tuple[int, int, np.ndarray]:
    """Width and height of the sensor, and room for the largest image of warped events."""
    height, width = found.labels.shape
    scale = int(min(SCALES))
    return width, height, np.empty((width // scale + 2) * (height // scale + 2), np.float32)


@numba.njit(nogil=True, cache=True)
def _carried(x, y, t, start, end, motion):  # type: ignore[no-untyped-def]
    """float32 [N, 3]: each event's place (px) at the window's end, and its age, 0 to 1."""
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    at = np.empty((len(t), 3), np.float32)
    for i in range(len(t)):
        tau = (end - t[i]) * 1e-9
        # Somewhere in its pixel (a low-discrepancy sequence: Roberts, 2018): events at whole pixels
        # would look sharpest where they are not moved at all.
        px, py = x[i] + (0.7548777 * i) % 1.0 - 0.5, y[i] + (0.5698403 * i) % 1.0 - 0.5
        at[i, 0], at[i, 1] = carry(a0, a1, a2, b0, b1, b2, px, py, tau)
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
        image: room for it; see frame_of.
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
