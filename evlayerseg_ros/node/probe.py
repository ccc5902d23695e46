"""A node beside the one that segments, which notes what comes from it and when."""

from __future__ import annotations

import time
from types import TracebackType

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from evlayerseg_ros.node.messages import from_time


class Probe:
    """Subscribes to the mask and the diagnostics of a node; a context manager.

    Attributes:
        masks: header stamp (ns) to arrival of each mask (time.monotonic_ns()).
        diagnostics: the last that the node said, by key.
        most_backlog: most windows that waited whenever it said something.
    """

    def __init__(self, name: str) -> None:
        """Begins to listen.

        Args:
            name: full name of the node.
        """
        self.masks: dict[int, int] = {}
        self.diagnostics: dict[str, str] = {}
        self.most_backlog = 0
        self._name = name
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("probe", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._node.create_subscription(Image, f"{name}/mask", self._hear_mask, 100)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._hear_state, 100)

    def spin(self, seconds: float) -> None:
        """Hears what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def subscribed(self, topic: str) -> bool:
        """Whether anybody subscribes to a topic."""
        return self._node.count_subscribers(topic) > 0

    def close(self) -> None:
        """Ends the node."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _hear_mask(self, message: Image) -> None:
        self.masks[from_time(message.header.stamp)] = time.monotonic_ns()

    def _hear_state(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._name}:"):
                self.diagnostics = {entry.key: entry.value for entry in status.values}
                waiting = int(self.diagnostics.get("backlog windows", 0))
                self.most_backlog = max(self.most_backlog, waiting)
