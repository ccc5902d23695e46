"""Nodes beside the one that segments, for measurements: what comes from it, what it spends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from diagnostic_msgs.msg import DiagnosticStatus
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from evlayerseg_ros.node.messages import TOPIC_TYPES, to_message
from evlayerseg_ros.node.standalone_node import StandaloneNode
from evlayerseg_ros.outputs.messages import nanoseconds
from evlayerseg_ros.outputs.outputs import Output


class PacketProbe(StandaloneNode):
    """Subscribes to EventPackets as the node does; a context manager.

    Attributes:
        seconds: of each packet, from its stamp (time.monotonic_ns()) to our callback.
    """

    def __init__(self, topic: str) -> None:
        self.seconds: list[float] = []
        super().__init__("packet_probe")
        loose = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(EventPacket, topic, self._hear, loose)

    def _hear(self, message: EventPacket) -> None:
        self.seconds.append((time.monotonic_ns() - nanoseconds(message.header.stamp)) * 1e-9)


class Probe(StandaloneNode):
    """Subscribes to an image topic and the diagnostics of a node; a context manager.

    Attributes:
        images: header stamp (ns) to arrival of each image (time.monotonic_ns()).
        diagnostics: the last that the node said, by key.
        most_backlog: most windows that waited whenever it said something.
    """

    def __init__(self, name: str, topic: str = "mask") -> None:
        """Begins to listen.

        Args:
            name: full name of the node.
            topic: which of its images.
        """
        self.images: dict[int, int] = {}
        self.diagnostics: dict[str, str] = {}
        self.most_backlog = 0
        super().__init__("probe" + name.replace("/", "_"))  # several must not share a name
        self.node.create_subscription(Image, f"{name}/{topic}", self._hear_image, 100)
        self.hear_diagnostics(name, self._hear_state)

    def subscribed(self, topic: str) -> bool:
        """Whether anybody subscribes to a topic."""
        return self.node.count_subscribers(topic) > 0

    def _hear_image(self, message: Image) -> None:
        self.images[nanoseconds(message.header.stamp)] = time.monotonic_ns()

    def _hear_state(self, status: DiagnosticStatus, values: dict[str, str]) -> None:
        self.diagnostics = values
        self.most_backlog = max(self.most_backlog, int(values.get("backlog windows", 0)))


@contextmanager
def publishers() -> Iterator[dict[str, Callable[[Output], None]]]:
    """For each topic of the node, what makes a message of an output and publishes it to nobody."""
    with StandaloneNode("publishers") as own:

        def publisher(name: str) -> Callable[[Output], None]:
            topic = own.node.create_publisher(TOPIC_TYPES[name], f"~/{name}", 5)
            return lambda output: topic.publish(to_message(output, 0, "camera"))

        yield {name: publisher(name) for name in TOPIC_TYPES}
