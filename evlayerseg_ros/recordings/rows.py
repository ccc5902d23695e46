"""Rows of tables as programs write them: polarities, times that wrap, rows of zeros."""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.recordings.ticks import Wraps

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# What -1 becomes in numbers without a sign.
_MINUS_ONE = tuple(float((1 << bits) - 1) for bits in (8, 16, 32, 64))
# Pairs of polarities that tables have; Matlab counts from 1.
PAIRS = ((-1, 0, 1), (0, 255), (1, 2), *((1, number) for number in _MINUS_ONE))
# So many rows of zeros, and more, are space that was never filled.
_ZEROS = 16


class Rows:
    """Makes the columns of a table sound, one chunk after the other.

    Args:
        zero: time (ns) of a row of zeros.
        first: the number of the sensor's first column and row.

    Attributes:
        zeros: rows of zeros that were left out.
    """

    def __init__(self, zero: int = 0, first: int = 0) -> None:
        self.zeros = 0
        self._zero, self._first = zero, first
        self._begun, self._alike = False, True  # whether all polarities were 1 so far
        self._off: float | None = None
        self._wraps = Wraps(1000)

    def sound(self, x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> Columns:
        """x, y (px), t (ns), p without rows of zeros; t goes on where it wrapped, p > 0 is ON."""
        zeros = (x == 0) & (y == 0) & (t == self._zero) & (p == 0)
        if not self._begun:
            zeros[:1] = False  # which may be an event
            self._begun = len(p) > 0
        if self._alike:
            seen = p[~zeros]
            self._off, self._alike = off_of(seen), bool((seen == 1).all())
        if (n := np.count_nonzero(zeros)) >= _ZEROS:
            self.zeros += n
            x, y, t, p = x[~zeros], y[~zeros], t[~zeros], p[~zeros]
        if self._first:
            x, y = x - self._first, y - self._first
        return x, y, self._wraps(t), p if self._off is None else p != self._off


def off_of(p: np.ndarray) -> float | None:
    """The number above zero that stands for OFF in a column of polarities, None if none does."""
    values, counts = np.unique(p, return_counts=True)
    usual = values[counts > 1e-3 * len(p)].tolist()
    if len(usual) != 2 or usual[0] != 1:
        return None
    return 1 if usual[1] == 2 else usual[1] if float(usual[1]) in _MINUS_ONE else None
