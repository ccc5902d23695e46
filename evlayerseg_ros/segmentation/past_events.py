"""The events of the windows before."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.evidence import SPAN, subsample

LASTS = 400_000_000  # ns from one window's end to the next one's start after which all is forgotten
EVENTS = 20_000  # of each window that are kept


@dataclass
class PastEvents:
    """Events of the last windows, as long as each follows the one before.

    Attributes:
        windows: how many windows came.
    """

    windows: int = 0
    _parts: deque[Events] = field(default_factory=deque)
    _turns: deque[np.ndarray | None] = field(default_factory=deque)  # of the parts
    _end: int | None = None

    def followed_by(self, window: Window) -> bool:
        """Whether a window goes on from here: same sensor, later, and not much later."""
        if self._end is None:
            return True
        last, events = self._parts[-1], window.events
        same = (events.width, events.height) == (last.width, last.height)
        return same and self._end <= window.end and window.start - self._end <= LASTS

    def add(self, window: Window, turn: np.ndarray | None = None) -> np.ndarray:
        """Take a window, thinned. What overlaps with the last one is not taken twice.

        Args:
            window: later than those before.
            turn: float64 [2, 3], px/s, the motion that the camera's turn makes; None: not known.

        Returns:
            float64 [2, 3], px/s, by how much that is another than in the window before; zero where
            either is not known.
        """
        new = window.events
        before = self._turns[-1] if self._turns else None
        changed = np.zeros((2, 3)) if turn is None or before is None else turn - before
        if self._end is not None:
            new = new[int(np.searchsorted(new.t, self._end, side="right")) :]
        self._parts.append(subsample(new, EVENTS))
        self._turns.append(turn)
        self._end = window.end
        self.windows += 1
        while len(self._parts) > 1 and (
            not len(self._parts[0]) or self._parts[0].t[-1] < window.end - SPAN
        ):
            self._parts.popleft()
            self._turns.popleft()
        return changed

    def before(self, end: int, steadied: bool = False) -> Events:
        """The events of the last SPAN ns before `end` that are kept.

        Args:
            end: ns.
            steadied: move them to where they would be had the camera always turned as it does now:
                a camera that shakes has one motion then.
        """
        events = Events.concatenate(self._steadied() if steadied else list(self._parts))
        return events[int(np.searchsorted(events.t, end - SPAN)) :]

    def _steadied(self) -> list[Events]:
        """The parts; earlier ones are warped by how their turn differs from the last one's."""
        parts, now, behind, after = list(self._parts), self._turns[-1], np.zeros((2, 3)), self._end
        if now is None or after is None:
            return parts
        for k in range(len(parts) - 2, -1, -1):
            after = int(parts[k + 1].t[0]) if len(parts[k + 1]) else after
            turn, part = self._turns[k], parts[k]
            other = np.zeros((2, 3)) if turn is None else turn - now
            parts[k] = _moved(part, behind, other, after)
            if len(part):
                behind = behind + other * ((after - int(part.t[0])) * 1e-9)
        return parts


def _moved(events: Events, by: np.ndarray, motion: np.ndarray, end: int) -> Events:
    """The events moved by an affine way `by` (px) and along a motion (px/s) until `end` (ns)."""
    if not (by.any() or motion.any()):
        return events
    left = (end - events.t) * 1e-9
    x, y = (
        place + sum((b[k] + m[k] * left) * along for k, along in enumerate((events.x, events.y, 1)))
        for place, b, m in zip((events.x, events.y), by, motion)
    )
    x, y = np.rint(x), np.rint(y)
    keep = np.flatnonzero((x >= 0) & (x < events.width) & (y >= 0) & (y < events.height))
    moved = x[keep].astype(np.uint16), y[keep].astype(np.uint16)
    return replace(events[keep], x=moved[0], y=moved[1])
