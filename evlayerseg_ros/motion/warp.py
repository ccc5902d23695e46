"""Moving points along affine motions, for compiled loops over events and pixels."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, inline="always")
def warp_point(a0, a1, a2, b0, b1, b2, x, y, tau):  # type: ignore[no-untyped-def]
    """Where a layer's point at (x, y) is tau seconds later, when the window ends.

    The velocity u = a0 X + a1 Y + a2, v = b0 X + b1 Y + b2 (px/s) holds at the window's end, so
    this solves X - tau u(X) = (x, y) (see Segmentation). Approximate copies, which must follow:
    events/voxel.py (`_warp`, `_warp_each`) and motion/evidence.py (`_own`).
    """
    m00, m01 = 1 - tau * a0, -tau * a1
    m10, m11 = -tau * b0, 1 - tau * b1
    px, py = x + tau * a2, y + tau * b2
    inverse = m00 * m11 - m01 * m10
    # A window in which a layer collapses to a line has no meaning: leave the point where it is.
    inverse = 1 / inverse if abs(inverse) > 1e-6 else 0.0
    return (px * m11 - py * m01) * inverse, (py * m00 - px * m10) * inverse


@numba.njit(nogil=True, cache=True, inline="always")
def cell_at(u, v, rows, columns):  # type: ignore[no-untyped-def]
    """int32: the cell of a grid, row by row, that holds the point (u, v); -1 outside of it.

    Loops first write these for all events and then look the cells up: so several events are warped
    at once.
    """
    # Compared as numbers first: a wild motion may not fit an integer.
    inside = (u >= 0) & (v >= 0) & (u < columns) & (v < rows)
    return np.int32(v) * np.int32(columns) + np.int32(u) if inside else np.int32(-1)


@numba.njit(nogil=True, cache=True, inline="always")
def within_pixel(i):  # type: ignore[no-untyped-def]
    """A place within its pixel for event i: x and y, float32 from -0.5 to 0.5 px.

    Events at whole pixels would look sharpest where they are not moved at all. A low-discrepancy
    sequence (Roberts, 2018), as whole numbers: multiples of 0.7548777 and 0.5698403 times 2^32.
    """
    unit, half = np.float32(2.0**-32), np.float32(0.5)
    x = np.uint32(i) * np.uint32(3242174889)
    y = np.uint32(i) * np.uint32(2447445414)
    return np.float32(np.uint32(x)) * unit - half, np.float32(np.uint32(y)) * unit - half
