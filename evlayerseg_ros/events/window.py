"""The window rule: which events are segmented together, live, in replay and in evaluation.

Everything here is sensor time, so the windows of a stream do not depend on how its packets are cut
or when they arrive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.buffer import EventBuffer, cut_at_gaps
from evlayerseg_ros.events.types import Events, Window

MODES = ("time", "count")
BOUNDS = {  # lowest and highest number; the node's parameters have the same
    "duration_ms": (0.1, 60_000),
    "events": (1, 100_000_000),
    "stride_ms": (0, 60_000),
    "max_age_ms": (1, 60_000),
}


@dataclass(frozen=True)
class WindowConfig:
    """When a window opens and closes.

    Mode "time": windows [t0 + k stride, t0 + k stride + duration), where t0 is the first event. A
    window closes when the sensor's clock passes its end.

    Mode "count": without stride the next `events` events; with a stride the latest `events` events
    at every stride. A window never holds events older than max_age when it closes: without stride
    it closes with what it has; with a stride one that is not full is left out while the stream is
    younger than that.

    In both modes: a window without new events is skipped. After max_age without events the open
    window closes; then an empty window comes every max_age until the next event, which restarts the
    windows.

    Attributes:
        mode: "time" or "count".
        duration_ms: length of a window in mode "time".
        events: number of events of a window in mode "count".
        stride_ms: time from one window to the next; 0 is back to back.
        max_age_ms: time without events after which a scene is quiet; longest window in mode
            "count".
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
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"Window {name} {value}: expected {low} to {high}.")
        if 0 < self.stride_ms < 0.1:
            raise InputError(f"Window stride_ms {self.stride_ms}: expected 0, or 0.1 or more.")
        return self


class Windower:
    """Cuts a stream of events into windows; their stamps are sensor time here.

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
        self._size = (0, 0)
        self._buffer = EventBuffer()
        self.reset()

    def reset(self) -> None:
        """Forget all events, but not how many they were; the next event opens the first window."""
        self._last: int | None = None  # time of the last event
        self._answered = 0  # in a quiet scene: time up to which windows came out
        self._clear()

    def pause(self) -> None:
        """Begin anew after `flush`: the sensor's clock went on while no packet came."""
        self.reset()

    def _clear(self) -> None:
        self._buffer = EventBuffer(self._buffer.last)
        self._begun = False
        self._origin = 0  # time at which the grid of windows begins
        self._step = 0  # windows of the grid that were passed
        self._shown = self._buffer.last  # number of the first event that no window showed yet

    def push(self, events: Events, now: int | None = None) -> list[Window]:
        """Take events and return the windows that they, or the clock, close.

        Args:
            events: not earlier than those before, of one sensor; may be empty.
            now: the sensor's clock in ns if it is ahead of the last event.
        """
        windows: list[Window] = []
        for part in cut_at_gaps(events, self._max_age):
            first = int(part.t[0])
            if self._last is not None and first - self._last >= self._max_age:
                self._quiet(windows, first)
            if not self._begun:
                self._begun, self._origin = True, first
                self._size = (part.width, part.height)
            self._buffer.append(part)
            self._last = int(part.t[-1])
            self._advance(windows, self._last)
        if now is not None and self._last is not None and now > self._last:
            if now - self._last >= self._max_age:
                self._quiet(windows, now)
            else:
                self._advance(windows, now)
        return windows

    def flush(self) -> list[Window]:
        """Close what is open with what it has: the stream stalled or ended.

        After a stall of max_age or more, the windows are the same as without the call.
        """
        windows: list[Window] = []
        self._close(windows)
        return windows

    def _quiet(self, windows: list[Window], now: int) -> None:
        """No event came for max_age, and it is `now`."""
        self._close(windows)
        while now >= self._answered + self._max_age:
            start, self._answered = self._answered, self._answered + self._max_age
            end, number = self._answered, self._buffer.last
            windows.append(_window(Events.empty(*self._size), start, end, number))

    def _close(self, windows: list[Window]) -> None:
        """The windows that come if no event follows within max_age; the next begins a new grid."""
        if not self._begun or self._last is None:
            return
        self._advance(windows, self._last + self._max_age)
        buffer = self._buffer
        if self._shown < buffer.last:
            begin, start = self._open_window()
            if begin < buffer.last:
                self._emit(windows, begin, buffer.last, start)
        self._answered = self._last
        self._clear()

    def _advance(self, windows: list[Window], now: int) -> None:
        """The windows that are complete at `now`."""
        if not self._begun:
            return
        if self.config.mode == "time":
            self._by_time(windows, now)
        elif self._stride:
            self._by_stride(windows, now)
        else:
            self._by_count(windows, now)

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

    def _by_time(self, windows: list[Window], now: int) -> None:
        stride = self._stride or self._duration
        while True:
            start = self._origin + self._step * stride
            end = start + self._duration
            if now < end:
                return
            if self._shown == self._buffer.last:  # nothing new until now: all are left out
                self._step += (now - end) // stride + 1
                self._buffer.drop(self._buffer.find(self._origin + self._step * stride))
                return
            begin, stop = self._buffer.find(start), self._buffer.find(end)
            if max(begin, self._shown) < stop:
                self._emit(windows, begin, stop, start)
            self._step += 1
            self._buffer.drop(self._buffer.find(start + stride))

    def _by_count(self, windows: list[Window], now: int) -> None:
        buffer = self._buffer
        while self._shown < buffer.last:
            begin = self._shown
            start = buffer.time(begin)
            deadline = start + self._max_age
            stop = begin + self.config.events
            if stop > buffer.last or buffer.time(stop - 1) >= deadline:
                if now < deadline:
                    return
                stop = buffer.find(deadline)
            self._emit(windows, begin, stop, start)
            buffer.drop(stop)

    def _by_stride(self, windows: list[Window], now: int) -> None:
        buffer = self._buffer
        while True:
            end = self._origin + (self._step + 1) * self._stride
            if now < end:
                buffer.drop(buffer.last - self.config.events)
                return
            if self._shown == buffer.last:  # nothing new until now: all are left out
                self._step += (now - end) // self._stride + 1
                continue
            stop = buffer.find(end)
            begin = max(buffer.first, stop - self.config.events, buffer.find(end - self._max_age))
            full = stop - begin == self.config.events
            missing = self._origin + self._max_age - end
            if stop == buffer.last and not full and missing > 0:  # none comes before that age
                self._step += -(-min(missing, now + 1 - end) // self._stride)
                continue
            if max(begin, self._shown) < stop and (full or end - self._origin >= self._max_age):
                self._emit(windows, begin, stop, buffer.time(begin))
            self._step += 1
            buffer.drop(begin)

    def _emit(self, windows: list[Window], begin: int, stop: int, start: int) -> None:
        events = self._buffer.take(begin, stop)
        windows.append(_window(events, start, int(events.t[-1]), begin))
        self._shown = max(self._shown, stop)


class WindowerAt(Windower):
    """Cuts windows that open at given instants and hold `config.events` events; they may overlap.

    Each begins with the first event that is not before its instant, however long after. The k-th
    window belongs to the k-th instant; those that the stream's end cuts short do not come.

    Args:
        config: the window rule, of mode "count".
        starts: int64 [M], sensor times in ns, rising.

    Raises:
        InputError: windows of a time, or a wrong value in config.
    """

    def __init__(self, config: WindowConfig, starts: np.ndarray) -> None:
        if config.mode != "count":
            raise InputError("Windows that open at given instants hold a number of events.")
        super().__init__(config)
        self._starts, self._next = starts, 0

    def push(self, events: Events, now: int | None = None) -> list[Window]:
        """Take events and return the windows that they fill; `now` tells nothing here."""
        windows: list[Window] = []
        buffer = self._buffer
        if len(events):
            buffer.append(events)
        begin = buffer.last
        while self._next < len(self._starts):
            begin = buffer.find(int(self._starts[self._next]))
            stop = begin + self.config.events
            if stop > buffer.last:
                break
            self._emit(windows, begin, stop, buffer.time(begin))
            self._next += 1
            begin = buffer.last
        buffer.drop(begin)
        return windows

    def flush(self) -> list[Window]:
        """What is not full does not come."""
        return []

    def pause(self) -> None:
        """A window goes on where the sensor's clock paused."""


def _window(events: Events, start: int, end: int, first: int) -> Window:
    return Window(events, start, end, end, first)
