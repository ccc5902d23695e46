"""Moving points along affine motions, for compiled loops over events and pixels."""

from __future__ import annotations

import numba


@numba.njit(nogil=True, cache=True, inline="always")
def warp_point(a0, a1, a2, b0, b1, b2, x, y, tau):  # type: ignore[no-untyped-def]
    """Where a layer's point at (x, y) is tau seconds later, when the window ends.

    The velocity u = a0 X + a1 Y + a2, v = b0 X + b1 Y + b2 (px/s) holds at the window's end, so
    this solves X - tau u(X) = (x, y) (see Segmentation).
    """
    m00, m01 = 1 - tau * a0, -tau * a1
    m10, m11 = -tau * b0, 1 - tau * b1
    px, py = x + tau * a2, y + tau * b2
    inverse = m00 * m11 - m01 * m10
    # A window in which a layer collapses to a line has no meaning: leave the point where it is.
    inverse = 1 / inverse if abs(inverse) > 1e-6 else 0.0
    return (px * m11 - py * m01) * inverse, (py * m00 - px * m10) * inverse
