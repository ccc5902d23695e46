"""The background's motion: what most places of the image agree on.

Every place of a coarse grid says along which shift its events land on each other best, and an
affine motion is fitted to these shifts, robustly (iteratively reweighted, Tukey's biweight). Each
place has one vote, however many events it holds, so that a mover with strong edges does not decide.
"""

from __future__ import annotations

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.motion.landing import ACROSS, land, logarithms, places_of

PLACE = 16  # cells of a place that has one vote
MOST = 40_000  # events that are looked at first
CAP, CAP_KNOWN = 250, 150  # and of these the most in one place; fewer where the motion is known
FEWEST = 25  # events with which a place can say something
REACHES = ((20, 2.0), (4, 1.0))  # cells, step: shifts tried where nothing is known yet
CLOSE = (2, 1.0)  # and where the motion of the window before is known
LOST = 1.2  # cells: a known motion that was off by more is looked for farther away
RIDGE = 0.5  # keeps the deformation small where few places say something
ROUNDS = 12  # of the robust fit
APART = 1.0  # cells between a place's shift and the fit that begin to count as disagreement


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
    some = spread_evenly(events, CAP_KNOWN if known else CAP)
    span = (end - int(some.t[0])) * 1e-9 if len(some) else 0.0
    if span <= 0:
        return motion
    cell = events.width / ACROSS
    middle = np.array([events.width / 2, events.height / 2, 1])
    for reach, step in (CLOSE, *REACHES[1:], CLOSE) if known else (*REACHES, CLOSE):
        at, shifts, weight = local_shifts(some, end, motion, reach, step)
        weight = weight[:, 0]
        more = _fit(
            at, shifts * cell / span, weight, events.width, events.height, APART * cell / span
        )
        motion = motion + more
        if known and np.abs(more @ middle).max() < LOST * cell / span:
            break
    return motion


def agreement(events: Events, end: int, motion: np.ndarray) -> float:
    """The share of places that agree on a background's motion, weighted by how clear they are.

    Args:
        events: of the last 133 ms before `end`.
        end: ns.
        motion: float64 [2, 3], px/s.
    """
    some = spread_evenly(events, CAP_KNOWN)
    if not len(some) or some.t[0] >= end:
        return 0.0
    _, shifts, weight = local_shifts(some, end, motion, *CLOSE)
    agree = np.linalg.norm(shifts, axis=1) < APART
    return float(weight[agree, 0].sum() / max(weight[:, 0].sum(), 1e-9))


def spread_evenly(events: Events, cap: int) -> Events:
    """Every n-th event of each place, so that none has many more than `cap`."""
    some = subsample(events, MOST)
    side = events.width / ACROSS * PLACE
    rows, columns = int(events.height / side) + 1, int(events.width / side) + 1
    return some[_thin(some.x, some.y, side, rows, columns, cap)]


def local_shifts(
    events: Events, end: int, motion: np.ndarray, reach: float, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How each place moves beyond a motion.

    Args:
        events: of some time before `end`.
        end: ns.
        motion: float64 [2, 3], px/s.
        reach, step: cells over the events' time span, of the grid of shifts that is tried.

    Returns:
        Places float64 [n, 2], px; their shifts float64 [n, 2], cells; and float64 [n, 2], how clear
        each is, and how much better than no shift.
    """
    span = (end - int(events.t[0])) * 1e-9
    cell = events.width / ACROSS
    rows = int(np.ceil(events.height / cell))
    side = np.arange(-reach, reach + step / 2, step)
    tried = np.array([(a, b) for a in side for b in side], np.float32)
    gains, count = _gains(events.x, events.y, events.t, end, motion, cell, rows, span, tried)
    found = _peaks(gains.reshape(len(side), len(side), *count.shape), count)
    at = (found[:, :2] + 0.5) * PLACE * cell
    shifts = side[0] + found[:, 2:4] * step
    return at, shifts, found[:, 4:]


@numba.njit(nogil=True, cache=True)
def _peaks(gains, count):  # type: ignore[no-untyped-def]
    """float64 [places, 6]: column, row, index of the best shift in x and y, how clear it is, and
    how much better than no shift."""
    n, _, rows, columns = gains.shape
    out, found = np.empty((rows * columns, 6)), 0
    smooth = np.empty((n, n))
    for row in range(rows):
        for column in range(columns):
            if count[row, column] < FEWEST:
                continue
            scale = 1 / (count[row, column] + 5)
            total, squares, best, a, b = 0.0, 0.0, -1.0, 0, 0
            for i in range(n):
                for j in range(n):
                    value, weight = 0.0, 0.0
                    for k in range(max(i - 1, 0), min(i + 2, n)):
                        for m in range(max(j - 1, 0), min(j + 2, n)):
                            share = (2.0 if k == i else 1.0) * (2.0 if m == j else 1.0)
                            value += share * gains[k, m, row, column]
                            weight += share
                    value *= scale / weight
                    smooth[i, j] = value
                    total += value
                    squares += value * value
                    if value > best:
                        best, a, b = value, i, j
            mean = total / (n * n)
            spread = np.sqrt(max(squares / (n * n) - mean * mean, 0.0))
            out[found, 0], out[found, 1] = column, row
            out[found, 2] = (
                a + _between(smooth[a - 1, b], best, smooth[a + 1, b]) if 0 < a < n - 1 else a
            )
            out[found, 3] = (
                b + _between(smooth[a, b - 1], best, smooth[a, b + 1]) if 0 < b < n - 1 else b
            )
            out[found, 4] = (best - mean) / (spread + 0.02)
            out[found, 5] = (best - smooth[n // 2, n // 2]) / (spread + 0.02)
            found += 1
    return out[:found]


@numba.njit(nogil=True, cache=True, inline="always")
def _between(before, here, after):  # type: ignore[no-untyped-def]
    """Where the parabola through three samples is highest, beside the middle one."""
    curve = before - 2 * here + after
    return 0.5 * (before - after) / curve if curve < 0 else 0.0


def _fit(
    at: np.ndarray, speeds: np.ndarray, weight: np.ndarray, width: int, height: int, scale: float
) -> np.ndarray:
    """float64 [2, 3]: the affine motion that most of some speeds (px/s) at places (px) agree on."""
    if len(at) < 3:
        return np.zeros((2, 3))
    half = width / 2
    x, y = (at[:, 0] - half) / half, (at[:, 1] - height / 2) / half
    design = np.column_stack((x, y, np.ones(len(at))))
    near = np.linalg.norm(speeds[:, None] - speeds[None], axis=2) < 2 * scale
    fit = np.zeros((3, 2))
    fit[2] = speeds[(near * weight).sum(1).argmax()]  # the shift that most places share
    for round_ in range(ROUNDS):
        wide = 2 * scale * (2.5 if round_ < 4 else 1.5)
        away = np.linalg.norm(speeds - design @ fit, axis=1) / wide
        share = weight * np.maximum(0, 1 - away**2) ** 2
        if share.sum() < 1e-6:
            break
        ridge = np.diag([RIDGE, RIDGE, 1e-3]) * share.mean()
        normal = design.T @ (share[:, None] * design) + ridge
        fit = np.linalg.solve(normal, design.T @ (share[:, None] * speeds))
    linear = fit[:2].T / half
    return np.column_stack((linear, fit[2] - linear @ np.array((half, height / 2))))


@numba.njit(nogil=True, cache=True)
def _thin(x, y, side, rows, columns, cap):  # type: ignore[no-untyped-def]
    """bool [N]: about `cap` events of each place, evenly in time."""
    count, seen = np.zeros(rows * columns, np.int64), np.zeros(rows * columns, np.int64)
    keep = np.ones(len(x), np.bool_)
    for i in range(len(x)):
        count[int(y[i] / side) * columns + int(x[i] / side)] += 1
    for i in range(len(x)):
        k = int(y[i] / side) * columns + int(x[i] / side)
        if count[k] > cap:
            keep[i] = (seen[k] * cap) // count[k] != ((seen[k] + 1) * cap) // count[k]
            seen[k] += 1
    return keep


@numba.njit(nogil=True, cache=True)
def _gains(x, y, t, end, motion, cell, rows, span, tried):  # type: ignore[no-untyped-def]
    """Per shift and place the sum of landing logarithms, and the events of each place."""
    n = len(t)
    u, v, age = places_of(x, y, t, end, motion, cell, span)
    table = logarithms(n)
    high, wide = (rows + PLACE - 1) // PLACE, (ACROSS + PLACE - 1) // PLACE
    gains = np.zeros((len(tried), high, wide), np.float32)
    count, gain = np.zeros((high, wide), np.float32), np.empty(n, np.float32)
    where = np.full(n, -1, np.int32)
    for i in range(n):
        if 0 <= u[i] < ACROSS and 0 <= v[i] < rows:
            where[i] = int(v[i]) // PLACE * wide + int(u[i]) // PLACE
            count[where[i] // wide, where[i] % wide] += 1
    flat = gains.reshape(len(tried), -1)
    for d in range(len(tried)):
        land(u, v, age, tried[d, 0], tried[d, 1], rows, table, gain)
        for i in range(n):
            if where[i] >= 0:
                flat[d, where[i]] += gain[i]
    return gains, count
