"""The camera's turn, as a gyro tells it, and the image motion that it makes.

A turn moves everything in the image alike, however far away it is. Frames are those of a camera: x to
the right, y down, z forward (REP 103, `_optical`), and rates are the camera's own in its frame, as
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
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.evidence import SPAN

MOST = 5_000  # samples that are kept: 5 s of a fast gyro
GAP = 40_000_000  # ns without a sample after which the rate is not known
BACK = 1_000_000_000  # ns: a sample so much before the last one is of a clock that was set back
CLEAR = 0.01  # of the sensor's width in SPAN: a turn that moves the image so far is clear
SURE = 1.0  # s of clear turns after which it is known whether the events bear them out
LEAST = 0.3  # share of a clear turn that the background's motion shows at least, and correlation


@dataclass(frozen=True)
class Lens:
    """A camera's matrix; distortion is ignored.

    Attributes:
        fx, fy: focal lengths, px.
        cx, cy: where the optical axis meets the image, px.

    Raises:
        InputError: not a camera's: a focal length that is zero, as where a camera is not calibrated.
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
                f"{', '.join(f'{value:g}' for value in values)}: expected focal lengths above 0 px; "
                "calibrate the camera."
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
        t: int64 [N], ns, rising, of samples that are known already.
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
            first = max(bisect_right(self._t, start) - 1, 0)
            last = bisect_left(self._t, end) + 1
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


class Agreement:
    """Whether the background's motion bears out what the gyro says.

    A wrong frame, unit or calibration, or the gyro of something else, shows within SURE of clear
    turns: little of what it says is in the image, or what is there goes elsewhere.
    """

    def __init__(self) -> None:
        self._seconds = 0.0  # of clear turns
        self._sums = np.zeros(3)  # turn x turn, turn x background, background x background

    @property
    def contradicted(self) -> bool:
        """Whether the events say otherwise than the gyro."""
        own, both, other = self._sums
        least = LEAST * max(own, np.sqrt(own * other))
        return bool(self._seconds >= SURE and both < least)

    def update(
        self, turn: np.ndarray, background: np.ndarray, width: int, height: int, seconds: float
    ) -> None:
        """Compare one more window.

        Args:
            turn: float64 [2, 3], px/s, the motion that the gyro says.
            background: float64 [2, 3], px/s, the one that was fitted.
            width, height: of the sensor, px.
            seconds: since the window before.
        """
        if not is_clear(turn, width, height):
            return
        one, other = (_at_points(motion, width, height) for motion in (turn, background))
        fade = np.exp(-seconds / SURE)
        now = np.array(((one * one).sum(), (one * other).sum(), (other * other).sum()))
        self._sums = fade * self._sums + (1 - fade) * now
        self._seconds += seconds


def is_clear(turn: np.ndarray, width: int, height: int) -> bool:
    """Whether a turn (float64 [2, 3], px/s) moves the image so fast that it is no error."""
    speed = np.linalg.norm(_at_points(turn, width, height), axis=0).mean()
    return bool(speed * SPAN * 1e-9 > CLEAR * width)


def _at_points(motion: np.ndarray, width: int, height: int) -> np.ndarray:
    """float64 [2, 4]: an affine motion (px/s) halfway between the sensor's middle and its corners."""
    x, y = np.array(((1, 3, 1, 3), (1, 1, 3, 3))) * np.array(((width,), (height,))) / 4
    velocity: np.ndarray = motion @ np.stack((x, y, np.ones(4)))
    return velocity
