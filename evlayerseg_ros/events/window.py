"""The window rule: which events are segmented together, live, in replay and in evaluation.

Everything here is sensor time, so the windows of a stream do not depend on how its packets are cut
or when they arrive.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Events

MODES = ("time", "count")


@dataclass(frozen=True)
class WindowConfig:
    """When a window opens and closes.

    Mode "time": windows [t0 + k stride, t0 + k stride + duration), where t0 is the first event. A
    window closes when the sensor's clock passes its end. Windows without events are left out.

    Mode "count": without stride the next `events` events; with a stride the latest `events` events
    at every stride. A window never holds events older than max_age when it closes: without stride
    it closes with what it has, with a stride it is left out only until the stream is that old.

    In both modes at least one window, if need be an empty one, comes out every max_age, so that a
    quiet scene still answers.

    Attributes:
        mode: "time" or "count".
        duration_ms: length of a window in mode "time".
        events: number of events of a window in mode "count".
        stride_ms: time from one window to the next; 0 is back to back.
        max_age_ms: longest time without a window; longest window in mode "count".
    """

    mode: str = "time"
    duration_ms: float = 33.0
    events: int = 50000
    stride_ms: float = 0.0
    max_age_ms: float = 100.0

    def validate(self) -> WindowConfig:
        """This configuration, if it makes sense.

        Raises:
            InputError: names the wrong value and what was expected.
        """
        if self.mode not in MODES:
            raise InputError(f'Window mode "{self.mode}": expected {" or ".join(MODES)}.')
        for name, low, high in (
            ("duration_ms", 0.1, 60_000),
            ("events", 1, 100_000_000),
            ("stride_ms", 0, 60_000),
            ("max_age_ms", 1, 60_000),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"Window {name} {value}: expected {low} to {high}.")
        if 0 < self.stride_ms < 0.1:
            raise InputError(f"Window stride_ms {self.stride_ms}: expected 0, or 0.1 or more.")
        return self


class RawWindow(NamedTuple):
    """A window in sensor time: events, start and end in ns (see Window for what they mean)."""

    events: Events
    start: int
    end: int


class _Buffer:
    """Events in the order of their times, addressed by their number since the stream began."""

    def __init__(self) -> None:
        self.first = self.last = 0  # numbers of the first event kept and of the one to come
        self._parts: list[Events] = []
        self._offsets: list[int] = []
        self._ends: list[int] = []

    def append(self, events: Events) -> None:
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


class Windower:
    """Cuts a stream of events into windows.

    Args:
        config: the window rule.

    Raises:
        InputError: a wrong value in config.
    """

    def __init__(self, config: WindowConfig) -> None:
        config.validate()
        self.config = config
        self._duration = round(config.duration_ms * 1e6)
        self._stride = round(config.stride_ms * 1e6)
        self._max_age = round(config.max_age_ms * 1e6)
        self.reset()

    def reset(self) -> None:
        """Forget all events; the next event opens the first window."""
        self._buffer = _Buffer()
        self._size = (0, 0)
        self._begun = False
        self._origin = 0  # time at which the grid of windows begins
        self._step = 0  # windows of the grid that were passed
        self._answered = 0  # nominal end of the last window that came out, or the origin
        self._shown = 0  # number of the first event that no window showed yet

    def push(self, events: Events, now: int | None = None) -> list[RawWindow]:
        """Take events and return the windows that they, or the clock, close.

        Args:
            events: later than those before, of one sensor; may be empty.
            now: the sensor's clock in ns if it is ahead of the last event.
        """
        if len(events):
            if not self._begun:
                self._begun = True
                self._origin = self._answered = int(events.t[0])
            self._size = (events.width, events.height)
            self._buffer.append(events)
            now = max(int(events.t[-1]), now if now is not None else 0)
        if not self._begun or now is None:
            return []
        if self.config.mode == "time":
            return self._by_time(now)
        return self._by_stride(now) if self._stride else self._by_count(now)

    def flush(self) -> list[RawWindow]:
        """Close the open window with what it has: the stream stalled or ended.

        Returns the window, or nothing if every event was shown. The next event begins a new grid.
        """
        windows: list[RawWindow] = []
        buffer = self._buffer
        if self._shown < buffer.last:
            begin, start = self._open_window()
            if begin < buffer.last:
                self._emit(windows, begin, buffer.last, start)
        self.reset()
        return windows

    def _open_window(self) -> tuple[int, int]:
        """First event and start of the window that would close with the last event."""
        buffer = self._buffer
        if self.config.mode == "time":
            start = self._origin + self._step * (self._stride or self._duration)
            return buffer.find(start), start
        begin = self._shown
        if self._stride:
            oldest = buffer.time(buffer.last - 1) - self._max_age
            begin = max(buffer.last - self.config.events, buffer.find(oldest))
        return begin, buffer.time(begin)

    def _by_time(self, now: int) -> list[RawWindow]:
        windows: list[RawWindow] = []
        stride = self._stride or self._duration
        while True:
            start = self._origin + self._step * stride
            end = start + self._duration
            if now < end:
                return windows
            begin, stop = self._buffer.find(start), self._buffer.find(end)
            if begin < stop:
                self._emit(windows, begin, stop, start)
                self._answered = end
            elif end + stride > self._answered + self._max_age:
                windows.append(self._empty(start, end))
            self._step += 1
            self._buffer.drop(self._buffer.find(start + stride))

    def _by_count(self, now: int) -> list[RawWindow]:
        windows: list[RawWindow] = []
        buffer = self._buffer
        while True:
            begin = self._shown
            if begin == buffer.last:  # no event: answer at the end of every max_age
                while now >= self._answered + self._max_age:
                    windows.append(self._empty(self._answered, self._answered + self._max_age))
                return windows
            first = buffer.time(begin)
            while first >= self._answered + self._max_age:
                windows.append(self._empty(self._answered, self._answered + self._max_age))
            deadline = first + self._max_age
            stop = begin + self.config.events
            full = stop <= buffer.last and buffer.time(stop - 1) < deadline
            if not full:
                if now < deadline:
                    return windows
                stop = buffer.find(deadline)
            self._emit(windows, begin, stop, first)
            self._answered = windows[-1].end if full else deadline
            buffer.drop(stop)

    def _by_stride(self, now: int) -> list[RawWindow]:
        windows: list[RawWindow] = []
        buffer = self._buffer
        while True:
            end = self._origin + (self._step + 1) * self._stride
            if now < end:
                # Keep what the next windows can still use.
                buffer.drop(min(buffer.last - self.config.events, buffer.find(end)))
                return windows
            stop = buffer.find(end)
            begin = max(buffer.first, stop - self.config.events, buffer.find(end - self._max_age))
            full = stop - begin == self.config.events
            if begin < stop and (full or end - self._origin >= self._max_age):
                self._emit(windows, begin, stop, buffer.time(begin))
                self._answered = end
            elif end + self._stride > self._answered + self._max_age and begin == stop:
                windows.append(self._empty(end - self._stride, end))
            self._step += 1
            buffer.drop(begin)

    def _emit(self, windows: list[RawWindow], begin: int, stop: int, start: int) -> None:
        events = self._buffer.take(begin, stop)
        windows.append(RawWindow(events, start, int(events.t[-1])))
        self._shown = max(self._shown, stop)

    def _empty(self, start: int, end: int) -> RawWindow:
        self._answered = end
        return RawWindow(Events.empty(*self._size), start, end)
