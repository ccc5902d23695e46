"""How many events land where each one does, for many shifts in turn: compiled loops."""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.motion.warp import warp_point

ACROSS = 160  # cells of an image of warped events across the sensor


@numba.njit(nogil=True, cache=True)
def places_of(x, y, t, end, motion, cell, span):  # type: ignore[no-untyped-def]
    """Place (cells) of each event at `end` along a motion (px/s), and its age (0 to 1)."""
    n = len(t)
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    u, v, age = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        # Somewhere in its pixel, so that rest is not favoured (Roberts' sequence, 2018).
        px, py = x[i] + (0.7548777 * i) % 1.0 - 0.5, y[i] + (0.5698403 * i) % 1.0 - 0.5
        tau = (end - t[i]) * 1e-9
        wx, wy = warp_point(a0, a1, a2, b0, b1, b2, px, py, tau)
        u[i], v[i], age[i] = (wx + 0.5) / cell, (wy + 0.5) / cell, tau / span
    return u, v, age


@numba.njit(nogil=True, cache=True)
def logarithms(n):  # type: ignore[no-untyped-def]
    """float32 [n + 2]: logarithms, 0 of 0."""
    table = np.zeros(n + 2, np.float32)
    for k in range(1, n + 2):
        table[k] = np.log(k)
    return table


@numba.njit(nogil=True, cache=True, fastmath=True)
def land(u, v, age, dx, dy, rows, table, out):  # type: ignore[no-untyped-def]
    """out[i]: logarithm of how many events land in the cell of each one, shifted by its age."""
    count = np.zeros(rows * ACROSS, np.int32)
    where = np.empty(len(u), np.int32)
    for i in range(len(u)):
        j, k = u[i] + age[i] * dx, v[i] + age[i] * dy
        inside = (j >= 0) & (k >= 0) & (j < ACROSS) & (k < rows)
        where[i] = np.int32(k) * ACROSS + np.int32(j) if inside else -1
        if inside:
            count[where[i]] += 1
    for i in range(len(u)):
        out[i] = table[count[where[i]]] if where[i] >= 0 else 0
