"""Masks that end at their object's outline.

The network says about where an object is, on a coarse map. Its exact outline shows in the events:
carried along the object's motion to the window's end they meet on its edges, while those of
everything else smear. So only a core well inside of the mask and what is well outside of it are
kept, and both grow towards each other over the image of warped events from its valleys up; they
meet on the crest (watershed by flooding: Meyer, "Un algorithme optimal pour la ligne de partage des
eaux", 1991).
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numba
import numpy as np

from evlayerseg_ros.motion.warp import cell_at, warp_point
from evlayerseg_ros.segmentation.segmentation import Segmentation

ACROSS = 320  # cells across the sensor in which the outlines of large objects are traced
LARGE = 0.12  # of the image, box of an object
# px on a sensor 640 px wide:
CORE = 10.0  # distance from the mask's border of what surely belongs to it
APART = 7.0  # distance from the mask of what surely does not
CORE_SHARE = 0.3  # of the largest distance from the border: the core of a small mask
BLUR = 1.0  # standard deviation of the blur that closes gaps in the outline
COUNT = 20  # grey levels of one event; 12 are the highest crest


def refine_outlines(found: Segmentation) -> Segmentation:
    """The same layers, with each moving one's border on the outline that its events draw.

    Args:
        found: a window's layers.
    """
    if not found.labels.any():
        return found
    labels = found.labels.copy()
    margin = int(APART * labels.shape[1] / 640) + 2
    for layer in range(len(found.affine) - 1, 0, -1):
        mask = (labels == layer).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        large = width * height > LARGE * labels.size
        cell = max(1, round(labels.shape[1] / ACROSS)) if large else 1
        scale = labels.shape[1] / 640 / cell
        top, left = (max(at - margin, 0) // cell * cell for at in (y, x))
        here = labels[top : y + height + margin, left : x + width + margin]
        coarse = mask[top : y + height + margin : cell, left : x + width + margin : cell]
        marks = _marks(np.ascontiguousarray(coarse), scale)
        image = np.zeros(marks.shape, np.uint8)
        events, end = found.window.events, found.window.end
        _splat(events.x, events.y, events.t, end, found.affine[layer], left, top, cell, image)
        _flood(cv2.GaussianBlur(image, (0, 0), max(BLUR * scale, 0.6)), marks)
        grown = cv2.resize((marks == 2) * np.uint8(255), None, fx=cell, fy=cell)
        grown = grown[: here.shape[0], : here.shape[1]] > 127
        here[(here == layer) & ~grown] = 0
        here[(here == 0) & grown] = layer
    return replace(found, labels=labels)


def _marks(mask: np.ndarray, scale: float) -> np.ndarray:
    """uint8 of the mask's shape: 2 surely of the layer, 1 surely not, 0 to be seen."""
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
    core = inside > min(CORE * scale, CORE_SHARE * float(inside.max()))
    return core * np.uint8(2) + (outside > APART * scale)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _splat(x, y, t, end, motion, left, top, cell, image):  # type: ignore[no-untyped-def]
    """Counts the events where they are at the window's end, COUNT levels each."""
    rows, columns = image.shape
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    per_px, where = 1 / cell, np.empty(len(t), np.int32)
    for i in range(len(t)):
        u, v = warp_point(a0, a1, a2, b0, b1, b2, x[i], y[i], (end - t[i]) * 1e-9)
        where[i] = cell_at((u - left + 0.5) * per_px, (v - top + 0.5) * per_px, rows, columns)
    flat = image.ravel()  # of the same memory
    for at in where:
        if at >= 0:
            flat[np.uintp(at)] = min(flat[np.uintp(at)] + COUNT, 12 * COUNT)


@numba.njit(nogil=True, cache=True)
def _flood(height, marks):  # type: ignore[no-untyped-def]
    """Gives every unmarked pixel the mark that reaches it over the lowest crest; in place."""
    rows, columns = marks.shape
    # A queue for each level: its first and last pixel, and of each pixel the one behind it.
    first, last = np.full(256, -1, np.int32), np.full(256, -1, np.int32)
    behind = np.full(rows * columns, -1, np.int32)
    for row in range(rows):
        for column in range(columns):
            if marks[row, column] and _borders(marks, row, column):
                _queue(row * columns + column, 0, first, last, behind)
    for level in range(256):
        while first[level] >= 0:
            at = first[level]
            first[level] = behind[at]
            row, column = at // columns, at % columns
            for j, k in (
                (row, column - 1),
                (row, column + 1),
                (row - 1, column),
                (row + 1, column),
            ):
                if 0 <= j < rows and 0 <= k < columns and marks[j, k] == 0:
                    marks[j, k] = marks[row, column]
                    _queue(j * columns + k, max(level, int(height[j, k])), first, last, behind)


@numba.njit(nogil=True, cache=True, inline="always")
def _borders(marks, row, column):  # type: ignore[no-untyped-def]
    """Whether a pixel has an unmarked neighbour: no other one can give its mark to any."""
    rows, columns = marks.shape
    return (
        (column > 0 and marks[row, column - 1] == 0)
        or (column + 1 < columns and marks[row, column + 1] == 0)
        or (row > 0 and marks[row - 1, column] == 0)
        or (row + 1 < rows and marks[row + 1, column] == 0)
    )


@numba.njit(nogil=True, cache=True, inline="always")
def _queue(at, level, first, last, behind):  # type: ignore[no-untyped-def]
    """Puts a pixel at the end of a level's queue."""
    if first[level] < 0:
        first[level] = at
    else:
        behind[last[level]] = at
    last[level] = at
    behind[at] = -1
