"""What programs write into tables, mended: polarities, times that wrap, rows of zeros."""

from __future__ import annotations

from collections import Counter

import numpy as np

from evlayerseg_ros.recordings.ticks import Wraps

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# -1 as a number without a sign.
_MINUS_ONE = tuple(float((1 << bits) - 1) for bits in (8, 16, 32, 64))
# The values that polarities have in a table; Matlab's count from 1.
PAIRS = ((-1, 0, 1), (0, 255), (1, 2), *((1, number) for number in _MINUS_ONE))
# Of two other values the rarer has to have this share: fewer are wrong ones.
_RARE = 0.02
# So many rows of zeros in a chunk are space that was never filled.
_ZEROS = 16
# A place so near to a whole pixel (px) is that pixel.
_NEAR = 1e-3


class Rows:
    """Mends the columns of a table, one chunk after the other.

    Args:
        zero: time (ns) of a row of zeros.
        first: the number of the sensor's first column and row.

    Attributes:
        zeros: rows of zeros that were left out.
    """

    def __init__(self, zero: int = 0, first: int = 0) -> None:
        self.zeros = 0
        self._zero, self._first = zero, first
        self._begun = False  # whether a row was read
        self._counts: Counter[float] = Counter()  # of polarities, until two sure ones are known
        self._off: float | None = None  # what stands for OFF, if not what is 0 or less
        self._wraps = Wraps(1000)

    def sound(self, x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> Columns:
        """x, y (px), t (ns), p without rows of zeros; t goes on past wraps, p > 0 is ON."""
        zeros = (x == 0) & (y == 0) & (t == self._zero) & (p == 0)
        if not self._begun:
            zeros[:1] = False  # the first row may be an event
            self._begun = len(p) > 0
        if not _sure(_usual(self._counts)):
            self._counts.update(_counts_of(p[~zeros]))
            self._off = _off(self._counts)
        if (n := np.count_nonzero(zeros)) >= _ZEROS:
            self.zeros += n
            x, y, t, p = x[~zeros], y[~zeros], t[~zeros], p[~zeros]
        if self._first:
            x, y = x - self._first, y - self._first
        x, y = _near_whole(x), _near_whole(y)
        return x, y, self._wraps(t), p if self._off is None else p != self._off


def _near_whole(x: np.ndarray) -> np.ndarray:
    """Places [N] that arithmetic left just beside a whole pixel, on it."""
    if x.dtype.kind != "f":
        return x
    with np.errstate(invalid="ignore"):  # infinity is near none
        return np.where(np.abs(x - np.rint(x)) < _NEAR, np.rint(x), x)


def usual(p: np.ndarray) -> list[float]:
    """The values in a column of polarities [N], but for a few, ascending."""
    return _usual(_counts_of(p))


def told_of(p: np.ndarray) -> str:
    """What is assumed of polarities [N] of two odd values, a clause; "" if nothing is."""
    counts = _counts_of(p)
    values = _usual(counts)
    if _off(counts) is None or tuple(values) in PAIRS:
        return ""
    return f"its polarities are {values[0]:g} and {values[1]:g}, the larger is taken as ON"


def _counts_of(p: np.ndarray) -> Counter[float]:
    values, counts = np.unique(p, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _usual(counts: Counter[float]) -> list[float]:
    few = 1e-3 * counts.total()
    return sorted(value for value, count in counts.items() if count > few)


def _sure(values: list[float]) -> bool:
    """Whether values are two polarities that no later value makes doubtful."""
    return len(values) == 2 and (tuple(values) in PAIRS or values[0] <= 0 < values[1])


def _off(counts: Counter[float]) -> float | None:
    """What means OFF of two polarities; None where it is what is 0 or less, or if it is open."""
    values = _usual(counts)
    if len(values) != 2 or values[0] < 0 < values[1] or values[0] == 0:
        return None
    rarer = min(counts[value] for value in values)
    if tuple(values) not in PAIRS and rarer < _RARE * counts.total():
        return None
    return values[1] if values[0] == 1 and float(values[1]) in _MINUS_ONE else values[0]
