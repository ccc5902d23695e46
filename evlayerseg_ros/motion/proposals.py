"""Motions that something may follow by itself, found without a network.

Relative to the background's motion a grid of shifts is tried on the events of the last 133 ms. An
event votes for a shift in as far as more other events land where it lands than along the
background's motion. Where votes for one shift gather, something may move along it (multi-model
fitting by voting; Gallego et al., CVPR 2018, for the images of warped events).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.motion.landing import ACROSS, land, logarithms, places_of

EVENTS = 5_000  # looked at
BLOCK = 8  # cells of the map in which votes gather
REACH = 20  # cells over the span that is looked at: the farthest shift tried
STEP = 2  # cells between shifts
SLOW = 6  # cells up to which the shifts are one cell apart
APART = 2  # cells between two shifts that are both proposed
FLUKE = 120  # events added to those of a place: gains of a few events mean little
FADE = 0.85  # of a proposal's votes, a window later


class Proposal(NamedTuple):
    """A motion that something may follow.

    Attributes:
        motion: float64 [2, 3], px/s.
        votes: in the block where most of its votes gather, divided by the events there.
        slow: whether it was found among the slow ones, whose votes are fewer.
    """

    motion: np.ndarray
    votes: float
    slow: bool


def shifts(phase: int = 0, phases: int = 1) -> np.ndarray:
    """float32 [n, 2]: the shifts (cells) of one of several interleaved parts of the grid.

    Fine for slow motions, and coarse for fast ones.
    """
    fine, coarse = np.arange(-SLOW, SLOW + 1), np.arange(-REACH, REACH + 1, STEP)
    grid = [(a, b) for a in fine for b in fine if a or b]
    grid += [(a, b) for a in coarse for b in coarse if max(abs(a), abs(b)) > SLOW]
    return np.array(grid, np.float32)[phase::phases]


def propose(
    events: Events, end: int, background: np.ndarray, tried: np.ndarray, most: int = 2
) -> list[Proposal]:
    """The motions that most speaks for, beside the background's.

    Args:
        events: of the last 133 ms before `end`.
        end: ns.
        background: float64 [2, 3], px/s.
        tried: float32 [n, 2], shifts (cells over the time that the events span).
        most: how many motions at most, slow ones and fast ones each.

    Returns:
        Those with most votes first.
    """
    some = subsample(events, EVENTS)
    span = (end - int(some.t[0])) * 1e-9 if len(some) else 0.0
    if span <= 0:
        return []
    cell = events.width / ACROSS
    rows = int(np.ceil(events.height / cell))
    score = _vote(some.x, some.y, some.t, end, background, cell, rows, span, tried)
    found: list[Proposal] = []
    is_slow = np.abs(tried).max(1) <= SLOW
    for slow in (True, False):
        left = np.where(is_slow == slow, score, 0)
        for _ in range(most):
            best = int(left.argmax())
            if not left[best] > 0:
                break
            motion = background.copy()
            motion[:, 2] += tried[best] * cell / span
            found.append(Proposal(motion, float(score[best]), slow))
            left[np.abs(tried - tried[best]).max(1) <= APART] = 0
    return found


def keep_best(old: list[Proposal], new: list[Proposal], most: int = 2) -> list[Proposal]:
    """The best `most` slow and fast motions each of earlier proposals, which fade, and new ones."""
    both = [p._replace(votes=p.votes * FADE) for p in old] + new
    best = sorted(both, key=lambda p: -p.votes)
    return [p for slow in (True, False) for p in [q for q in best if q.slow == slow][:most]]


@numba.njit(nogil=True, cache=True)
def _vote(x, y, t, end, motion, cell, rows, span, tried):  # type: ignore[no-untyped-def]
    """float32 [shifts]: mean gain of the events in the block where it is largest."""
    n, columns = len(t), ACROSS
    u, v, age = places_of(x, y, t, end, motion, cell, span)
    table = logarithms(n)
    rest = np.zeros(n, np.float32)
    land(u, v, age, np.float32(0), np.float32(0), rows, table, rest)
    gain = np.empty(n, np.float32)
    high, wide = rows // BLOCK + 1, columns // BLOCK + 1
    out = np.zeros(len(tried), np.float32)
    votes, events = np.zeros((high, wide), np.float32), np.zeros((high, wide), np.float32)
    for d in range(len(tried)):
        land(u, v, age, tried[d, 0], tried[d, 1], rows, table, gain)
        votes[:], events[:] = 0, 0
        for i in range(n):
            far = age[i] if gain[i] > rest[i] else np.float32(0)
            j, k = u[i] + far * tried[d, 0], v[i] + far * tried[d, 1]
            if 0 <= j < columns and 0 <= k < rows:
                votes[int(k) // BLOCK, int(j) // BLOCK] += gain[i] - rest[i]
                events[int(k) // BLOCK, int(j) // BLOCK] += 1
        for r in range(high - 1):
            for c in range(wide - 1):
                total = votes[r, c] + votes[r + 1, c] + votes[r, c + 1] + votes[r + 1, c + 1]
                count = events[r, c] + events[r + 1, c] + events[r, c + 1] + events[r + 1, c + 1]
                out[d] = max(out[d], total / (count + FLUKE))
    return out
