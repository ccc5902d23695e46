"""What the node hears of a gyro, and what is wrong with it."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Imu

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.gyro import Gyro, Lens
from evlayerseg_ros.node.companions import Companions
from evlayerseg_ros.outputs.messages import nanoseconds

QUIET = 1.0  # s without a sample after which it is told
OFFSET = 50_000_000  # ns that the clocks of gyro and events may differ
JUMP = 1_000_000_000  # ns from a delay to the next: a clock was set
SOME = 20  # windows, and samples, after which clocks are compared
LATE = 0.5  # share of the last windows without samples of their time from which on it is told
_LOOSE = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
_INSTEAD = "The camera's turn is read from the events, as with camera.motion auto."


class ImuInput:
    """~/imu, and what it says of each window with the camera's matrix.

    Samples come on the executor's thread, windows on one of the worker's.

    Attributes:
        fault: a sentence on why the gyro is not used, "" if it is.
    """

    def __init__(self, node: LifecycleNode, companions: Companions) -> None:
        """Subscribes; `companions` hears the camera's matrix."""
        self._node, self._companions = node, companions
        self.fault = ""
        self._kind = ""  # of the fault that was logged last
        self._gyro = Gyro()
        self._frame = self._camera_frame = ""
        self._heard = time.monotonic()
        # Arrival (monotonic clock) less stamp, ns. By what the clocks differ is the same in both.
        self._sample_lags: deque[int] = deque(maxlen=500)
        self._window_lags: deque[int] = deque(maxlen=100)
        self._missed: deque[bool] = deque(maxlen=100)  # whether windows had no samples
        self._no_lens = self._useless = ""  # what is wrong with the lens, and with a sample
        self._useless_at = 0.0  # s, when that sample came
        self._lock = threading.Lock()  # of the lags
        self._subscription = node.create_subscription(Imu, "~/imu", self._hear, _LOOSE)

    def close(self) -> None:
        """Ends the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _hear(self, message: Imu) -> None:
        rate, stamp = message.angular_velocity, nanoseconds(message.header.stamp)
        values = (rate.x, rate.y, rate.z)
        now = time.monotonic()
        if message.angular_velocity_covariance[0] == -1:
            no_rates = "say that they hold no rates (angular_velocity_covariance[0] is -1)"
            self._useless, self._useless_at = no_rates, now
        elif not np.isfinite(values).all():
            self._useless, self._useless_at = "are no numbers", now
        else:
            self._heard = now
            self._frame = message.header.frame_id
            self._gyro.add(stamp, values)
            self._note(self._sample_lags, time.monotonic_ns() - stamp)

    def saw(self, stamp: int, arrived: float, frame_id: str) -> None:
        """Notes a window's stamp (ns), when it arrived (s, time.monotonic) and its camera."""
        self._camera_frame = frame_id
        self._note(self._window_lags, round(arrived * 1e9) - stamp)

    def _note(self, lags: deque[int], lag: int) -> None:
        with self._lock:
            if lags and abs(lag - lags[-1]) > JUMP:
                self._sample_lags.clear()
                self._window_lags.clear()
            lags.append(lag)

    def turn(self, window: Window) -> np.ndarray | None:
        """float64 [2, 3], px/s, what the camera's turn does in a window; None: not known."""
        events = window.events
        self._gyro.lens, self._no_lens = self._lens(events.width, events.height)
        if self._gyro.lens is None or self._off():
            return None
        found = self._gyro.turn(window)
        self._missed.append(found is None)
        return found

    def check(self, contradicted: bool) -> None:
        """Once a second: sees what is wrong, and logs it once.

        Args:
            contradicted: whether the events say otherwise than the gyro.
        """
        kind, sentence = self._why(contradicted)
        self.fault = sentence and f"{sentence} {_INSTEAD}"
        if kind and kind != self._kind:
            self._node.get_logger().warning(self.fault)
        elif self._kind and not kind:
            topic = self._subscription.topic_name
            self._node.get_logger().info(f"Nothing is wrong with {topic} any more.")
        self._kind = kind

    def _why(self, contradicted: bool) -> tuple[str, str]:
        """What is wrong, in a word and in a sentence; "" and "" if nothing is."""
        topic = self._subscription.topic_name
        silent = time.monotonic() - self._heard
        if silent > QUIET:
            self._missed.clear()
            if self._useless and time.monotonic() - self._useless_at < QUIET:
                return "useless", f"The samples on {topic} {self._useless}."
            since = f"for {silent:.0f} s" if self._gyro.span else "yet"
            return "silent", f"No sample came on {topic} {since}."
        if self._no_lens:
            return "lens", self._no_lens
        if off := self._off():
            return "clock", (
                f"The stamps on {topic} are {abs(off) * 1e-9:.2f} s "
                f"{'behind' if off > 0 else 'ahead of'} those of the events: expected one clock."
            )
        if contradicted:
            return "contradicted", self._why_contradicted(topic)
        if len(self._missed) >= SOME and np.mean(list(self._missed)) > LATE:
            return "late", (
                f"{sum(self._missed)} of the last {len(self._missed)} windows had no samples of "
                f"their time on {topic}: they come late, or less than 25 a second."
            )
        return "", ""

    def _why_contradicted(self, topic: str) -> str:
        gyro, camera = self._frame or "(none)", self._camera_frame or "(none)"
        if gyro != camera:
            return (
                f"The events contradict {topic}, whose frame is {gyro} and not the camera's "
                f"{camera}: give it in the camera's axes, x right, y down, z forward."
            )
        return (
            f"The events contradict {topic}, though its frame is the camera's {camera}: expected "
            "rad/s about x right, y down, z forward, and a matrix of this camera."
        )

    def _lens(self, width: int, height: int) -> tuple[Lens | None, str]:
        """The lens, or a sentence on why there is none."""
        info, topic = self._companions.camera, self._companions.camera_topic
        if info is None:
            return None, f"No CameraInfo came on {topic} yet."
        return lens_of(info, width, height, topic)

    def _off(self) -> int:
        """Offset (ns) of the gyro's clock to the events'; 0 if small.

        A lag is offset plus delay; the smallest, but for a few strays, have least delay.
        """
        with self._lock:
            if min(len(self._sample_lags), len(self._window_lags)) < SOME:
                return 0
            samples, windows = sorted(self._sample_lags), sorted(self._window_lags)
            off = samples[len(samples) // 20] - windows[len(windows) // 20]
        return off if abs(off) > OFFSET else 0


def lens_of(info: CameraInfo, width: int, height: int, topic: str) -> tuple[Lens | None, str]:
    """The lens that a CameraInfo tells of a sensor of that size (px), or why it does not."""
    if (info.width, info.height) not in ((width, height), (0, 0)):
        return None, (
            f"{topic} is of {info.width}x{info.height} px, the events are of {width}x{height}."
        )
    try:
        return Lens.of_matrix(info.k), ""
    except InputError as error:
        return None, f"{topic}: {error}"
