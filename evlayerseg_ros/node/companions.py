"""What goes with the mask: its numbers' names, and the camera's calibration with its stamp."""

from __future__ import annotations

from copy import copy

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import LabelInfo

from evlayerseg_ros.node.messages import MAKE
from evlayerseg_ros.outputs.messages import header, label_info
from evlayerseg_ros.outputs.outputs import LABEL_NAMES

# Heard by whoever comes late, too.
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_LOOSE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Companions:
    """~/label_info, said once; ~/camera_info, which passes on what ~/events_camera_info says.

    Image pipelines pair a picture with the camera_info of the same stamp. A camera gives its
    calibration at its own times, so each output gets the last one under its own stamp.

    Attributes:
        camera: what the camera said last, None before.
    """

    def __init__(self, node: LifecycleNode, output_qos: QoSProfile) -> None:
        """Makes publishers and the subscription.

        Args:
            node: whose topics they are.
            output_qos: of ~/camera_info, as the pictures have it.
        """
        self._node = node
        self.camera: CameraInfo | None = None
        self._labels = node.create_publisher(LabelInfo, "~/label_info", _LATCHED)
        self._cameras = node.create_publisher(CameraInfo, "~/camera_info", output_qos)
        self._heard = node.create_subscription(
            CameraInfo, "~/events_camera_info", self._hear, _LOOSE
        )
        now = node.get_clock().now().nanoseconds
        self._labels.publish(label_info(MAKE, LABEL_NAMES, now))

    @property
    def camera_topic(self) -> str:
        """Where the camera says it."""
        return str(self._heard.topic_name)

    def publish(self, stamp: int, frame_id: str) -> None:
        """Publishes the calibration, if one came, with an output's stamp (ROS time, ns)."""
        info = self.camera
        if info is None or not self._cameras.get_subscription_count():
            return
        told = copy(info)
        told.header = header(MAKE, stamp, frame_id)
        self._cameras.publish(told)

    def close(self) -> None:
        """Ends them."""
        self._node.destroy_subscription(self._heard)
        for publisher in (self._labels, self._cameras):
            self._node.destroy_publisher(publisher)

    def _hear(self, message: CameraInfo) -> None:
        self.camera = message
