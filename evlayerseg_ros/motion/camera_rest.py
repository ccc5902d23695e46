"""Whether the camera rests, told by where events support each other.

Noise comes alone. What moves in the picture makes events side by side within milliseconds, and such
events support each other (the background activity filter: Delbruck, 2008). Before a camera at rest
they lie in a few compact places, where something moves by itself; a camera that moves makes them
all over the scene, so that their convex hull is large, and much larger than the places that hold
them. One window says little, and cameras seldom change between rest and motion: evidence adds up
over windows.
"""

from __future__ import annotations

import cv2
import numba
import numpy as np

from evlayerseg_ros.events.types import Events

BLOCKS = 20  # across the sensor: places that hold supported events or not
SUPPORT = 10_000_000  # ns: an event is supported by two neighbours that fired so shortly before it
# Times of pixels are kept in 32 bits, which stay in the processor's cache: in units of 2^14 ns, for
# five hours until they begin anew.
TICK_BITS, LONGEST = 14, 1 << 44
NEVER = -(1 << 30)  # ticks
MEMORY = 100e6  # ns in which what was seen fades to 1/e
# Events of a window that are looked at, the newest ones; more at rest.
MOST_EVENTS, MOST_AT_REST = 12_000, 500_000
# Supported events per pixel in MEMORY, and in all, from which on a place holds something.
DENSE, FEWEST = 0.03, 8
PURE, BEYOND = 0.4, 0.1  # and their share of all events there, or that much more than by chance
# Shares of the image. Where places with supported events fill a `share` above CROWDED, the camera
# moves. Else their hull is compact up to
# max(TINY, LOOSE * share + AROUND, min(SMALL, SCATTERED * share + AROUND)).
TINY, SMALL, LOOSE, SCATTERED, AROUND, CROWDED = 0.1, 0.24, 1.25, 2.0, 0.02, 0.45
DOUBT = 0.15  # of the image: a hull that much larger than compact counts as one full window
SURE = 8.0  # windows of 33 ms: evidence that adds up at most


class CameraRest:
    """Whether the camera rests, window after window.

    Args:
        motion: "still": it rests, whatever is seen; else that is told from the events.
    """

    def __init__(self, motion: str = "auto") -> None:
        self.motion = motion
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._last = np.zeros((0, 0), np.int32)  # ticks: the last event of each pixel
        self._origin = 0  # ns, where ticks begin
        self._newest = Events.empty(1, 1)
        self._supported = np.zeros(0, bool)
        self._time: int | None = None
        self._belief = 0.0  # above zero: it rests

    def update(self, events: Events, end: int) -> bool:
        """Whether the camera rests, after one more window.

        Args:
            events: of the window, later than those before.
            end: ns, the window's end.
        """
        shape = events.height + 2, events.width + 2
        if self._last.shape != shape:
            self._last = np.full(shape, NEVER, np.int32)
            self._origin = int(events.t[0]) if len(events) else end
            side = events.width / BLOCKS
            self._counts: np.ndarray = np.zeros((2, int(np.ceil(events.height / side)), BLOCKS))
            self._time, self._belief = None, 0.0
        most = MOST_AT_REST if self.rests or self._time is None else MOST_EVENTS
        newest = events[max(0, len(events) - most) :]
        if not len(newest):
            return self.rests
        if int(newest.t[-1]) - self._origin > LONGEST:
            self._last[:] = NEVER
            self._origin = int(newest.t[0])
        began = self._time is None
        since = int(newest.t[0]) if began else max(int(newest.t[0]), self._time or 0)
        fade = 0.0 if began else np.exp(-(end - (self._time or 0)) / MEMORY)
        counted = np.zeros_like(self._counts)
        self._newest, self._supported = newest, np.zeros(len(newest), bool)
        _count_support(
            newest.x,
            newest.y,
            ((newest.t - self._origin) >> TICK_BITS).astype(np.int32),
            self._last,
            BLOCKS / events.width,
            counted,
            self._supported,
        )
        # Only a part of a dense window is looked at: as if it had been as dense throughout.
        whole = len(events) / len(newest)
        span = max(end - since, 1) * whole
        short = max(1.0, MEMORY / span) if began else 1.0
        self._counts = self._counts * fade + counted * whole * short
        weight = 3.0 if began else min((end - (self._time or 0)) / 33e6, 3.0)
        self._belief = float(
            np.clip(self._belief + weight * self._evidence(events.width), -SURE, SURE)
        )
        self._time = end
        return self.rests

    @property
    def rests(self) -> bool:
        """Whether the camera rests, as far as is known."""
        return self.motion == "still" or self._belief > 0

    def supported_counts(self, shape: tuple[int, int], step: float) -> np.ndarray:
        """float32 of that shape: at each step of so many px the last window's events that others
        support."""
        count = np.zeros(shape, np.float32)
        _tally(self._newest.x, self._newest.y, self._supported, 1 / step, count)
        return count

    def _evidence(self, width: int) -> float:
        """-3 to 1: how much what was seen lately speaks for rest."""
        every, supported = self._counts
        area = (width / BLOCKS) ** 2
        pure = np.minimum(PURE, supported_by_chance(every / area) + BEYOND)
        held = (supported > max(DENSE * area, FEWEST)) & (supported > pure * every)
        share = float(held.mean())
        if share > CROWDED:
            return -3.0
        places = np.argwhere(held).astype(np.float32)
        hull = cv2.contourArea(cv2.convexHull(places)) / held.size if len(places) > 2 else 0.0
        small = min(SMALL, SCATTERED * share + AROUND)
        compact = max(TINY, small, LOOSE * share + AROUND)
        return float(np.clip((compact - hull) / DOUBT, -1, 1))


def supported_by_chance(density: np.ndarray) -> np.ndarray:
    """The share of noise events that two of their eight neighbours support, by Poisson's law.

    Args:
        density: events per pixel in MEMORY.
    """
    silent = np.exp(-density * SUPPORT / MEMORY)  # of a neighbour
    share: np.ndarray = 1 - silent**8 - 8 * (1 - silent) * silent**7
    return share


@numba.njit(nogil=True, cache=True)
def _count_support(x, y, ticks, last, per_px, counts, supported):  # type: ignore[no-untyped-def]
    """Adds all events, and those with two neighbours that fired just before, to their places."""
    for i in range(len(ticks)):
        row, column = np.intp(y[i]) + 1, np.intp(x[i]) + 1
        since = ticks[i] - np.int32(SUPPORT >> TICK_BITS)
        above, here, below = last[row - 1], last[row], last[row + 1]
        left, right = column - 1, column + 1
        near = (above[left] >= since) + (above[column] >= since) + (above[right] >= since)
        near += (below[left] >= since) + (below[column] >= since) + (below[right] >= since)
        near += (here[left] >= since) + (here[right] >= since)
        here[column] = ticks[i]
        j = min(np.intp(y[i] * per_px), counts.shape[1] - 1)
        k = min(np.intp(x[i] * per_px), BLOCKS - 1)
        counts[0, j, k] += 1
        counts[1, j, k] += near >= 2
        supported[i] = near >= 2


@numba.njit(nogil=True, cache=True)
def _tally(x, y, chosen, per_px, count):  # type: ignore[no-untyped-def]
    """Adds the chosen events to their places."""
    for i in range(len(x)):
        if chosen[i]:
            count[np.uintp(y[i] * per_px), np.uintp(x[i] * per_px)] += 1
