"""Evidence that events follow one motion rather than another.

Warped along the right motion, events land where many others do. An event's gain for a motion is the
logarithm of how many events share its cell along that motion, minus the same along the background's
(as in event-based motion segmentation by motion compensation: Stoffregen et al., ICCV 2019;
Mitrokhin et al., IROS 2018). Gains are gathered over the last 133 ms, so that slow motions show,
too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.iwe_counts import log_table
from evlayerseg_ros.motion.warp import cell_at, warp_point, within_pixel

SPAN = 133_000_000  # ns of events that are looked at
EVIDENCE_EVENTS = 16_000  # of these, at most
PLANE = 2  # cells per step of the planes
BLOCK = 8  # and per step of the choice
PLACE_PX = 16.0  # px of 640: side of the places that events are thinned in


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where events follow one of several motions, and where the background's.

    Attributes:
        motions: float64 [K, 2, 3], px/s; the background's first, then the others, those with most
            support first.
        choice: uint8 [rows, columns], at each block of BLOCK cells the motion that most speaks for;
            0 where the background's does.
        planes: float32 [2, h, w], at each step of PLANE cells the gain for the chosen motion, where
            it takes the events to, and the gain for the background, where that one takes them to.
        votes: float64 [K], gain of each motion in the blocks that chose it.
        cell: px per cell.
    """

    motions: np.ndarray
    choice: np.ndarray
    planes: np.ndarray
    votes: np.ndarray
    cell: float

    def turned(self, change: np.ndarray) -> Evidence:
        """The same before a camera that turns otherwise (float64 [2, 3], px/s)."""
        return replace(self, motions=self.motions + change)

    def owners(self, events: Events, end: int) -> np.ndarray:
        """uint8 [N]: the motion 1.. that each event is warped along; 1 where none was chosen."""
        out = np.ones(len(events), np.uint8)
        if self.choice.max(initial=0) > 1:
            side = self.cell * BLOCK
            _own(events.x, events.y, events.t, end, self.motions, self.choice, side, out)
        return out


def gather_evidence(events: Events, end: int, motions: np.ndarray, cell: float) -> Evidence:
    """Compare motions by where events land.

    Args:
        events: of the last SPAN ns before `end`; fewer of them are looked at where there are many.
        end: ns, the instant to which they are warped.
        motions: float64 [K, 2, 3], px/s, velocities at `end` (see Segmentation); the background's
            first.
        cell: px of the cells in which events count as landing on each other.

    Returns:
        See Evidence; with one motion alone all planes are zero.
    """
    rows, columns = (int(np.ceil(side / cell)) for side in (events.height, events.width))
    planes = np.zeros((2, -(-rows // PLANE), -(-columns // PLANE)), np.float32)
    choice = np.zeros((-(-rows // BLOCK), -(-columns // BLOCK)), np.uint8)
    if len(motions) == 1 or not len(events):
        return Evidence(motions, choice, planes, np.zeros(len(motions)), cell)
    some = thin_where_dense(events, EVIDENCE_EVENTS)
    at, logs = _land(some.x, some.y, some.t, end, motions, cell, rows, columns)
    fields = _gather(at, logs, choice.shape)
    order = np.array([0, *(1 + np.argsort(-np.maximum(fields[1:], 0).sum((1, 2)), kind="stable"))])
    fields = fields[order]
    choice[:] = fields.argmax(0)
    votes = np.bincount(choice.ravel(), fields.max(0).ravel(), len(motions))
    _splat(at, logs, order, choice, planes)
    return Evidence(motions[order], choice, planes, votes, cell)


def subsample(events: Events, most: int) -> Events:
    """Every n-th event, so that there are at most `most`."""
    every = -(-len(events) // most)
    if every <= 1:
        return events
    # Copied: compiled loops want them side by side, and an index array takes three times as long.
    columns = events.x, events.y, events.t, events.p
    x, y, t, p = (np.ascontiguousarray(column[::every]) for column in columns)
    return Events(x, y, t, p, events.width, events.height)


def thin_where_dense(events: Events, most: int) -> Events:
    """At most `most` events, of each place a number that goes with the square root of what it has.

    Taken alike everywhere, what has few events would be left with too few to show its motion beside
    a dense texture.
    """
    if len(events) <= most:
        return events
    side = PLACE_PX * events.width / 640
    columns, rows = (int(length / side) + 1 for length in (events.width, events.height))
    place, count = _count(events.x, events.y, side, rows, columns)
    root = np.sqrt(count)
    scale = most / root.sum()
    for _ in range(4):  # what a place cannot give, the others do
        whole = root <= scale
        scale = (most - count[whole].sum()) / root[~whole].sum()
    share = np.minimum(scale / np.maximum(root, 1), 1)
    return events[_choose(place, share)[-most:]]  # rounding may give some more


def motion_at(motion: np.ndarray, x: float, y: float) -> np.ndarray:
    """float64 [..., 2]: velocity (u, v) of affine motions [..., 2, 3] at a pixel, px/s."""
    return motion @ np.array([x, y, 1.0])


@numba.njit(nogil=True, cache=True)
def _count(x, y, side, rows, columns):  # type: ignore[no-untyped-def]
    """uint32 [N], each event's place, and int64 [rows x columns], the events of each."""
    place, count = np.empty(len(x), np.uint32), np.zeros(rows * columns, np.int64)
    per_px, wide = np.float32(1 / side), np.uintp(columns)
    for i in range(len(x)):
        place[i] = np.uintp(y[i] * per_px) * wide + np.uintp(x[i] * per_px)
    for i in range(len(x)):
        count[place[i]] += 1
    return place, count


@numba.njit(nogil=True, cache=True)
def _choose(place, share):  # type: ignore[no-untyped-def]
    """int64: indices of a share of each place's events, evenly among them."""
    owed, chosen, count = np.full(len(share), 0.5), np.empty(len(place), np.int64), 0
    for i in range(len(place)):
        here = place[i]
        chosen[count] = i  # kept if counted; without a branch, which nobody could predict
        more = owed[here] + share[here]
        owed[here] = more - (more >= 1)
        count += more >= 1
    return chosen[:count]


@numba.njit(nogil=True, cache=True)
def _land(x, y, t, end, motions, cell, rows, columns):  # type: ignore[no-untyped-def]
    """Place in cells at `end` float32 [K, N, 2], and logarithm of the events there [K, N]."""
    many, n, nowhere = len(motions), len(t), rows * columns
    at, logs = np.empty((many, n, 2), np.float32), np.zeros((many, n), np.float32)
    where, count = np.empty(n, np.int32), np.empty(nowhere + 1, np.uint16)
    table, per_px = log_table(n), 1 / cell
    for k in range(many):
        (a0, a1, a2), (b0, b1, b2) = motions[k, 0], motions[k, 1]
        for i in range(n):
            right, down = within_pixel(i)  # so that rest is not favoured
            px, py, tau = x[i] + right, y[i] + down, (end - t[i]) * 1e-9
            u, v = warp_point(a0, a1, a2, b0, b1, b2, px, py, tau)
            u, v = (u + 0.5) * per_px, (v + 0.5) * per_px
            at[k, i, 0], at[k, i, 1] = u, v
            inside = (u >= 0) & (v >= 0) & (u < columns) & (v < rows)
            where[i] = int(v) * columns + int(u) if inside else nowhere
        count[:] = 0
        for i in range(n):
            count[np.uintp(where[i])] += 1
        count[nowhere] = 0
        for i in range(n):
            logs[k, i] = table[count[np.uintp(where[i])]]
    return at, logs


@numba.njit(nogil=True, cache=True)
def _gather(at, logs, shape):  # type: ignore[no-untyped-def]
    """float32 [K, rows, columns]: gain of each motion around each block; 0 for the background's."""
    many, n = logs.shape
    rows, columns = shape
    raw = np.zeros((many, rows, columns), np.float32)
    for k in range(1, many):
        for i in range(n):
            gain = logs[k, i] - logs[0, i]
            # A gain counts where the motion takes the event to, a loss where the background does.
            there = k if gain > 0 else 0
            u, v = at[there, i, 0] / BLOCK, at[there, i, 1] / BLOCK
            if 0 <= u < columns and 0 <= v < rows:
                raw[k, int(v), int(u)] += gain
    out = np.zeros_like(raw)
    for k in range(1, many):
        for i in range(rows):
            for j in range(columns):
                total = np.float32(0)
                for a in range(max(i - 1, 0), min(i + 2, rows)):
                    for b in range(max(j - 1, 0), min(j + 2, columns)):
                        total += raw[k, a, b]
                out[k, i, j] = total
    return out


@numba.njit(nogil=True, cache=True)
def _splat(at, logs, order, choice, planes):  # type: ignore[no-untyped-def]
    """Fills `planes` with the gains for the chosen motions (of `order`) and the background's.

    An event is compared only with motions chosen where they take it: it counts for the best of
    these, or for the background if it lands better along that. Without any it counts for the
    background, by its gain over the worst motion.
    """
    many, n = logs.shape
    rows, columns = choice.shape
    _, high, wide = planes.shape
    for i in range(n):
        best, mine, lost = np.float32(-np.inf), 0, np.float32(0)
        for rank in range(1, many):
            k = order[rank]
            gain = logs[k, i] - logs[0, i]
            lost = max(lost, -gain)
            u, v = at[k, i, 0] / BLOCK, at[k, i, 1] / BLOCK
            here = 0 <= u < columns and 0 <= v < rows and choice[int(v), int(u)] == rank
            if here and gain > best:
                best, mine = gain, k
        gain = best if mine else -lost
        plane, there = (0, mine) if gain > 0 else (1, 0)
        u, v = at[there, i, 0] / PLANE, at[there, i, 1] / PLANE
        if 0 <= u < wide and 0 <= v < high:
            planes[plane, int(v), int(u)] += abs(gain)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _own(x, y, t, end, motions, choice, side, out):  # type: ignore[no-untyped-def]
    """See Evidence.owners. `warp_point` to first order in the deformation: blocks are wide."""
    rows, columns = choice.shape
    speeds, blocks = (motions * 1e-9).astype(np.float32), choice.ravel()
    per_px, half, where = np.float32(1 / side), np.float32(0.5), np.empty(len(t), np.int32)
    for k in range(len(motions) - 1, 1, -1):
        (a0, a1, a2), (b0, b1, b2) = speeds[k, 0], speeds[k, 1]
        for i in range(len(t)):
            px, py, tau = np.float32(x[i]), np.float32(y[i]), np.float32(end - t[i])
            u = (px + half + tau * (a0 * px + a1 * py + a2)) * per_px
            v = (py + half + tau * (b0 * px + b1 * py + b2)) * per_px
            where[i] = cell_at(u, v, rows, columns)
        for i in range(len(t)):
            if where[i] >= 0 and blocks[np.uintp(where[i])] == k:
                out[i] = k
