"""The events that windows may still need."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from evlayerseg_ros.events.types import Events

# A new block has room for so many times the events that have to go into it, and for LEAST.
ROOM, LEAST = 3, 1 << 14


class EventBuffer:
    """Events in the order of their times, addressed by their number since the stream began.

    Each is copied once, into a block, when it comes: a window is a view, also where windows
    overlap. A full block is left to the windows that view it, and the next one begins with what may
    still be needed.
    """

    def __init__(self, number: int = 0) -> None:
        """Args: the number of the first event to come."""
        self.first = self.last = number  # numbers of the first event kept and of the one to come
        self._block = _room(0, 0, 0)
        self._offset = number  # number of the block's first event

    def append(self, events: Events) -> None:
        """Add events, at least one, not earlier than those before."""
        if self.last + len(events) - self._offset > len(self._block):
            kept = self.take(self.first, self.last)
            needed = len(kept) + len(events)
            self._block = _room(max(LEAST, ROOM * needed), events.width, events.height)
            self._offset = self.first
            _put(kept, self._block, 0)
        _put(events, self._block, self.last - self._offset)
        self.last += len(events)

    def find(self, time: int) -> int:
        """Number of the first event kept that is not before `time`."""
        kept = self._block.t[self.first - self._offset : self.last - self._offset]
        return self.first + int(np.searchsorted(kept, time))

    def time(self, number: int) -> int:
        """Time of an event that is kept."""
        return int(self._block.t[number - self._offset])

    def take(self, begin: int, end: int) -> Events:
        """Events begin to end - 1, which are kept; a view."""
        return self._block[begin - self._offset : end - self._offset]

    def drop(self, number: int) -> None:
        """Keep only events from `number` on."""
        self.first = max(self.first, min(number, self.last))


def _room(count: int, width: int, height: int) -> Events:
    """Room for so many events, with no matter what in it."""
    x, y = np.empty(count, np.uint16), np.empty(count, np.uint16)
    return Events(x, y, np.empty(count, np.int64), np.empty(count, np.uint8), width, height)


def _put(events: Events, block: Events, at: int) -> None:
    """Copies events to places from `at` on."""
    for name in ("x", "y", "t", "p"):
        getattr(block, name)[at : at + len(events)] = getattr(events, name)


def cut_at_gaps(events: Events, gap: int) -> list[Events]:
    """The events cut where none came for `gap` ns or more; an empty list if there are none."""
    if len(events) == 0:
        return []
    if events.t[-1] - events.t[0] < gap:
        return [events]
    cuts = np.flatnonzero(np.diff(events.t) >= gap) + 1
    return [events[a:b] for a, b in pairwise([0, *cuts.tolist(), len(events)])]
