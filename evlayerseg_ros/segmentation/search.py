"""What may move, and how: looked for in the events of the last 133 ms, beside the network.

The background's motion and the proposals take as long as the network. In the first windows they are
looked for at once. Then cameras move smoothly and proposals last, and the search runs on a thread
of its own while the network works, for the next window: the answers are the same on any machine.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.background import agreement, background_motion
from evlayerseg_ros.motion.proposals import Proposal, keep_best, propose, propose_locally, shifts
from evlayerseg_ros.segmentation.objects import outside

SETTLED = 8  # windows after which the search is for the next one
PHASES = 13  # windows in which all shifts are tried; no factor in common with TURNS, which skip
NEWEST = 0.7  # share of the newest search in the background's motion: cameras move smoothly

# What is looked for in which window, once settled: less often, and processors are free for more.
TURNS = ("_look_for_background", "_propose", "", "_look_for_background", "_propose_locally", "")
EARLY = 4  # windows in which the background's motion is looked for from rest, too
# Shares of votes for a background's motion: above the one it is surely right; below the other it is
# looked for from rest, as in the first windows.
MOST_AGREE, FEW_AGREE = 0.6, 0.4
Found = tuple[np.ndarray, list[Proposal]]  # the background's motion, and what is proposed


@dataclass(frozen=True, eq=False)
class Seen:
    """What the search looks at.

    Attributes:
        past: events of the last 133 ms before `end`.
        end: ns.
        objects: uint8 [h, w], where objects are at `end`, see `outside`; None: nowhere.
        motions: float64 [L, 2, 3], px/s, theirs; label 0 at rest.
        rests: whether the camera rests.
    """

    past: Events
    end: int
    objects: np.ndarray | None
    motions: np.ndarray
    rests: bool


@dataclass
class Search:
    """The background's motion and the motions that are proposed.

    Attributes:
        propose: whether motions are proposed at all.
        background: float64 [2, 3], px/s, the background's motion; before the first window a guess.
        proposed: motions that something may follow.
        windows: how many windows were looked at.
    """

    propose: bool = True
    background: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    proposed: list[Proposal] = field(default_factory=list)
    windows: int = 0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _running: Future[Found] | None = None

    def update(self, seen: Seen) -> None:
        """Look at one more window: now, or once settled beside what the caller does next."""
        self._finish()
        self.windows += 1
        if seen.rests:
            self.background = np.zeros((2, 3))
        if self.windows <= SETTLED:
            self.background, _ = self._look_for_background(seen)
            _, self.proposed = self._propose(seen)
            _, self.proposed = self._propose_locally(seen)
        else:
            turn = TURNS[self.windows % len(TURNS)]
            if turn:
                self._running = self._pool.submit(getattr(self, turn), seen)

    def _finish(self) -> None:
        """Take what the search that runs, if any, has found."""
        running, self._running = self._running, None  # a search that failed is told once
        if running is not None:
            self.background, self.proposed = running.result()

    def _look_for_background(self, seen: Seen) -> Found:
        if seen.rests:
            return self.background, self.proposed
        past, end = seen.past, seen.end
        away = outside(past, end, seen.objects, seen.motions)
        best = background_motion(away, end, self.background, True)
        share, smooth = agreement(past, end, best), self.windows > 1
        others = []
        if seen.objects is not None and FEW_AGREE <= share < MOST_AGREE:
            # Masks that are too large hide what shows that they are.
            others.append((background_motion(past, end, self.background, True), smooth))
        if self.windows <= EARLY or share < FEW_AGREE:
            others.append((background_motion(away, end, np.zeros((2, 3)), False), False))
        for other, near in others:
            more = agreement(past, end, other)
            if more > share:
                best, share, smooth = other, more, near
        if smooth:
            best = (1 - NEWEST) * self.background + NEWEST * best
        return best, self.proposed

    def _propose(self, seen: Seen) -> Found:
        if not self.propose:
            return self.background, []
        tried = shifts() if self.windows == 1 else shifts(self.windows % PHASES, PHASES)
        new = propose(seen.past, seen.end, self.background, tried)
        return self.background, keep_best(self.proposed, new)

    def _propose_locally(self, seen: Seen) -> Found:
        if not self.propose or seen.rests:
            return self.background, self.proposed
        new = propose_locally(seen.past, seen.end, self.background)
        return self.background, keep_best(self.proposed, new)
