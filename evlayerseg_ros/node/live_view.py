"""A running node's outputs into a scene in Rerun, as they come."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy

from evlayerseg_ros.node.messages import TOPIC_TYPES, from_time
from evlayerseg_ros.node.own import OwnNode
from evlayerseg_ros.outputs.messages import TOPIC_TYPES as NAMES
from evlayerseg_ros.outputs.messages import output_of
from evlayerseg_ros.outputs.outputs import Output
from evlayerseg_ros.outputs.scene import SHOWN, Scene

_LOOSE = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
_LEVELS = {
    DiagnosticStatus.OK: "INFO",
    DiagnosticStatus.WARN: "WARN",
    DiagnosticStatus.ERROR: "ERROR",
}
_PLOTTED = ("latency p50 ms", "latency p99 ms", "Mev/s in", "windows/s out", "windows dropped")
_JUMP = 1_000_000_000  # ns
_WAITING = 8  # windows of which a topic is still missing


class LiveView(OwnNode):
    """Hears a node and shows it; a context manager.

    A window is shown when all its topics have come, or when later ones have, at the time of its
    arrival here: that is what the diagnostics have, too, whatever the recording's clock says.

    Args:
        home: full name of the node, such as /event_camera/evlayerseg.
        scene: that shows it.
    """

    def __init__(self, home: str, scene: Scene) -> None:
        super().__init__("evlayerseg_view")
        self.windows = 0
        self._home, self._scene = home.rstrip("/"), scene
        self._coming: dict[int, dict[str, Output]] = {}
        self._last = 0
        for name in SHOWN:
            hear = partial(self._hear, name)
            self.node.create_subscription(TOPIC_TYPES[name], f"{self._home}/{name}", hear, _LOOSE)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)

    def run(self, seconds: float | None) -> None:
        """Shows what comes, for so long; None: until interrupted."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            self._executor.spin_once(timeout_sec=0.1)

    def _hear(self, name: str, message: Any) -> None:
        stamp = from_time(message.header.stamp)
        output = output_of(message, NAMES[name])
        if stamp < self._last - _JUMP:  # a recording began anew
            self._last, self._coming = 0, {}
        if output is None or stamp <= self._last:
            return
        self._coming.setdefault(stamp, {})[name] = output
        complete = len(self._coming[stamp]) == len(SHOWN)
        while self._coming and (complete or len(self._coming) > _WAITING):
            first = min(self._coming)
            self._scene.log(time.time_ns(), self._coming.pop(first))
            self.windows += 1
            self._last = first
            complete = complete and first != stamp

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._home):
                now = time.time_ns()
                said = {entry.key: entry.value for entry in status.values}
                self._scene.say(now, status.message, _LEVELS.get(status.level, "WARN"))
                figures = {name: float(said[name]) for name in _PLOTTED if name in said}
                self._scene.log(now, {}, figures)
