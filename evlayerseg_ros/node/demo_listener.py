"""Hears the node: pictures, layers and diagnostics, each with when it came.

Events and pictures are taken as the bytes that came (CDR) and read when all is over: turning them
into messages would take a core that the node needs.
"""

from __future__ import annotations

import struct
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, PointCloud2

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node.standalone_node import StandaloneNode
from evlayerseg_ros.outputs.messages import TOPIC_TYPES, nanoseconds, output_of
from evlayerseg_ros.outputs.outputs import LAYER_DTYPE

# s for the node to become active. Its first start after an installation compiles, which takes half
# a minute on an idle machine and several on a busy one.
START_TIMEOUT = 600.0
PATIENCE = 15.0  # s after which we say what we wait for
# s without a mask, after the recording has ended, that end it; longer if none came yet.
QUIET, FIRST = 2.0, 30.0


class Listener(StandaloneNode):
    """A ROS node that hears the events and the outputs, and when each went and came.

    Args:
        home: full name of the node to hear, such as /event_camera/evlayerseg.
        events: the topic that it takes events from.
        pictures: names of its image topics to keep.
    """

    def __init__(self, home: str, events: str, pictures: Sequence[str]) -> None:
        super().__init__("demo")
        self.packets: list[tuple[int, int]] = []  # stamp, published; both ns
        self.masks: dict[int, int] = {}  # stamp to arrival, ns
        self.layers: dict[int, np.ndarray] = {}  # stamp to table of LAYER_DTYPE
        self.pictures: dict[str, dict[int, bytes]] = {name: {} for name in pictures}
        self.diagnostics: dict[str, str] = {}
        self.said = "nothing"  # the diagnostics' sentence
        self.fault = ""  # the last that was an error
        self._home, self._topic = home, events
        hear = self.node.create_subscription
        hear(PointCloud2, f"{home}/layers", self._hear_layers, 100)
        self.hear_diagnostics(home, self._hear_diagnostics)
        for name in pictures:
            hear(Image, f"{home}/{name}", self._picture_hearer(name), 100, raw=True)

    def wait_for_node(self, ended: Callable[[], int | None], tell: Callable[[str], object]) -> None:
        """Returns when the node has become active: it has subscribed to the events.

        Args:
            ended: the exit status of the node's process, None while it runs.
            tell: called with a sentence if it takes long.

        Raises:
            InputError: the node ended, or does not become active.
        """
        begun, told = time.monotonic(), False
        while not self._active():
            status = ended()
            if status is not None:
                raise InputError(f"The node ended with status {status}.")
            waited = time.monotonic() - begun
            if waited > START_TIMEOUT:
                raise InputError(
                    f"The node was not active after {START_TIMEOUT:.0f} s; it said: {self.said}"
                )
            if waited > PATIENCE and not told:
                told = True
                tell("the node is not active yet: its first start after an installation compiles")
            self._executor.spin_once(timeout_sec=0.1)

    def listen(self, ended: Callable[[], bool]) -> None:
        """Hears everything until the recording has ended and no mask came for a while."""
        last, count = time.monotonic(), 0
        while not ended() or time.monotonic() - last < (QUIET if self.masks else FIRST):
            self._executor.spin_once(timeout_sec=0.1)
            if len(self.masks) > count or not ended():
                last, count = time.monotonic(), len(self.masks)

    def latencies(self) -> list[float]:
        """Seconds from the publication of the packet with a window's last event to its mask here.

        Publication is DDS's source timestamp; here is the subscriber's callback. Left out is the
        window that is open when the recording ends: it is closed by the silence after it.
        """
        packets = sorted(self.packets)
        stamps = [stamp for stamp, _ in packets]
        # A packet's stamp is the time of its first event: a window's last event lies in the last
        # packet whose stamp is not later.
        at = ((bisect_right(stamps, stamp) - 1, arrival) for stamp, arrival in self.masks.items())
        inside = ((i, arrival) for i, arrival in at if 0 <= i < len(packets) - 1)
        return [(arrival - packets[i][1]) * 1e-9 for i, arrival in inside]

    def picture(self, name: str, stamp: int) -> np.ndarray:
        """An image that came: uint8 [H, W] or [H, W, 3]."""
        message = deserialize_message(self.pictures[name][stamp], Image)
        image = output_of(message, TOPIC_TYPES[name])
        assert image is not None
        return image.data

    def _active(self) -> bool:
        name = self._home.rsplit("/", 1)[-1]
        infos = self.node.get_subscriptions_info_by_topic(self._topic)
        return any(info.node_name == name for info in infos)

    def hear_packets(self) -> None:
        """Hear the events, too: called where the node does, so that `play` can wait for both."""
        loose = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        hear: Any = self._hear_packet  # rclpy passes the info on to whoever takes two arguments
        self.node.create_subscription(EventPacket, self._topic, hear, loose, raw=True)

    def _hear_packet(self, message: bytes, info: dict[str, int]) -> None:
        self.packets.append((_stamp(message), info["source_timestamp"]))

    def _hear_layers(self, message: PointCloud2) -> None:
        stamp = nanoseconds(message.header.stamp)
        self.layers[stamp] = np.frombuffer(message.data, LAYER_DTYPE)

    def _hear_diagnostics(self, status: DiagnosticStatus, values: dict[str, str]) -> None:
        self.diagnostics, self.said = values, status.message
        if status.level == DiagnosticStatus.ERROR:
            self.fault = status.message

    def _picture_hearer(self, name: str) -> Callable[[Any], None]:
        def hear(message: bytes) -> None:
            stamp = _stamp(message)
            self.pictures[name][stamp] = message
            if name == "mask":
                self.masks[stamp] = time.time_ns()

        return hear


def _stamp(message: bytes) -> int:
    """ns: the stamp in the header that a message in CDR (4 bytes before it) begins with."""
    seconds, nanoseconds = struct.unpack_from("<iI", message, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
