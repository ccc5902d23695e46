"""Messages of decoded events, as EventArrays and files hold them, to windows."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clean import OVERLAP
from evlayerseg_ros.events.dvs import MANY
from evlayerseg_ros.events.stats import StreamStats
from evlayerseg_ros.events.timeline import Timeline
from evlayerseg_ros.events.types import EPOCH, Events, Window

# What arrives after younger packets is at most so much (ns) late.
LATE_TIME = 1_000_000_000
# After so many repeated packets in a row the publisher has restarted.
AGAIN = 5
# So few events, or so small a share, at the end of a message, so long (ns) after all others, may be
# strays.
_FEW, _SHARE, _STEP = 3, 0.1, 10_000_000
# And are, if nothing comes after them and they are this late (ns).
_FAR = 60 * 10**9
# So many messages are remembered, to know one that comes again.
MEMORY = 100
# So many events of one time are no chance.
_SOME = 16
# Events of so many seconds (ns) lie in more than this first part (ns) of each.
_SECOND, _SECONDS, _PART = 10**9, 4 * 10**9, 10**6


class _Message(NamedTuple):
    events: Events
    stamp: int  # ns


class EventArrayFilter:
    """Pushes messages of decoded events on, but for strays and messages that come again or late.

    A few events far back are strays: dropped. A repeated message is dropped. A whole message far
    back is held: AGAIN in a row, or one far enough back, mean the clock was set back; fewer were
    late. A few events far ahead are held, and are strays if the next message is earlier.

    Only messages of decoded events come here, never encoded packets.

    Args:
        timeline: takes the events.
        stats: where faults are counted.
    """

    def __init__(self, timeline: Timeline, stats: StreamStats) -> None:
        self._timeline, self._stats = timeline, stats
        self._back: list[_Message] = []
        self._ahead: _Message | None = None
        self._used: deque[int] = deque(maxlen=MEMORY)
        self._in_ros_time = False
        self._timeless = 0  # messages in a row, all of whose events are at time 0
        self._since = self._widest = 0  # ns: since when all events lie in so much of their seconds
        self._stamps = (_SECOND, 0)  # ns: where in their seconds the stamps since then lie

    def push(self, events: Events, stamp: int) -> list[Window]:
        """The windows that a message closes.

        Args:
            events: in order; maybe none.
            stamp: of its header, ns.

        Raises:
            InputError: it is one of many whose times are missing or wrong; counted.
        """
        if len(events) and (told := self._why_no_times(events.t, stamp)):
            self._stats.refuse(told)
            raise InputError(told)
        windows = self._judge_ahead(events)
        now = self._timeline.now
        at_once = len(events) >= _SOME and bool(events.t[0] == events.t[-1])
        if len(events) and self._came_again(events, now):
            return windows
        if len(events) and now is not None and events.t[0] < now:
            early = int(np.searchsorted(events.t, now - OVERLAP))
            if early > len(events) // 2:
                return windows + self._hold(_Message(events, stamp), now)
            self._stats.stray_events += early
            events = events[early:]
            self._stats.time_errors += int(np.count_nonzero(events.t < now))
            events = replace(events, t=np.maximum(events.t, now))
        if len(events):
            self.leave_out()
        self._stats.packets += 1
        self._stats.instants += at_once
        return windows + self._use(self._without_ahead(_Message(events, stamp)))

    def _why_no_times(self, t: np.ndarray, stamp: int) -> str:
        """A sentence if the events of many messages have no times, or wrong ones; "" else."""
        self._timeless = 0 if t.any() else self._timeless + 1
        if self._timeless >= MANY:
            return f"{MANY} messages in a row without times (ts is 0): expected the sensor's."
        some = t[:: max(1, len(t) // _SOME)]
        self._widest = max(self._widest, int((some % _SECOND).max()))
        at = stamp % _SECOND
        self._stamps = min(self._stamps[0], at), max(self._stamps[1], at)
        if t[0] < self._since or self._widest >= _PART or not self._since:
            self._since, self._widest, self._stamps = int(t[0]), 0, (_SECOND, 0)
        # Stamps from all of a second tell it from things that happen once a second.
        spread = self._stamps[1] - self._stamps[0] > _SECOND // 2
        if self._widest and spread and t[-1] - self._since > _SECONDS:
            return (
                f"All events of {_SECONDS // _SECOND} s lie in {self._widest * 1e-6:.3f} ms of "
                "each: ts.nanosec seems to hold us or ms, expected ns."
            )
        return ""

    def _came_again(self, events: Events, now: int | None) -> bool:
        """Whether a short message of a moment ago comes once more, which is counted."""
        first, last, mark = int(events.t[0]), int(events.t[-1]), 0
        for column in (events.x, events.y, events.t, events.p):
            mark = zlib.crc32(np.ascontiguousarray(column).data, mark)
        # Few events, or all of one instant, may be alike by chance.
        known = len(events) >= AGAIN and first < last and mark in self._used
        self._used.append(mark)
        # What lies far back is judged by what comes next.
        again = known and now is not None and now >= last and now - first <= OVERLAP
        if again:
            self._stats.doubled_packets += 1
            self._stats.last_fault = "A message of events came again."
        return again

    def finish(self) -> list[Window]:
        """The windows that the last events close, those that waited among them."""
        self.leave_out()
        message, self._ahead = self._ahead, None
        if message is None:
            return []
        now = self._timeline.now
        if now is not None and message.events.t[0] - now > _FAR:
            self._stats.stray_events += len(message.events)
            return []
        return self._use(message)

    def _judge_ahead(self, events: Events) -> list[Window]:
        """Uses the events that waited, if these come after them, else counts them as strays."""
        if self._ahead is None or not len(events):
            return []
        message, self._ahead = self._ahead, None
        if events.t[len(events) // 2] >= message.events.t[0]:
            return self._use(message)
        self._stats.stray_events += len(message.events)
        return []

    def _without_ahead(self, message: _Message) -> _Message:
        """The message without the few events at its end that have to wait."""
        events, now = message.events, self._timeline.now
        last = events.t[-max(_FEW, int(_SHARE * len(events))) - 1 :]
        if now is not None and len(events) <= _FEW:
            last = np.concatenate([[now], last])
        limit = np.full(max(len(last) - 1, 0), OVERLAP)  # which is common disorder
        limit[-_FEW:] = _STEP
        steps = np.flatnonzero(np.diff(last) > limit)
        if not len(steps):
            return message
        at = len(events) - len(last) + 1 + int(steps[0])
        ahead = events[at:]
        self._ahead = _Message(ahead, message.stamp + int(ahead.t[0] - events.t[0]))
        return message._replace(events=events[:at])

    def leave_out(self) -> None:
        """Count the messages that wait: the clock was not set back."""
        if self._back:
            late = (self._timeline.now or 0) - int(self._back[-1].events.t[-1])
            self._stats.doubled_packets += len(self._back)
            self._stats.last_fault = f"A message of events came {late * 1e-9:.3f} s too late."
            self._back.clear()

    def clear(self) -> None:
        """Forget the messages that wait, and which clock the last ones had."""
        self._back.clear()
        self._ahead = None
        self._used.clear()
        self._in_ros_time = False
        self._timeless = self._since = self._widest = 0

    def _use(self, message: _Message) -> list[Window]:
        events, stamp = message
        if len(events):
            now, first, middle = (
                self._timeline.now,
                int(events.t[0]),
                int(events.t[len(events) // 2]),
            )
            goes_on = now is not None and abs(first - now) <= LATE_TIME
            # A stamp may be that of a stray: then events that just go on say what they are.
            keeps = goes_on and self._in_ros_time
            unset = stamp == 0 and middle > EPOCH
            near = min(abs(first - stamp), abs(middle - stamp)) <= LATE_TIME
            self._in_ros_time = keeps or unset or near
        exact = 0 if self._in_ros_time else None
        return self._timeline.push(events, None, stamp, exact, sure=True)

    def _hold(self, message: _Message, now: int) -> list[Window]:
        """Keep a message far before the last one until it is known whether the clock went back."""
        held, events = self._back, message.events
        if held and events.t[0] < held[-1].events.t[-1] - OVERLAP:
            self.leave_out()
        held.append(message)
        # So many events so far back, or for so long, are no stray, and no message that came late.
        far = now - int(events.t[-1]) > LATE_TIME or events.t[-1] - events.t[0] > OVERLAP
        sure = far and len(events) >= AGAIN
        if len(held) < AGAIN and not sure:
            return []
        again = held.copy()
        held.clear()
        self._stats.packets += len(again)
        return [window for late in again for window in self._use(late)]


def on_sensor(events: Events, width: int, height: int) -> tuple[Events, int]:
    """Events on a sensor of that size in px, 0 for their own, and how many lie outside of it."""
    width, height = width or events.width, height or events.height
    outside = 0
    if width < events.width or height < events.height:
        inside = (events.x < width) & (events.y < height)
        outside = len(events) - int(np.count_nonzero(inside))
        events = events[inside]
    return replace(events, width=width, height=height), outside
