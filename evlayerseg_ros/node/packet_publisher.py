"""A publisher of EventPackets, as a camera driver is one."""

from __future__ import annotations

import time

from event_camera_msgs.msg import EventPacket
from rclpy.duration import Duration
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.node.graph import subscribed_topics
from evlayerseg_ros.node.messages import to_message
from evlayerseg_ros.node.standalone_node import StandaloneNode

DEFAULT_TOPIC = "/event_camera/events"

# Time that both sides of a connection take to know of each other, s.
MATCHING = 0.3
# Time that a packet is on its way at most, s: best-effort subscribers acknowledge nothing.
DELIVERY = 0.1


# Time that a node of ours takes to compile at most, s.
COMPILING = 600.0


class PacketPublisher(StandaloneNode):
    """Publishes EventPackets under a node `event_camera` of its own; a context manager.

    Reliable, so that best-effort and reliable subscribers both hear it.
    """

    def __init__(
        self, topic: str | None = None, patience: float = 10.0, subscribers: int = 1
    ) -> None:
        """Waits for subscribers.

        Args:
            topic: where to publish; None takes the topic of EventPackets that somebody subscribes
                to, the camera drivers' /event_camera/events first.
            patience: s to wait for them at most.
            subscribers: how many to wait for.

        Raises:
            InputError: nobody, or too few, subscribe in that time.
        """
        super().__init__("event_camera")
        try:
            self._publisher = self.node.create_publisher(
                EventPacket,
                topic or self._find(patience),
                QoSProfile(
                    history=HistoryPolicy.KEEP_LAST,
                    depth=1000,
                    reliability=ReliabilityPolicy.RELIABLE,
                ),
            )
            self.topic: str = self._publisher.topic_name
            self._await(subscribers, patience)
        except BaseException:
            self.close()
            raise

    def publish(self, packet: Packet) -> None:
        """Publishes one packet of encoded events; seq None becomes 0."""
        message = to_message(packet, packet.stamp, packet.frame_id, packet.seq or 0)
        message.is_bigendian = packet.big_endian
        self._publisher.publish(message)

    def close(self) -> None:
        """Waits until what was published has arrived, 2 s at most, and ends the node."""
        if hasattr(self, "_publisher") and self._publisher.get_subscription_count():
            self._publisher.wait_for_all_acked(Duration(seconds=2))
            time.sleep(DELIVERY)
        super().close()

    def _node_starts(self) -> bool:
        """Whether a node of ours is there, which does not listen yet."""
        return any(name == "evlayerseg" for name, _ in self.node.get_node_names_and_namespaces())

    def _find(self, patience: float) -> str:
        """The one topic that somebody wants EventPackets on."""
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < patience or (
            waited < COMPILING and self._node_starts()
        ):
            topics = subscribed_topics(self.node)
            if topics:
                return DEFAULT_TOPIC if DEFAULT_TOPIC in topics else topics[0]
            time.sleep(0.05)
        raise InputError(
            f"Nobody subscribed to EventPackets within {patience:g} s: start the node first "
            "(evlayerseg segment), or name a topic."
        )

    def _await(self, subscribers: int, patience: float) -> None:
        """Waits for so many seconds; a node of ours that is there but compiles gets more."""
        begun, told = time.monotonic(), False
        while (there := self._publisher.get_subscription_count()) < subscribers:
            waited = time.monotonic() - begun
            if waited > patience:
                if waited > COMPILING or not self._node_starts():
                    who = f"Only {there} of {subscribers}" if there else "Nobody"
                    raise InputError(f"{who} subscribed to {self.topic} within {waited:.0f} s.")
                if not told:
                    told = True
                    self.node.get_logger().info("Waiting for the node, which may compile.")
            time.sleep(0.02)
        # The other side may not have matched yet: to it, best effort, the first packets were lost.
        time.sleep(MATCHING)
