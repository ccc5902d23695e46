"""Timeline: decoded events of one sensor to windows with ROS stamps."""

from __future__ import annotations

from dataclasses import replace

from evlayerseg_ros.events.buffer import cut_at_gaps
from evlayerseg_ros.events.clock import FAR, JUMP, SensorClock
from evlayerseg_ros.events.stats import StreamStats
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.window import Windower

# A pause in sensor time (ns) that is not answered by empty windows when it is over.
PAUSE = 2_000_000_000


class Timeline:
    """Cuts windows and gives them ROS stamps, also where the sensor's clock jumps or pauses.

    Args:
        windower: cuts the windows.
        stats: where events, jumps, pauses and windows are counted.

    Attributes:
        now: the sensor's clock, ns; None before the first event.
        began: sensor time of the very first event, ns; None before it.
        span: sensor time that the events of the last packet cover, ns.
    """

    def __init__(self, windower: Windower, stats: StreamStats) -> None:
        self._windower, self._stats = windower, stats
        self._clock = SensorClock()
        self.now: int | None = None
        self.began: int | None = None
        self.span = 0
        self._stamp: int | None = None  # of the last packet with events
        self._doubt: int | None = None  # how far (ns) its stamp was off, if it was not believed
        self._newest: int | None = None  # stamp of a window, ns
        self._held: tuple[Events, int | None, int, int | None] | None = None  # arguments of push()

    def push(
        self, events: Events, now: int | None, stamp: int, exact: int | None, sure: bool = False
    ) -> list[Window]:
        """Windows that events close.

        A packet far before the last one waits: if the next one goes on where the last one ended, it
        is a stray, and counted; else the clock was set back. Only encoded packets wait here:
        decoded events are `sure`, from the EventArrayFilter.

        Args:
            events: of one packet, in order; maybe none.
            now: the sensor's clock in ns, if it is known to be ahead of the last event.
            stamp: the packet's header stamp, ns.
            exact: ROS time minus sensor time in ns where it is known exactly, else None.
            sure: events that go back mean a clock set back; hold none.
        """
        if not len(events):
            return self._push(events, now, stamp, exact, sure)
        back = self.now is not None and events.t[0] < self.now
        if back and not sure and self._held is None:
            self._held = events, now, stamp, exact
            return []
        windows: list[Window] = []
        if not back:
            self._leave_out()
        elif self._held is not None:
            held, self._held = self._held, None
            windows = self._push(*held)
        return windows + self._push(events, now, stamp, exact, sure)

    def _leave_out(self) -> None:
        """Counts a packet that waited and is not used, since packets went on without it."""
        if self._held is not None and self.now is not None:
            events = self._held[0]
            self._stats.stray_events += len(events)
            self._stats.last_fault = (
                f"A packet lay {(self.now - int(events.t[0])) * 1e-9:.3f} s before the last one."
            )
        self._held = None

    def _push(
        self, events: Events, now: int | None, stamp: int, exact: int | None, sure: bool = False
    ) -> list[Window]:
        windows: list[Window] = []
        self._stats.events += len(events)
        self._stats.other_pace += self._clock.hurries
        self.span = 0
        # An unchanged stamp: the publisher's clock is coarse or missing.
        stands = stamp == self._stamp
        if len(events):  # an empty packet teaches the clock nothing
            self._stamp = stamp
        for part in cut_at_gaps(events, PAUSE + 1):
            first, last = int(part.t[0]), int(part.t[-1])
            self.began = first if self.began is None else self.began
            # Decoded events that are in ROS time say so anew in each message.
            told = stamp if exact is None else None if sure else first + exact
            told = None if stands else told
            doubted = self._doubts(first, told, exact is not None)
            windows += self._check_clock(first, None if doubted else told)
            if not (doubted or (stands and self._clock.known)):
                if exact is not None:
                    self._clock.fix(first, exact)
                else:
                    self._observe(first, stamp)
            self.span += last - first
            self.now = last
            windows += self._stamped(self._windower.push(part))
        if now is not None and (self.now is None or now > self.now):
            windows += self._check_clock(now, None)
            self.now = now
            windows += self._stamped(self._windower.push(events[:0], now))
        return windows

    def _doubts(self, time: int, stamp: int | None, exact: bool) -> bool:
        """Whether a header stamp leaps while the sensor's clock goes on: a stray one, or a clock
        that was set. It is remembered, and believed if the next one says the same; else it is told.

        Args:
            time: of the packet's first event, ns.
            stamp: ns; None: it says nothing.
            exact: whether stamps are exact, so that a smaller leap is one.
        """
        if stamp is None or self.now is None or not 0 <= time - self.now <= JUMP // 2:
            return False
        away, before = self._clock.away(time, stamp), self._doubt
        far = abs(away) > (FAR if exact else self._clock.limit) and not self._clock.drifts(away)
        doubted = far and (before is None or abs(away - before) > FAR)
        self._doubt = away if doubted else None
        if before is not None and not far:
            self._stats.last_fault = (
                f"A header stamp was {abs(before) * 1e-9:.3f} s "
                f"{'ahead of' if before > 0 else 'behind'} the sensor's clock, but not the "
                "next one: it was not used."
            )
        return doubted

    def _observe(self, time: int, stamp: int) -> None:
        away, before = self._clock.away(time, stamp), self._clock.corrects
        self._clock.observe(time, stamp)
        if self._clock.corrects and not before:
            self._tell(away, "are brought together: packets had been late, or one was set")

    def flush(self) -> list[Window]:
        """Close the open window with what it has."""
        self._leave_out()
        return self._stamped(self._windower.flush())

    def reset(self) -> None:
        """Forget buffered events and the clock."""
        self._windower.reset()
        self.forget_clock()
        self.now = self._stamp = self._doubt = self._held = None
        self.span = 0

    def forget_clock(self) -> None:
        """The next packet says how sensor time and ROS time belong together."""
        self._clock.reset()
        self._newest = None

    def _check_clock(self, time: int, stamp: int | None) -> list[Window]:
        """Begin anew if the clock did not just go on to `time`, the first of a packet."""
        if self.now is None:
            return []
        step = time - self.now
        away = 0 if stamp is None else self._clock.away(time, stamp)
        if step >= 0 and self._clock.drifts(away):
            self._tell(away, "run at different paces")
            self._clock.hurry(away)
        jumped = step < 0 or abs(away) > self._clock.limit
        if not jumped and step <= PAUSE:
            return []
        windows = self.flush()
        if jumped:
            if step < 0 or step > JUMP // 2:
                self._stats.time_jumps += 1
                self._stats.last_fault = f"The sensor's clock jumped by {step * 1e-9:.3f} s."
            else:
                self._tell(away, "agreed before, so one of them was set")
            self._windower.reset()
            self.forget_clock()
        else:
            self._stats.pauses += 1
            self._windower.pause()
        return windows

    def _tell(self, away: int, why: str) -> None:
        """Two clocks disagree by `away` (ns)."""
        self._stats.time_jumps += 1
        self._stats.last_fault = (
            f"The header stamps, which are the host's clock, are {abs(away) * 1e-9:.3f} s "
            f"{'ahead of' if away > 0 else 'behind'} the sensor's clock: the two {why}."
        )

    def _stamped(self, windows: list[Window]) -> list[Window]:
        self._stats.windows += len(windows)
        out = []
        for window in windows:
            stamp = self._clock.to_ros(window.end)
            # Packets with an exact stamp may come with one that goes back a little.
            if self._newest is not None and self._newest - stamp <= JUMP:
                stamp = max(stamp, self._newest)
            self._newest = stamp
            out.append(replace(window, stamp=stamp))
        return out
