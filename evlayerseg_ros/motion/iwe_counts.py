"""Counts in images of warped events (IWE): how many events land in the cell of each one."""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.motion.warp import warp_point, within_pixel

ACROSS = 160  # cells of an image of warped events across the sensor


@numba.njit(nogil=True, cache=True)
def warp_to_cells(x, y, t, end, motion, cell, span):  # type: ignore[no-untyped-def]
    """Where each event is at `end` along a motion (px/s), in cells, and its age (0 to 1)."""
    n = len(t)
    (a0, a1, a2), (b0, b1, b2) = motion[0], motion[1]
    u, v, age = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        right, down = within_pixel(i)  # so that rest is not favoured
        tau = (end - t[i]) * 1e-9
        wx, wy = warp_point(a0, a1, a2, b0, b1, b2, x[i] + right, y[i] + down, tau)
        u[i], v[i], age[i] = (wx + 0.5) / cell, (wy + 0.5) / cell, tau / span
    return u, v, age


@numba.njit(nogil=True, cache=True)
def log_table(n):  # type: ignore[no-untyped-def]
    """float32 [n + 2]: logarithms, 0 of 0."""
    table = np.zeros(n + 2, np.float32)
    for k in range(1, n + 2):
        table[k] = np.log(k)
    return table


@numba.njit(nogil=True, cache=True, fastmath=True)
def log_counts(u, v, age, dx, dy, rows, table, count, where, out):  # type: ignore[no-untyped-def]
    """out[i]: logarithm of how many events land in the cell of each one, shifted by its age.

    `count` (uint16 [rows * ACROSS + 1]) and `where` (int32 [N]) are a `workspace`.
    """
    count[:] = 0
    nowhere = np.int32(rows * ACROSS)
    for i in range(len(u)):  # without branches or scattered writes: eight or more at once
        j, k = u[i] + age[i] * dx, v[i] + age[i] * dy
        inside = (j >= 0) & (k >= 0) & (j < ACROSS) & (k < rows)
        where[i] = np.int32(k) * np.int32(ACROSS) + np.int32(j) if inside else nowhere
    for i in range(len(u)):
        count[np.uintp(where[i])] += 1
    count[nowhere] = 0
    for i in range(len(u)):
        out[i] = table[count[np.uintp(where[i])]]


@numba.njit(nogil=True, cache=True)
def workspace(n, rows):  # type: ignore[no-untyped-def]
    """`count` and `where` for `log_counts`: 16 bits, so that cells stay in the first cache."""
    return np.empty(rows * ACROSS + 1, np.uint16), np.empty(n, np.int32)
