"""What may move, and how: looked for in the events of the last 133 ms, beside the network.

In the first windows the background's motion and the proposals are looked for at once. Then cameras
move smoothly and proposals last, and the search runs on a thread of its own while the network
works, for the next window: the answers are the same on any machine.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.background import background_motion, vote_share
from evlayerseg_ros.motion.proposals import propose, propose_locally
from evlayerseg_ros.segmentation.objects import outside

SETTLED = 8  # looks after which the search is for the next window
NEWEST = 0.7  # share of the newest search in the background's motion: cameras move smoothly

# What is looked for in which window, once settled: less often, and processors are free for more.
SCHEDULE = ("_look_for_background", "_propose", "", "_look_for_background", "_propose_locally", "")
EARLY = 4  # looks at which the background's motion is looked for from rest, too
# Shares of votes for a background's motion: above the one it is surely right; below the other it is
# looked for from rest, as in the first windows.
MOST_AGREE, FEW_AGREE = 0.6, 0.4


@dataclass(frozen=True, eq=False)
class Found:
    """What is known of motions, float64 [2, 3] px/s each.

    Attributes:
        background: the background's.
        anywhere: motions that something may follow, found in the whole grid of shifts.
        slow: those on which places side by side agree.
    """

    background: np.ndarray
    anywhere: tuple[np.ndarray, ...] = ()
    slow: tuple[np.ndarray, ...] = ()

    @property
    def proposed(self) -> list[np.ndarray]:
        """The best of each kind first."""
        both = zip_longest(self.anywhere, self.slow)
        return [motion for pair in both for motion in pair if motion is not None]

    def turned(self, change: np.ndarray) -> Found:
        """The same after a change of the camera's turn (float64 [2, 3], px/s)."""
        anywhere, slow = (
            tuple(motion + change for motion in some) for some in (self.anywhere, self.slow)
        )
        return Found(self.background + change, anywhere, slow)


@dataclass(frozen=True, eq=False)
class Seen:
    """What the search looks at.

    Attributes:
        past: events of the last 133 ms before `end`.
        end: ns.
        objects: uint8 [h, w], where objects are at `end`, see `outside`; None: nowhere.
        motions: float64 [L, 2, 3], px/s, theirs; label 0 at rest.
        rests: whether the camera rests.
        turn: float64 [2, 3], px/s, the motion that the camera's turn makes, as a gyro says; zero
            where none does.
    """

    past: Events
    end: int
    objects: np.ndarray | None
    motions: np.ndarray
    rests: bool
    turn: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))


@dataclass
class Search:
    """The search for motions, window after window.

    Attributes:
        propose: whether motions are proposed at all.
        found: what it found; before the first window a guess.
        looks: how many times it looked.
    """

    propose: bool = True
    found: Found = field(default_factory=lambda: Found(np.zeros((2, 3))))
    looks: int = 0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _running: Future[Found] | None = None

    def update(self, seen: Seen, turn_changed: np.ndarray | None = None) -> None:
        """Look at one more window: now, or once settled beside what the caller does next.

        Args:
            seen: the window.
            turn_changed: float64 [2, 3], px/s, by how much the camera's turn is another than in the
                last window; what was found before is turned as much.
        """
        running, self._running = self._running, None  # a search that failed is told once
        if running is not None:
            self.found = running.result()
        if turn_changed is not None and turn_changed.any():
            self.found = self.found.turned(turn_changed)
        self.looks += 1
        if seen.rests:
            self.found = replace(self.found, background=np.zeros((2, 3)), slow=())
        if self.looks <= SETTLED:
            for look in (self._look_for_background, self._propose, self._propose_locally):
                self.found = look(seen)
        else:
            name = SCHEDULE[self.looks % len(SCHEDULE)]
            if name:
                self._running = self._pool.submit(getattr(self, name), seen)

    def _look_for_background(self, seen: Seen) -> Found:
        if seen.rests:
            return self.found
        past, end, known = seen.past, seen.end, self.found.background
        away = outside(past, end, seen.objects, seen.motions)
        best = background_motion(away, end, known, True)
        share, smooth = vote_share(past, end, best), self.looks > 1
        others = []
        if seen.objects is not None and FEW_AGREE <= share < MOST_AGREE:
            # A mask that is too large hides the events that would show it.
            others.append((background_motion(past, end, known, True), smooth))
        if self.looks <= EARLY or share < FEW_AGREE:
            starts = [np.zeros((2, 3)), seen.turn] if seen.turn.any() else [np.zeros((2, 3))]
            others += [(background_motion(away, end, start, False), False) for start in starts]
        for other, near in others:
            more = vote_share(past, end, other)
            if more > share:
                best, share, smooth = other, more, near
        if smooth:
            best = (1 - NEWEST) * known + NEWEST * best
        return replace(self.found, background=best)

    def _propose(self, seen: Seen) -> Found:
        if not self.propose:
            return self.found
        best = propose(seen.past, seen.end, self.found.background)
        return replace(self.found, anywhere=tuple(proposal.motion for proposal in best))

    def _propose_locally(self, seen: Seen) -> Found:
        if not self.propose or seen.rests:
            return self.found
        best = propose_locally(seen.past, seen.end, self.found.background)
        return replace(self.found, slow=tuple(proposal.motion for proposal in best))
