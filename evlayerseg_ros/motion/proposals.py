"""Motions that something may follow by itself, found without a network.

Relative to the background's motion a grid of shifts is tried on the events of the last 133 ms. An
event votes for a shift in as far as more other events land where it lands than along the
background's motion; those that land better along the background's do not count against it, since
beside a small thing most events are the background's. Some land better by chance: what a block
gathers for shifts in general is taken off. The shift whose votes left, squared, have the largest
sum over the blocks is proposed, so that votes in one place count more, then the one that adds most
to that sum, and so on: along an edge many shifts are as good, and one of them says it all
(multi-model fitting by voting; Gallego et al., CVPR 2018, for the images of warped events).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.background import PLACE_CELLS, local_shifts, spread_evenly
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.motion.iwe_counts import ACROSS, log_counts, log_table, warp_to_cells, workspace

EVENTS = 8_000  # looked at
BLOCK = 8  # cells of the map in which votes gather; a block's are those of 2 x 2
REACH = 20  # cells over the span that is looked at: the farthest shift tried
STEP = 2  # cells between shifts
FINE = 4  # cells up to which the shifts are one cell apart
APART = 1.5  # cells between two shifts that are both proposed
CHANCE = 2.0  # deviations above a block's mean over all shifts: votes up to there are chance
SUPPORT = 0.3  # of the best block's votes: blocks in which the shift is made exact
REFINED = np.array([1.0, 0.5, 0.25])  # cells, steps of that
FLUKE = 120  # events added to those of a block: gains of a few events mean little
NEAR, FAR = 4, 0.4  # cells over the span: the most and the least that places move in local search
SPREAD, BESIDE = 0.8, 2.3  # cells and places up to which shifts are one motion's
CAP = 100  # events of a place


class Proposal(NamedTuple):
    """A motion that something may follow.

    Attributes:
        motion: float64 [2, 3], px/s.
        votes: how much speaks for it beyond earlier proposals: in the block where most does, by its
            events (`propose`); or in all places that agree (`propose_locally`). Not comparable.
    """

    motion: np.ndarray
    votes: float


def shifts() -> np.ndarray:
    """float32 [n, 2]: the shifts (cells) that are tried. Fine for slow motions, coarse for fast."""
    fine, coarse = np.arange(-FINE, FINE + 1), np.arange(-REACH, REACH + 1, STEP)
    grid = [(a, b) for a in fine for b in fine if a or b]
    grid += [
        (a, b)
        for a in coarse
        for b in coarse
        if max(abs(a), abs(b)) > FINE and np.hypot(a, b) <= REACH + STEP
    ]
    return np.array(grid, np.float32)


def propose(events: Events, end: int, background: np.ndarray, most: int = 4) -> list[Proposal]:
    """The motions with most votes, beside the background's.

    Args:
        events: of the last 133 ms before `end`.
        end: ns.
        background: float64 [2, 3], px/s.
        most: how many motions at most.

    Returns:
        The one with most votes (by the sum of their squares) first, then what adds most to it.
    """
    some = subsample(events, EVENTS)
    span = (end - int(some.t[0])) * 1e-9 if len(some) else 0.0
    if span <= 0:
        return []
    cell, tried = events.width / ACROSS, shifts()
    rows = int(np.ceil(events.height / cell))
    places = warp_to_cells(some.x, some.y, some.t, end, background, cell, span)
    votes, count, ground = _vote(*places, rows, tried)
    known = votes.mean(0) + CHANCE * votes.std(0)  # of each block: by chance, or found already
    found: list[Proposal] = []
    allowed = np.ones(len(tried), bool)
    for _ in range(most):
        more = np.maximum(votes - known, 0)
        best = int(np.where(allowed, (more * more).sum((1, 2)), -1).argmax())
        most_votes = float(more[best].max(initial=0))
        if not most_votes > 0:
            break
        here = (more[best] >= SUPPORT * most_votes) * more[best] / most_votes
        exact = _refine(*places, ground, rows, tried[best].astype(np.float64), here, REFINED)
        motion = background.copy()
        motion[:, 2] += exact * cell / span
        share = most_votes / float(count.flat[more[best].argmax()] + FLUKE)
        found.append(Proposal(motion, share))
        known = np.maximum(known, votes[best])
        allowed &= np.abs(tried - tried[best]).max(1) > APART
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
    at, moved, votes = at[some_way] / (cell * PLACE_CELLS), moved[some_way], clear[some_way].prod(1)
    alike = np.linalg.norm(moved[:, None] - moved, axis=2) < SPREAD
    alike &= np.linalg.norm(at[:, None] - at, axis=2) < BESIDE
    score = alike @ votes
    found: list[Proposal] = []
    while len(found) < most and score.max(initial=0) > 0:
        best = int(score.argmax())
        shift = np.average(moved[alike[best]], axis=0, weights=votes[alike[best]] + 1e-9)
        motion = background.copy()
        motion[:, 2] += shift * cell / span
        found.append(Proposal(motion, float(score[best])))
        score[np.linalg.norm(moved - shift, axis=1) < SPREAD] = 0
    return found


@numba.njit(nogil=True, cache=True)
def _vote(u, v, age, rows, tried):  # type: ignore[no-untyped-def]
    """Votes float32 [shifts, blocks down, across] of each block of 2 x 2, events of each block, and
    of each event the logarithm of how many land with it along the background's motion.

    An event's block is where the background's motion takes it, whatever shift it votes for: else an
    edge would vote for the shifts along it anew, in the blocks beyond its end.
    """
    n, none = len(u), np.float32(0)
    high, wide = rows // BLOCK + 1, ACROSS // BLOCK + 1
    block = np.full(n, high * wide, np.int32)
    for i in range(n):
        if 0 <= u[i] < ACROSS and 0 <= v[i] < rows:
            block[i] = int(v[i]) // BLOCK * wide + int(u[i]) // BLOCK
    table, (cells, where) = log_table(n), workspace(n, rows)
    ground, gain = np.empty(n, np.float32), np.ones(n, np.float32)
    votes = np.empty((len(tried), high - 1, wide - 1), np.float32)
    count = np.empty(votes.shape[1:], np.float32)
    _sum_in_blocks(block, gain, count)
    log_counts(u, v, age, none, none, rows, table, cells, where, ground)
    for d in range(len(tried)):
        log_counts(u, v, age, tried[d, 0], tried[d, 1], rows, table, cells, where, gain)
        for i in range(n):
            gain[i] = max(gain[i] - ground[i], none)
        _sum_in_blocks(block, gain, votes[d])
    return votes, count, ground


@numba.njit(nogil=True, cache=True)
def _sum_in_blocks(block, worth, out):  # type: ignore[no-untyped-def]
    """Fills out, float32 [blocks down, across]: what the events of each 2 x 2 are worth."""
    high, wide = out.shape[0] + 1, out.shape[1] + 1
    single = np.zeros(high * wide + 1, np.float32)
    for i in range(len(block)):
        single[np.uintp(block[i])] += worth[i]
    each = single[: high * wide].reshape(high, wide)
    for r in range(high - 1):
        for c in range(wide - 1):
            out[r, c] = each[r, c] + each[r + 1, c] + each[r, c + 1] + each[r + 1, c + 1]


@numba.njit(nogil=True, cache=True)
def _refine(u, v, age, ground, rows, shift, here, steps):  # type: ignore[no-untyped-def]
    """float64 [2]: the shift near a given one with most votes in the blocks `here`, weighted."""
    high, wide = here.shape
    share = np.zeros((high + 1, wide + 1), np.float32)  # of each single block
    for r in range(high):
        for c in range(wide):
            for a in range(r, r + 2):
                for b in range(c, c + 2):
                    share[a, b] = max(share[a, b], here[r, c])
    weights = np.zeros(len(u), np.float32)
    for i in range(len(u)):
        if 0 <= u[i] < ACROSS and 0 <= v[i] < rows:
            weights[i] = share[int(v[i]) // BLOCK, int(u[i]) // BLOCK]
    keep = weights > 0
    u, v, age, ground, weight = u[keep], v[keep], age[keep], ground[keep], weights[keep]
    n, best, most = len(u), shift.copy(), -1.0
    gain, table, (cells, where) = np.empty(n, np.float32), log_table(n), workspace(n, rows)
    for step in steps:
        middle = best.copy()
        for a in range(-1, 2):
            for b in range(-1, 2):
                dx, dy = np.float32(middle[0] + a * step), np.float32(middle[1] + b * step)
                log_counts(u, v, age, dx, dy, rows, table, cells, where, gain)
                total = 0.0
                for i in range(n):
                    total += max(gain[i] - ground[i], np.float32(0)) * weight[i]
                if total > most:
                    most, best[0], best[1] = total, dx, dy
    return best
