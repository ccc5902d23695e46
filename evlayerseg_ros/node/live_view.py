"""A running node's outputs into a scene in Rerun, as they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy

from evlayerseg_ros.node.messages import TOPIC_TYPES
from evlayerseg_ros.node.standalone_node import StandaloneNode
from evlayerseg_ros.outputs.messages import TOPIC_TYPES as NAMES
from evlayerseg_ros.outputs.messages import nanoseconds, output_of
from evlayerseg_ros.outputs.outputs import Output
from evlayerseg_ros.outputs.scene import SHOWN, Scene

_LOOSE = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
_LEVELS = {
    DiagnosticStatus.OK: "INFO",
    DiagnosticStatus.WARN: "WARN",
    DiagnosticStatus.ERROR: "ERROR",
}
_PLOTTED = ("latency p50 ms", "latency p99 ms", "Mev/s in", "windows/s out")
_WAITING = 8  # windows of which a topic is still missing
_PATIENCE = 3.0  # s for the node to be found


class LiveView(StandaloneNode):
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
        self._dropped: float | None = None  # windows, when the node last told
        self._stamps: dict[str, int] = {}  # the last one of each topic
        for name in SHOWN:
            hear = partial(self._hear, name)
            self.node.create_subscription(TOPIC_TYPES[name], f"{self._home}/{name}", hear, _LOOSE)
        self.hear_diagnostics(self._home, self._diagnose)

    def run(self, seconds: float | None, tell: Callable[[str], object] = print) -> None:
        """Shows what comes, for so long; None: until interrupted. Tells if nobody is there."""
        begun, told = time.monotonic(), False
        while seconds is None or time.monotonic() < begun + seconds:
            self._executor.spin_once(timeout_sec=0.1)
            if not told and time.monotonic() > begun + _PATIENCE:
                told = True
                if not self._there():
                    tell(
                        f"There is no node {self._home} yet: --node names another. Waiting for it."
                    )

    def _there(self) -> bool:
        """Whether the node runs, or somebody plays what it once published."""
        nodes = self.node.get_fully_qualified_node_names()
        return self._home in nodes or any(
            self.node.count_publishers(f"{self._home}/{name}") for name in SHOWN
        )

    def _hear(self, name: str, message: Any) -> None:
        stamp = nanoseconds(message.header.stamp)
        output = output_of(message, NAMES[name])
        back = stamp < self._stamps.get(name, 0)  # a topic's messages come in order
        self._stamps[name] = stamp
        if back and stamp not in self._coming:  # a recording began anew, and this topic is first
            self._last, self._coming = 0, {}
            self._scene.forget()
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

    def _diagnose(self, status: DiagnosticStatus, said: dict[str, str]) -> None:
        now = time.time_ns()
        self._scene.say(now, status.message, _LEVELS.get(status.level, "WARN"))
        figures = {name: float(said[name]) for name in _PLOTTED if name in said}
        if "windows dropped" in said:  # the node tells once a second
            dropped = float(said["windows dropped"])
            before = dropped if self._dropped is None else min(self._dropped, dropped)
            figures["windows dropped/s"] = dropped - before
            self._dropped = dropped
        self._scene.log(now, {}, figures)
