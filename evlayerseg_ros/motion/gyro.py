"""The camera's turn, as a gyro tells it, and the image motion that it makes.

A turn moves everything in the image alike, however far away it is. The frame is that of a camera: x
to the right, y down, z forward (REP 103, `_optical`). Rates are the camera's own in its frame, as
sensor_msgs/Imu gives them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.evidence import SPAN, subsample
from evlayerseg_ros.motion.iwe_counts import warp_to_cells

MOST = 5_000  # samples that are kept: 5 s of a fast gyro
GAP = 40_000_000  # ns without a sample after which the rate is not known
BACK = 1_000_000_000  # ns: a sample so much before the last one is of a clock that was set back
CLEAR = 0.01  # of the sensor's width in SPAN: a turn that moves the image so far is clear
# s of clear turns after which a gyro that hardly makes events sharper may be believed, and after
# which one may be contradicted.
SOON, SURE = 0.2, 1.0
SHARPER, HARDLY = 0.03, 0.01  # mean gain in sharpness that bears it out; that does not
MOST_GAIN = 0.1
LOOKED_AT, CELLS = 30_000, 320  # events, and cells across the sensor in which they meet


@dataclass(frozen=True)
class Lens:
    """A camera's matrix; distortion is ignored.

    Attributes:
        fx, fy: focal lengths, px.
        cx, cy: where the optical axis meets the image, px.

    Raises:
        InputError: a focal length is not above zero, as where a camera is not calibrated.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not (np.isfinite(values).all() and self.fx > 0 and self.fy > 0):
            raise InputError(
                "A camera matrix with fx, fy, cx, cy = "
                f"{', '.join(f'{value:g}' for value in values)}: expected focal lengths above "
                "0 px; calibrate the camera."
            )

    @classmethod
    def of_matrix(cls, k: Sequence[float]) -> Lens:
        """Of the nine numbers K of a CameraInfo, row by row; raises as the class does."""
        return cls(float(k[0]), float(k[4]), float(k[2]), float(k[5]))

    def motion(self, rate: np.ndarray, width: int, height: int) -> np.ndarray:
        """The affine image motion nearest to that which a turn makes of things at rest.

        u = -fx wy + wz (fx/fy) Y + wx X Y / fy - wy X^2 / fx, with X = x - cx and Y = y - cy, and v
        likewise; what is quadratic in x and y is replaced by its least-squares fit over the sensor.

        Args:
            rate: float64 [3], rad/s.
            width, height: of the sensor, px.

        Returns:
            float64 [2, 3], px/s, as in Segmentation.
        """
        wx, wy, wz = rate
        fx, fy = self.fx, self.fy
        mx, my = (width - 1) / 2, (height - 1) / 2
        a, b = mx - self.cx, my - self.cy
        # Over the sensor: X^2 = xx (x, y, 1), X Y = xy (x, y, 1), Y^2 = yy (x, y, 1).
        xx = np.array((2 * a, 0, a * a + (width**2 - 1) / 12 - 2 * a * mx))
        yy = np.array((0, 2 * b, b * b + (height**2 - 1) / 12 - 2 * b * my))
        xy = np.array((b, a, a * b - b * mx - a * my))
        u = wx / fy * xy - wy / fx * xx + (0, wz * fx / fy, -wy * fx - wz * fx / fy * self.cy)
        v = wx / fy * yy - wy / fx * xy + (-wz * fy / fx, 0, wx * fy + wz * fy / fx * self.cx)
        return np.stack((u, v))


class Gyro:
    """Samples of turn rates in the order of their times. `add` may be called on another thread.

    Args:
        lens: the camera's; may be set later, and changed.
        t: int64 [N], ns, rising, of samples that are known already; then none can be added.
        rates: float64 [N, 3], rad/s.
    """

    def __init__(
        self,
        lens: Lens | None = None,
        t: np.ndarray | None = None,
        rates: np.ndarray | None = None,
    ) -> None:
        self.lens = lens
        self._lock = threading.Lock()
        self._t: Any = [] if t is None else t
        self._rates: Any = [] if rates is None else rates

    def add(self, t: int, rate: Sequence[float]) -> None:
        """Take a sample (ns; rad/s about x, y, z). One that is not newer than the last is dropped.

        Of many the oldest are forgotten, and all if the clock was set back.
        """
        with self._lock:
            if self._t and t <= self._t[-1]:
                if self._t[-1] - t < BACK:
                    return
                self._t.clear()
                self._rates.clear()
            self._t.append(t)
            self._rates.append(tuple(rate))
            if len(self._t) >= 2 * MOST:
                del self._t[:MOST], self._rates[:MOST]

    @property
    def span(self) -> tuple[int, int] | None:
        """Times of the first and the last sample, ns; None without any."""
        with self._lock:
            return (int(self._t[0]), int(self._t[-1])) if len(self._t) else None

    def rate(self, start: int, end: int) -> np.ndarray | None:
        """The mean turn rate from `start` to `end` (ns): float64 [3], rad/s; None where unknown.

        It is unknown where no sample came for GAP: the last ones of a window may still be on their
        way when it is segmented.
        """
        with self._lock:
            first, last = bisect_left(self._t, start - GAP), bisect_right(self._t, end + GAP)
            t, rates = np.array(self._t[first:last], np.int64), np.array(self._rates[first:last])
        missing = not len(t) or t[0] - start > GAP or end - t[-1] > GAP or (np.diff(t) > GAP).any()
        if missing or end <= start:
            return None
        at = np.concatenate(([start], t[(t > start) & (t < end)], [end])) - start
        rate = np.stack([np.interp(at, t - start, axis) for axis in rates.T])
        whole: np.ndarray = ((rate[:, 1:] + rate[:, :-1]) * np.diff(at) / 2).sum(1)
        return whole / (end - start)

    def turn(self, window: Window) -> np.ndarray | None:
        """The image motion that the camera's turn makes in a window: see Lens.motion.

        Samples have ROS stamps: the window's `stamp` says what its sensor time is in these.

        Returns:
            float64 [2, 3], px/s; None without samples of that time, or without a lens.
        """
        late = window.stamp - window.end
        rate = self.rate(window.start + late, window.stamp) if self.lens else None
        if rate is None or self.lens is None:
            return None
        return self.lens.motion(rate, window.events.width, window.events.height)


class GyroCheck:
    """Whether the events bear out what the gyro says: warped by its turn they are sharper.

    A wrong frame, unit or calibration, or the gyro of something else, makes them less sharp than
    they are unwarped. A turn steers the search for the background's motion, so it is used only once
    events confirm it. That a turning camera does not rest is believed until they contradict it.

    Attributes:
        believed: whether the events bore it out.
        contradicted: whether they say otherwise than the gyro.
    """

    def __init__(self) -> None:
        self.believed = self.contradicted = False
        self._seconds = self._gain = 0.0  # of clear turns; mean gain in sharpness, lately

    def says_that_it_moves(self, turn: np.ndarray | None, events: Events) -> bool:
        """Whether a turn (float64 [2, 3], px/s) is of a camera that does not rest."""
        if turn is None or self.contradicted:
            return False
        return is_clear(turn, events.width, events.height)

    def update(
        self, as_seen: Events, steadied: Events, end: int, turn: np.ndarray, seconds: float
    ) -> None:
        """Look at one more window.

        Args:
            as_seen: events of the last SPAN ns before `end`.
            steadied: the same, moved to where they would be had the camera turned evenly.
            end: ns.
            turn: float64 [2, 3], px/s, the motion that the gyro says.
            seconds: that are new in it.
        """
        if not is_clear(turn, as_seen.width, as_seen.height) or not len(as_seen):
            return
        gain = _sharpness(steadied, end, turn) - _sharpness(as_seen, end, np.zeros((2, 3)))
        gain = float(np.clip(gain, -MOST_GAIN, MOST_GAIN))  # no window says all
        self._seconds += seconds
        self._gain += (gain - self._gain) * min(1.0, seconds / min(self._seconds, SURE))
        much = min(self._seconds, SURE) * self._gain  # a sudden turn says enough in two windows
        if self._gain > SHARPER and much > SOON * SHARPER:
            self.believed, self.contradicted = True, False
        elif self._seconds >= SURE and self._gain < HARDLY:
            self.believed, self.contradicted = False, True


def _sharpness(events: Events, end: int, motion: np.ndarray) -> float:
    """Mean logarithm of how many events land where each one does along a motion (px/s) until `end`
    (ns); 0 for one that leaves the sensor."""
    some = subsample(events, LOOKED_AT)
    cell = some.width / CELLS
    rows = int(some.height / cell) + 1
    u, v, _ = warp_to_cells(some.x, some.y, some.t, end, motion, cell, 1.0)
    inside = (u >= 0) & (v >= 0) & (u < CELLS) & (v < rows)
    where = v[inside].astype(int) * CELLS + u[inside].astype(int)
    return float(np.log(np.bincount(where)[where]).sum() / max(len(some), 1))


def is_clear(turn: np.ndarray, width: int, height: int) -> bool:
    """Whether a turn (float64 [2, 3], px/s) moves the image so fast that it is no error."""
    # Halfway between the sensor's middle and its corners.
    x, y = np.array(((1, 3, 1, 3), (1, 1, 3, 3))) * ((width,), (height,)) / 4
    speed = np.linalg.norm(turn @ np.stack((x, y, np.ones(4))), axis=0).mean()
    return bool(speed * SPAN * 1e-9 > CLEAR * width)
