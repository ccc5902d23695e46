"""The events that windows may still need."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np

from evlayerseg_ros.events.types import Events

# A new block has room for so many times the events that have to go into it, and for LEAST.
ROOM, LEAST = 3, 1 << 14
# Old blocks that are kept for the time when no window views them any more.
SPARE = 3


class EventBuffer:
    """Events in the order of their times, addressed by their number since the stream began.

    Each is copied once, into a block, when it comes: a window is a view, also where windows
    overlap. A full block is left to the windows that view it, and the next one begins with what may
    still be needed. A block that nobody views is used again, since fresh memory costs more than
    what is written to it.
    """

    def __init__(self, number: int = 0) -> None:
        """Args: the number of the first event to come."""
        self.first = self.last = number  # numbers of the first event kept and of the one to come
        self._block = _room(0, 0, 0)
        self._old: list[Events] = []
        self._offset = number  # number of the block's first event

    def append(self, events: Events) -> None:
        """Add events, at least one, not earlier than those before."""
        if self.last + len(events) - self._offset > len(self._block):
            kept = self.take(self.first, self.last)
            self._old = [*self._old, self._block][-SPARE:]
            self._block = self._next_block(len(kept) + len(events), events.width, events.height)
            self._offset = self.first
            _put(kept, self._block, 0)
        _put(events, self._block, self.last - self._offset)
        self.last += len(events)

    def _next_block(self, needed: int, width: int, height: int) -> Events:
        """Room for `needed` events and half as many again at least."""
        for block in self._old:
            if 2 * len(block) >= 3 * needed and _unseen(block):
                self._old = [other for other in self._old if other is not block]
                return replace(block, width=width, height=height)
        return _room(max(LEAST, ROOM * needed), width, height)

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


def _unseen(block: Events) -> bool:
    """Whether no view of it is left: each refers to the block's own array."""
    arrays = [block.x, block.y, block.t, block.p]
    # The block, the list and the call refer to an array anyway.
    return all(sys.getrefcount(arrays[k]) <= 3 for k in range(4))


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
