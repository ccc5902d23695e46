"""The background's motion: what most places of the image agree on.

For every place of a coarse grid many shifts are tried: how well do its events land on each other?
An edge answers with a ridge of shifts that are equally good, not with one peak. So each place keeps
its whole surface of votes, and the affine motion is sought whose shifts gather most votes over all
places. Each place has about one vote, however many events it holds, so that a mover with strong
edges does not decide; a place that moves otherwise adds nothing.
"""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.motion.iwe_counts import ACROSS, log_counts, log_table, warp_to_cells, workspace

PLACE_CELLS = 16  # cells of a place that has one vote
BACKGROUND_EVENTS = 40_000  # that are looked at first
# And of these the most in one place; fewer where many shifts are tried.
PLACE_EVENTS, PLACE_EVENTS_FAR = 150, 60
FEWEST = 25  # events with which a place can say something
FAR, MIDDLE, CLOSE = (20, 2.0), (4, 1.0), (2, 0.5)  # cells, step: grids of shifts that are tried
LOST = 1.2  # cells: a known motion that was off by more is looked for farther away
CLEAR = 6.0  # most that one place can count: deviations of its best shift from its mean
# What a deformation of one cell at half the image's width costs, squared, as a share of all votes:
# zoom, turn, and the two ways to shear, which cameras do less.
COSTS = np.array([0.0, 0.0, 0.02, 0.02, 0.04, 0.04])


def background_motion(events: Events, end: int, motion: np.ndarray, known: bool) -> np.ndarray:
    """The background's motion.

    Args:
        events: of the last 133 ms before `end`, without those of known objects.
        end: ns.
        motion: float64 [2, 3], px/s, where to begin.
        known: whether that was the motion a window ago.

    Returns:
        float64 [2, 3], px/s at `end`.
    """
    some = spread_evenly(events, PLACE_EVENTS)
    if known:
        motion, moved = _most_votes(some, end, motion, *CLOSE)
        if moved < LOST:
            return motion
    else:
        motion, _ = _most_votes(spread_evenly(some, PLACE_EVENTS_FAR), end, motion, *FAR)
    for grid in (MIDDLE, CLOSE):
        motion, _ = _most_votes(some, end, motion, *grid)
    return motion


def vote_share(events: Events, end: int, motion: np.ndarray) -> float:
    """The share of votes that a background's motion gathers, 0 to 1.

    All votes are those of each place with enough events for its best motion nearby.

    Args:
        events: of the last 133 ms before `end`.
        end: ns.
        motion: float64 [2, 3], px/s.
    """
    some = spread_evenly(events, PLACE_EVENTS)
    if not len(some) or end <= some.t[0]:
        return 0.0
    _, surfaces, _ = landing_surfaces(some, end, motion, *CLOSE)
    votes = _votes(surfaces)
    middle = votes.shape[1] // 2
    return float(votes[:, middle, middle].sum() / max(votes.max((1, 2), initial=0).sum(), 1e-9))


def spread_evenly(events: Events, cap: int) -> Events:
    """Every n-th event of each place, so that none has many more than `cap`."""
    some = subsample(events, BACKGROUND_EVENTS)
    side = events.width / ACROSS * PLACE_CELLS
    rows, columns = int(events.height / side) + 1, int(events.width / side) + 1
    return some[_thin(some.x, some.y, side, rows, columns, cap)]


def landing_surfaces(
    events: Events, end: int, motion: np.ndarray, reach: float, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well the events of each place land on each other, for many shifts beyond a motion.

    Args:
        events: of some time before `end`.
        end: ns.
        motion: float64 [2, 3], px/s.
        reach, step: cells over the events' time span, of the grid of shifts that is tried.

    Returns:
        Places float64 [n, 2], px; their surfaces float32 [n, s, s], first index for x: standard
        deviations of each shift above the place's mean; and the shifts tried [s], cells.
    """
    span = (end - int(events.t[0])) * 1e-9
    cell = events.width / ACROSS
    rows = int(np.ceil(events.height / cell))
    side = np.arange(-reach, reach + step / 2, step)
    tried = np.array([(a, b) for a in side for b in side], np.float32)
    gains, count = _gains(events.x, events.y, events.t, end, motion, cell, rows, span, tried)
    places = np.ascontiguousarray(np.argwhere(count >= FEWEST))  # one layout: compiled once
    surfaces = _standardised(gains.reshape(len(side), len(side), *count.shape), count, places)
    return np.ascontiguousarray(places[:, ::-1] + 0.5) * PLACE_CELLS * cell, surfaces, side


def local_shifts(
    events: Events, end: int, motion: np.ndarray, reach: float, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How each place moves beyond a motion, by itself.

    Args:
        events, end, motion, reach, step: see `landing_surfaces`.

    Returns:
        Places float64 [n, 2], px; their shifts float64 [n, 2], cells; and float64 [n, 2], how clear
        each is, and how much better than no shift.
    """
    at, surfaces, side = landing_surfaces(events, end, motion, reach, step)
    found = _peaks(surfaces)
    return at, side[0] + found[:, :2] * step, found[:, 2:]


def _votes(surfaces: np.ndarray) -> np.ndarray:
    """float32 [n, s, s]: votes of each place for each shift, most for its best one."""
    best = surfaces.max((1, 2), keepdims=True, initial=0)
    votes: np.ndarray = np.minimum(best, CLEAR) * np.exp(surfaces - best)
    return votes


def _most_votes(
    some: Events, end: int, motion: np.ndarray, reach: float, step: float
) -> tuple[np.ndarray, float]:
    """The motion near a given one that gathers most votes, px/s, and the shift to it, cells."""
    if not len(some) or end <= some.t[0]:
        return motion, 0.0
    at, surfaces, side = landing_surfaces(some, end, motion, reach, step)
    if not len(at):
        return motion, 0.0
    votes = _votes(surfaces)
    half, middle = some.width / 2, np.array((some.width / 2, some.height / 2))
    a, b = np.unravel_index(votes.sum(0).argmax(), votes.shape[1:])
    start = np.array((side[a], side[b]))
    shift = _climb(votes, (at - middle) / half, start, side[0], step, COSTS)
    cell, span = some.width / ACROSS, (end - int(some.t[0])) * 1e-9
    linear = shift[:, 1:] / half
    more = np.column_stack((linear, shift[:, 0] - linear @ middle)) * cell / span
    return motion + more, float(np.abs(shift[:, 0]).max())


@numba.njit(nogil=True, cache=True)
def _climb(votes, at, start, low, step, costs):  # type: ignore[no-untyped-def]
    """float64 [2, 3]: the affine shift (cells; columns: middle, to the right, down) with most
    votes, by steps along one of six ways to deform at a time, ever smaller ones."""
    ways = np.zeros((6, 2, 3))
    ways[0, 0, 0] = ways[1, 1, 0] = 1.0
    ways[2, 0, 1], ways[2, 1, 2] = 1.0, 1.0
    ways[3, 0, 2], ways[3, 1, 1] = -1.0, 1.0
    ways[4, 0, 1], ways[4, 1, 2] = 1.0, -1.0
    ways[5, 0, 2], ways[5, 1, 1] = 1.0, 1.0
    here = np.zeros((2, 3))
    here[:, 0] = start
    most = 0.0
    for k in range(len(votes)):
        most += votes[k].max()
    q = np.zeros(6)  # how far along each way
    best, size = _gathered(votes, at, here, low, step), step
    while size > 0.05 * step:
        better = False
        for k in range(6):
            for sign in (-1.0, 1.0):
                there, far = here + sign * size * ways[k], q.copy()
                far[k] += sign * size
                value = _gathered(votes, at, there, low, step) - most * (costs * far * far).sum()
                if value > best:
                    best, here, q, better = value, there, far, True
        if not better:
            size /= 2
    return here


@numba.njit(nogil=True, cache=True, fastmath=True)
def _gathered(votes, at, shift, low, step):  # type: ignore[no-untyped-def]
    """Sum over places of the votes for an affine shift, smooth between the shifts that were tried:
    quadratic B-splines, since straight lines would be highest at one of these."""
    n, total = votes.shape[1], 0.0
    for p in range(len(at)):
        a = (shift[0, 0] + shift[0, 1] * at[p, 0] + shift[0, 2] * at[p, 1] - low) / step
        b = (shift[1, 0] + shift[1, 1] * at[p, 0] + shift[1, 2] * at[p, 1] - low) / step
        if 0 <= a <= n - 1 and 0 <= b <= n - 1:
            i, j = int(a + 0.5), int(b + 0.5)
            left, right = max(j - 1, 0), min(j + 1, n - 1)
            a, b = a - i, b - j
            across = (0.5 * (0.5 - b) ** 2, 0.75 - b * b, 0.5 * (0.5 + b) ** 2)
            down = (0.5 * (0.5 - a) ** 2, 0.75 - a * a, 0.5 * (0.5 + a) ** 2)
            for k in range(3):
                row = votes[p, min(max(i + k - 1, 0), n - 1)]
                line = across[0] * row[left] + across[1] * row[j] + across[2] * row[right]
                total += down[k] * line
    return total


@numba.njit(nogil=True, cache=True)
def _standardised(gains, count, places):  # type: ignore[no-untyped-def]
    """float32 [places, n, n]: mean gains of each shift, smoothed, in deviations above the mean."""
    n = len(gains)
    out = np.empty((len(places), n, n), np.float32)
    for p in range(len(places)):
        row, column = places[p]
        total, squares = 0.0, 0.0
        for i in range(n):
            for j in range(n):
                value, weight = 0.0, 0.0
                for k in range(max(i - 1, 0), min(i + 2, n)):
                    for m in range(max(j - 1, 0), min(j + 2, n)):
                        share = (2.0 if k == i else 1.0) * (2.0 if m == j else 1.0)
                        value += share * gains[k, m, row, column]
                        weight += share
                value /= weight * (count[row, column] + 5)
                out[p, i, j] = value
                total += value
                squares += value * value
        mean = total / (n * n)
        spread = np.sqrt(max(squares / (n * n) - mean * mean, 0.0)) + 0.02
        out[p] = (out[p] - mean) / spread
    return out


@numba.njit(nogil=True, cache=True)
def _peaks(surfaces):  # type: ignore[no-untyped-def]
    """float64 [places, 4]: index of the best shift in x and y, how clear it is, and how much
    better than no shift."""
    n = surfaces.shape[1]
    out = np.empty((len(surfaces), 4))
    for p in range(len(surfaces)):
        here = surfaces[p]
        best = here.argmax()
        a, b = best // n, best % n
        top = here[a, b]
        out[p, 0] = a + _between(here[a - 1, b], top, here[a + 1, b]) if 0 < a < n - 1 else a
        out[p, 1] = b + _between(here[a, b - 1], top, here[a, b + 1]) if 0 < b < n - 1 else b
        out[p, 2] = top
        out[p, 3] = top - here[n // 2, n // 2]
    return out


@numba.njit(nogil=True, cache=True, inline="always")
def _between(before, here, after):  # type: ignore[no-untyped-def]
    """Where the parabola through three samples is highest, beside the middle one."""
    curve = before - 2 * here + after
    return 0.5 * (before - after) / curve if curve < 0 else 0.0


@numba.njit(nogil=True, cache=True)
def _thin(x, y, side, rows, columns, cap):  # type: ignore[no-untyped-def]
    """bool [N]: about `cap` events of each place, evenly in time."""
    count, seen = np.zeros(rows * columns, np.int32), np.zeros(rows * columns, np.int32)
    keep, place = np.ones(len(x), np.bool_), np.empty(len(x), np.int32)
    per_place = 1 / side
    for i in range(len(x)):
        place[i] = np.int32(y[i] * per_place) * np.int32(columns) + np.int32(x[i] * per_place)
    for i in range(len(x)):
        count[np.uintp(place[i])] += 1
    for i in range(len(x)):
        k = np.uintp(place[i])
        if count[k] > cap:
            part = seen[k] + cap  # of `count`: one is kept each time that it is full
            keep[i] = part >= count[k]
            seen[k] = part - count[k] if keep[i] else part
    return keep


@numba.njit(nogil=True, cache=True)
def _gains(x, y, t, end, motion, cell, rows, span, tried):  # type: ignore[no-untyped-def]
    """Per shift and place the sum of landing logarithms, and the events of each place."""
    n = len(t)
    u, v, age = warp_to_cells(x, y, t, end, motion, cell, span)
    table = log_table(n)
    high, wide = (rows + PLACE_CELLS - 1) // PLACE_CELLS, (ACROSS + PLACE_CELLS - 1) // PLACE_CELLS
    nowhere = high * wide
    gains = np.zeros((len(tried), nowhere + 1), np.float32)
    count, gain = np.zeros(nowhere + 1, np.float32), np.empty(n, np.float32)
    place = np.full(n, nowhere, np.int32)
    for i in range(n):
        if 0 <= u[i] < ACROSS and 0 <= v[i] < rows:
            place[i] = int(v[i]) // PLACE_CELLS * wide + int(u[i]) // PLACE_CELLS
            count[place[i]] += 1
    cells, where = workspace(n, rows)
    for d in range(len(tried)):
        log_counts(u, v, age, tried[d, 0], tried[d, 1], rows, table, cells, where, gain)
        here = gains[d]
        for i in range(n):
            here[np.uintp(place[i])] += gain[i]
    every = np.ascontiguousarray(gains[:, :nowhere]).reshape(len(tried), high, wide)
    return every, count[:nowhere].reshape(high, wide)
