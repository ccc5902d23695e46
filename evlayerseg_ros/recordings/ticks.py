"""Ticks of a counter of 32 bits to times that go on where it wraps, also past damaged ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from evlayerseg_ros.events.types import MAX_TIME

_TICKS = 1 << 32
# A step of more than this (us) is believed if so many ticks in a row agree on it, or time goes on.
_FAR, _ENOUGH = 1_000_000, 16
# Before the first of these ticks, and after the last, time goes on for so long (us).
_PAUSE = 60_000_000


class Ticks:
    """Unwraps the ticks of a recording, one block after the other.

    The first tick is taken as it is. A few that lie far from those around them are strays: whether
    they wrapped is not known, so they have no time, and do not move the others.
    """

    def __init__(self) -> None:
        self._last: int | None = None  # unwrapped, us

    def to_ns(self, ticks: np.ndarray) -> np.ndarray:
        """Times in ns, int64 [N]; strays get MAX_TIME, which is left out and counted later on.

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
        """bool [N]: ticks of a long run, or that lie between the last one and the next long run."""
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
    """Times of a table whose counter of 32 bits, with a sign or without, wraps: they go on.

    Args:
        tick: what the counter's step is in the times' unit.
    """

    def __init__(self, tick: int = 1) -> None:
        self._wrap, self._near = tick << 32, tick * _FAR
        self._last: float | None = None
        self._turns = 0

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """The next times [N], in the order of arrival, with what the wraps before them add."""
        if not len(t):
            return t
        steps = np.diff(t, prepend=t[0] if self._last is None else self._last)
        back = np.abs(steps + self._wrap) < self._near
        again = np.abs(steps - self._wrap) < self._near  # some came late
        turns = np.maximum(np.cumsum(back.astype(np.int64) - again) + self._turns, 0)
        self._last, self._turns = t[-1], int(turns[-1])
        return t + turns * self._wrap if turns.any() else t


def _steps(differences: Any) -> Any:
    """Differences of ticks, int or [N], the shorter way round: -2^31 to 2^31 - 1."""
    return ((differences + _TICKS // 2) & (_TICKS - 1)) - _TICKS // 2
