"""Motions that something may follow by itself, found without a network.

Relative to the background's motion a grid of shifts is tried on the events of the last 133 ms. An
event votes for a shift in as far as more other events land where it lands than along the
background's motion. Where votes for one shift gather, something may move along it (multi-model
fitting by voting; Gallego et al., CVPR 2018, for the images of warped events).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import NamedTuple

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.background import PLACE, local_shifts, spread_evenly
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.motion.landing import ACROSS, land, logarithms, places_of

EVENTS = 5_000  # looked at
BLOCK = 8  # cells of the map in which votes gather
REACH = 20  # cells over the span that is looked at: the farthest shift tried
STEP = 2  # cells between shifts
FINE = 6  # cells up to which the shifts are one cell apart
APART = 2  # cells between two shifts that are both proposed
FLUKE = 120  # events added to those of a place: gains of a few events mean little
FADE = 0.85  # of a proposal's votes, a window later
NEAR, FAR = 4, 0.4  # cells over the span: the most and the least that places move in local search
SPREAD, BESIDE = 0.8, 2.3  # cells and places up to which shifts are one motion's
CAP = 100  # events of a place
SLOW, FAST, LOCAL = "slow", "fast", "local"


class Proposal(NamedTuple):
    """A motion that something may follow.

    Attributes:
        motion: float64 [2, 3], px/s.
        votes: in the block where most of its votes gather, divided by the events there.
        kind: how it was found: SLOW or FAST of a grid of shifts, or LOCAL. Votes of different
            kinds do not compare.
    """

    motion: np.ndarray
    votes: float
    kind: str


def shifts(phase: int = 0, phases: int = 1) -> np.ndarray:
    """float32 [n, 2]: the shifts (cells) of one of several interleaved parts of the grid.

    Fine for slow motions, and coarse for fast ones.
    """
    fine, coarse = np.arange(-FINE, FINE + 1), np.arange(-REACH, REACH + 1, STEP)
    grid = [(a, b) for a in fine for b in fine if a or b]
    grid += [(a, b) for a in coarse for b in coarse if max(abs(a), abs(b)) > FINE]
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
    fine = np.abs(tried).max(1) <= FINE
    for kind in (SLOW, FAST):
        left = np.where(fine == (kind == SLOW), score, 0)
        for _ in range(most):
            best = int(left.argmax())
            if not left[best] > 0:
                break
            motion = background.copy()
            motion[:, 2] += tried[best] * cell / span
            found.append(Proposal(motion, float(score[best]), kind))
            left[np.abs(tried - tried[best]).max(1) <= APART] = 0
    return found


def propose_locally(
    events: Events, end: int, background: np.ndarray, most: int = 2
) -> list[Proposal]:
    """Slow motions that places side by side agree on.

    Each place of a coarse grid says how it moves beside the background. `propose` misses what takes
    its edges only two or three cells over the span.

    Args:
        events: of the last 133 ms before `end`.
        end: ns.
        background: float64 [2, 3], px/s.
        most: how many motions at most.

    Returns:
        Those with most votes first.
    """
    some = spread_evenly(events, CAP)
    span = (end - int(some.t[0])) * 1e-9 if len(some) else 0.0
    if span <= 0:
        return []
    cell = events.width / ACROSS
    at, moved, clear = local_shifts(some, end, background, NEAR, 1.0)
    way = np.abs(moved).max(1)
    some_way = (way < NEAR - 0.5) & (np.linalg.norm(moved, axis=1) > FAR)
    at, moved, votes = at[some_way] / (cell * PLACE), moved[some_way], clear[some_way].prod(1)
    alike = np.linalg.norm(moved[:, None] - moved, axis=2) < SPREAD
    alike &= np.linalg.norm(at[:, None] - at, axis=2) < BESIDE
    score = alike @ votes
    found: list[Proposal] = []
    while len(found) < most and score.max(initial=0) > 0:
        best = int(score.argmax())
        shift = np.average(moved[alike[best]], axis=0, weights=votes[alike[best]] + 1e-9)
        motion = background.copy()
        motion[:, 2] += shift * cell / span
        found.append(Proposal(motion, float(score[best]), LOCAL))
        score[np.linalg.norm(moved - shift, axis=1) < SPREAD] = 0
    return found


def keep_best(old: list[Proposal], new: list[Proposal], most: int = 2) -> list[Proposal]:
    """The best `most` of each kind of earlier proposals, which fade, and new ones."""
    both = [p._replace(votes=p.votes * FADE) for p in old] + new
    best = sorted(both, key=lambda p: -p.votes)
    each = [[p for p in best if p.kind == kind][:most] for kind in (LOCAL, SLOW, FAST)]
    return [p for rank in zip_longest(*each) for p in rank if p is not None]  # the best first


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
