"""The newest mask carried to now, at a rate of its own, between windows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from evlayerseg_ros.segmentation.segmentation import Segmentation

# Carry a window on for at most this long (s): later its motions no longer hold.
STALE = 0.2
# A ROS clock further (ns) from the stamps is another clock: a bag played without /clock.
OTHER_CLOCK = 1_000_000_000


class _Newest(NamedTuple):
    segmentation: Segmentation
    frame_id: str
    arrived: float  # of the packet that closed its window, s
    came: float  # when it was segmented, s


class Carrier:
    """Gives the newest segmentation out at a rate, each time with the instant that is now.

    It has its own thread and never blocks segmentation. It pauses after STALE s without a new
    window. Stamps only rise, unless those of the windows go back. A stamp is ROS time; with another
    clock, the window's stamp plus the time since its packet came.

    Args:
        publish: takes the segmentation, the instant on the clock of its stamp (ns), the frame_id.
        now: ROS time, ns.
        report: takes a sentence if that fails; the thread goes on.
        clock: steady time, s.

    Attributes:
        rate: instants per second; 0 rests. May change at any time.
    """

    def __init__(
        self,
        publish: Callable[[Segmentation, int, str], None],
        now: Callable[[], int],
        report: Callable[[str], None],
        rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self._publish, self._now, self._report, self._clock = publish, now, report, clock
        self._newest: _Newest | None = None
        self._due = 0.0  # when the next instant is, s
        self._last = self._offered = 0  # instant published and stamp offered last, ns
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._repeat, name="carry", daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def offer(self, segmentation: Segmentation, frame_id: str, arrived: float) -> None:
        """A newer window is there; `arrived` is when the packet that closed it did, by `clock`."""
        with self._changed:
            stamp = segmentation.window.stamp
            if stamp < self._offered:  # the clock was set back, or a recording began again
                self._last = 0
            self._offered = stamp
            self._newest = _Newest(segmentation, frame_id, arrived, self._clock())
            self._changed.notify()

    def forget(self) -> None:
        """What was offered before is not carried any further."""
        with self._changed:
            self._newest = None

    def _repeat(self) -> None:
        while not self._stopping:
            if not self._is_due():
                continue
            try:
                self._carry()
            except Exception as error:
                self._report(f"Cannot carry a mask to now: {type(error).__name__}: {error}")

    def _is_due(self) -> bool:
        """Waits, for that or for a change; whether something is to be carried now."""
        with self._changed:
            now = self._clock()
            if self._newest is not None and now - self._newest.came > STALE:
                self._newest = None
            rate = self.rate  # read once: it may change at any time
            if self._newest is None or not rate or self._stopping:
                if not self._stopping:
                    self._changed.wait()
                return False
            period = 1 / rate
            self._due = min(self._due, now + period)
            if now < self._due:
                self._changed.wait(min(self._due - now, STALE))  # the rate may rise meanwhile
                return False
            self._due += period
            if self._due < now:  # what was missed is not made up for
                self._due = now + period
            return True

    def _carry(self) -> None:
        with self._changed:  # what is newest may have changed, and the clock with it
            newest = self._newest
            if newest is None:
                return
            stamp = self.instant(newest.segmentation.window.stamp, newest.arrived)
            if stamp <= self._last:
                return
            self._last = stamp
        self._publish(newest.segmentation, stamp, newest.frame_id)

    def instant(self, stamp: int, arrived: float) -> int:
        """Now on the clock of the stamps, ns.

        Args:
            stamp: of the newest window, ns.
            arrived: when the packet that closed it came, by `clock`, s.
        """
        now = self._now()
        if abs(now - stamp) < OTHER_CLOCK:
            return now
        return stamp + round((self._clock() - arrived) * 1e9)
