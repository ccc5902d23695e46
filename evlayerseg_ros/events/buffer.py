"""The events that windows may still need."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import numpy as np

from evlayerseg_ros.events.types import Events


class EventBuffer:
    """Events in the order of their times, addressed by their number since the stream began."""

    def __init__(self, number: int = 0) -> None:
        """Args: the number of the first event to come."""
        self.first = self.last = number  # numbers of the first event kept and of the one to come
        self._parts: list[Events] = []
        self._offsets: list[int] = []
        self._ends: list[int] = []

    def append(self, events: Events) -> None:
        """Add events, at least one, not earlier than those before."""
        self._parts.append(events)
        self._offsets.append(self.last)
        self._ends.append(int(events.t[-1]))
        self.last += len(events)

    def find(self, time: int) -> int:
        """Number of the first event kept that is not before `time`."""
        part = bisect_left(self._ends, time)
        if part == len(self._parts):
            return self.last
        inside = int(np.searchsorted(self._parts[part].t, time))
        return max(self.first, self._offsets[part] + inside)

    def time(self, number: int) -> int:
        """Time of an event that is kept."""
        part = bisect_left(self._offsets, number + 1) - 1
        return int(self._parts[part].t[number - self._offsets[part]])

    def take(self, begin: int, end: int) -> Events:
        """Events begin to end - 1, at least one; a view where they lie in one part."""
        parts = []
        for k in range(bisect_left(self._offsets, begin + 1) - 1, len(self._parts)):
            offset = self._offsets[k]
            if offset >= end:
                break
            parts.append(self._parts[k][max(begin - offset, 0) : end - offset])
        return Events.concatenate(parts)

    def drop(self, number: int) -> None:
        """Keep only events from `number` on."""
        self.first = max(self.first, min(number, self.last))
        done = bisect_left(self._offsets, self.first + 1) - 1
        if self.first == self.last:
            done = len(self._parts)
        if done > 0:
            del self._parts[:done], self._offsets[:done], self._ends[:done]


def cut_at_gaps(events: Events, gap: int) -> list[Events]:
    """The events cut where none came for `gap` ns or more; an empty list if there are none."""
    if len(events) == 0:
        return []
    if events.t[-1] - events.t[0] < gap:
        return [events]
    cuts = np.flatnonzero(np.diff(events.t) >= gap) + 1
    return [events[a:b] for a, b in pairwise([0, *cuts.tolist(), len(events)])]
