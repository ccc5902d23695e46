"""What the Segmenter keeps from window to window."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.evidence import SPAN, subsample

LASTS = 400_000_000  # ns from one window's end to the next one's start after which all is forgotten
EVENTS = 20_000  # of each window that are kept


@dataclass
class Memory:
    """Events of the windows before, and what the network said.

    Attributes:
        guess: float64 [2, 3], px/s, what the network last said of what moves; None before it did.
        windows: how many windows came.
    """

    guess: np.ndarray | None = None
    windows: int = 0
    _parts: deque[Events] = field(default_factory=deque)
    _end: int | None = None

    def followed_by(self, window: Window) -> bool:
        """Whether a window goes on from here: same sensor, later, and not much later."""
        if self._end is None:
            return True
        last, events = self._parts[-1], window.events
        same = (events.width, events.height) == (last.width, last.height)
        return same and self._end <= window.end and window.start - self._end <= LASTS

    def add(self, window: Window) -> None:
        """Take a window, thinned. What overlaps with the last one is not taken twice."""
        new = window.events
        if self._end is not None:
            new = new[int(np.searchsorted(new.t, self._end, side="right")) :]
        self._parts.append(subsample(new, EVENTS))
        self._end = window.end
        self.windows += 1
        while len(self._parts) > 1 and (
            not len(self._parts[0]) or self._parts[0].t[-1] < window.end - SPAN
        ):
            self._parts.popleft()

    def past(self, end: int) -> Events:
        """The events of the last SPAN ns before `end` that are kept."""
        events = Events.concatenate(list(self._parts))
        return events[int(np.searchsorted(events.t, end - SPAN)) :]
