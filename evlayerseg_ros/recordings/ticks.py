"""Ticks of a 32-bit counter to times that go on where it wraps, in spite of damaged ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from evlayerseg_ros.events.types import MAX_TIME

_TICKS = 1 << 32
# A run of ticks ends at a step of more than this (us). One of so many ticks is believed; a shorter
# one only if it lies between those around it.
_FAR, _ENOUGH = 1_000_000, 16
# Before the first long run, and after the last one, a short one may be so far away (us).
_PAUSE = 60_000_000


class Ticks:
    """Unwraps the ticks of a recording, one block after the other.

    The first tick is taken as it is. A few ticks far from those around them are strays: nobody
    knows whether they wrapped, so they get no time and do not move the others.
    """

    def __init__(self) -> None:
        self._last: int | None = None  # unwrapped, us

    def to_ns(self, ticks: np.ndarray) -> np.ndarray:
        """Times in ns, int64 [N]; MAX_TIME for strays, which `clean` leaves out and counts.

        Args:
            ticks: [N] us, 0 to 2^32 - 1, in the order of arrival.
        """
        if not len(ticks):
            return np.empty(0, np.int64)
        ticks = ticks.astype(np.int64)
        good = self._agree(ticks)
        t, sound = np.full(len(ticks), MAX_TIME), ticks[good]
        if len(sound):
            begin = int(sound[0]) if self._last is None else self._last
            unwrapped = begin + np.cumsum(_steps(np.diff(sound, prepend=begin)))
            t[good], self._last = unwrapped * 1000, int(unwrapped[-1])
        return t

    def _agree(self, ticks: np.ndarray) -> np.ndarray:
        """bool [N]: ticks of a long run, or between the last good one and the next long run."""
        good = np.ones(len(ticks), bool)
        cuts = np.flatnonzero(np.abs(_steps(np.diff(ticks))) > _FAR) + 1
        runs = list(pairwise([0, *cuts.tolist(), len(ticks)]))
        long = [int(ticks[a]) for a, b in runs if b - a >= _ENOUGH]
        if self._last is None and not long:
            return good  # too few to say
        last = long[0] - _PAUSE if self._last is None else self._last
        for a, b in runs:
            if b - a >= _ENOUGH:
                del long[0]
            else:
                step = _steps(ticks[a] - last)
                room = _steps(long[0] - last) if long else _PAUSE
                good[a:b] = abs(step) <= _FAR or 0 <= step <= room
            last = int(ticks[b - 1]) if good[a] else last
        return good


class Wraps:
    """Makes the times of a table go on where their 32-bit counter, signed or not, wraps.

    Args:
        tick: step of the counter in the times' unit.
    """

    def __init__(self, tick: int = 1) -> None:
        self._wrap, self._near = tick << 32, tick * _FAR
        self._last: float | None = None
        self._turns = 0

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """The next times [N], in the order of arrival, unwrapped."""
        if not len(t):
            return t
        steps = np.diff(t, prepend=t[0] if self._last is None else self._last)
        back = np.abs(steps + self._wrap) < self._near
        again = np.abs(steps - self._wrap) < self._near  # late ones, of before the wrap
        turns = np.maximum(np.cumsum(back.astype(np.int64) - again) + self._turns, 0)
        self._last, self._turns = t[-1], int(turns[-1])
        return t + turns * self._wrap if turns.any() else t


def _steps(differences: Any) -> Any:
    """Differences of ticks, int or [N], the shorter way round the counter: -2^31 to 2^31 - 1."""
    return ((differences + _TICKS // 2) & (_TICKS - 1)) - _TICKS // 2
