"""How outputs become ROS messages: one layout, for the node's messages and for a bag's.

Nothing here imports rclpy or rosbags: a `Maker` for each makes the objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.outputs import LAYER_DTYPE, OUTPUTS, Detections, Image, Output, Points

TYPES: Mapping[type, str] = {
    Image: "sensor_msgs/msg/Image",
    Points: "sensor_msgs/msg/PointCloud2",
    Packet: "event_camera_msgs/msg/EventPacket",
    Detections: "vision_msgs/msg/Detection2DArray",
}
"""The message that carries each kind of output."""

LABEL_INFO = "vision_msgs/msg/LabelInfo"

_NOT_IMAGES = {"layers": Points, "moving_events": Packet, "detections": Detections}
TOPIC_TYPES = {name: TYPES[_NOT_IMAGES.get(name, Image)] for name in OUTPUTS}
"""The message type of each topic."""

MOVING = "moving"
"""The class of every detection."""

DEFINITIONS = {
    "event_camera_msgs/msg/EventPacket": """
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
""",
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": """
ObjectHypothesis hypothesis
geometry_msgs/PoseWithCovariance pose
""",
    "vision_msgs/msg/Detection2D": """
std_msgs/Header header
ObjectHypothesisWithPose[] results
BoundingBox2D bbox
string id
""",
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header\nDetection2D[] detections",
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name",
    "vision_msgs/msg/LabelInfo": """
std_msgs/Header header
vision_msgs/VisionClass[] class_map
float32 threshold
""",
}
"""Definitions of messages that are no part of ROS itself; interfaces/ has the same."""

_CHANNEL_BYTES = {"mono8": 1, "rgb8": 3, "32FC2": 8}
_POINT_FIELD_TYPES = {"f4": 7, "u4": 6}  # FLOAT32, UINT32 of sensor_msgs/PointField
_LIMIT = (1 << 31) * 1_000_000_000  # ns


class Maker(Protocol):
    """Makes message objects of a ROS library."""

    def new(self, kind: str, **fields: Any) -> Any:
        """A message of that type, "package/msg/Name", with all of its fields."""

    def octets(self, data: np.ndarray | bytes) -> Any:
        """What a field uint8[] takes; `data` is a contiguous array of any type, or bytes."""


def seconds_and_nanoseconds(stamp: int) -> tuple[int, int]:
    """ROS time in ns as a message holds it; beyond 32 bits of seconds, the nearest that fits."""
    return divmod(min(max(stamp, -_LIMIT), _LIMIT - 1), 1_000_000_000)


def nanoseconds(time: Any) -> int:
    """ROS time in ns of a builtin_interfaces/Time."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def header(make: Maker, stamp: int, frame_id: str) -> Any:
    """A std_msgs/Header; stamp in ns."""
    seconds, nanoseconds = seconds_and_nanoseconds(stamp)
    time = make.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return make.new("std_msgs/msg/Header", stamp=time, frame_id=frame_id)


def fill(make: Maker, output: Output, stamp: int, frame_id: str, seq: int = 0) -> Any:
    """The message that carries an output, of the type that TYPES says.

    Args:
        make: of the library whose message is wanted.
        output: Image, Points, Packet or Detections.
        stamp: ROS time in ns.
        frame_id: of the camera.
        seq: number of a Packet; the others have none.
    """
    top = header(make, stamp, frame_id)
    if isinstance(output, Image):
        return _image(make, output, top)
    if isinstance(output, Points):
        return _cloud(make, output.data, top)
    if isinstance(output, Detections):
        found = [_detection(make, row, top) for row in output.data]
        return make.new(TYPES[Detections], header=top, detections=found)
    return make.new(
        TYPES[Packet],
        header=top,
        height=output.height,
        width=output.width,
        seq=seq,
        time_base=output.time_base,
        encoding=output.encoding,
        is_bigendian=False,
        events=make.octets(output.data),
    )


def label_info(make: Maker, names: Mapping[int, str], stamp: int, frame_id: str = "") -> Any:
    """A vision_msgs/LabelInfo: the names of the mask's numbers."""
    classes = [
        make.new("vision_msgs/msg/VisionClass", class_id=number, class_name=name)
        for number, name in names.items()
    ]
    top = header(make, stamp, frame_id)
    return make.new(LABEL_INFO, header=top, class_map=classes, threshold=0.0)


def _image(make: Maker, image: Image, top: Any) -> Any:
    height, width = image.data.shape[:2]
    return make.new(
        TYPES[Image],
        header=top,
        height=height,
        width=width,
        encoding=image.encoding,
        is_bigendian=0,
        step=width * _CHANNEL_BYTES[image.encoding],
        data=make.octets(image.data),
    )


def _cloud(make: Maker, table: np.ndarray, top: Any) -> Any:
    assert table.dtype.fields is not None
    fields = [
        make.new(
            "sensor_msgs/msg/PointField",
            name=name,
            offset=offset,
            datatype=_POINT_FIELD_TYPES[kind.str[1:]],
            count=1,
        )
        for name, (kind, offset, *_) in table.dtype.fields.items()
    ]
    return make.new(
        TYPES[Points],
        header=top,
        height=1,
        width=len(table),
        fields=fields,
        is_bigendian=False,
        point_step=table.dtype.itemsize,
        row_step=table.nbytes,
        data=make.octets(table),
        is_dense=False,  # a layer without events has no centroid
    )


def _detection(make: Maker, row: np.void, top: Any) -> Any:
    """A Detection2D. The centre less half the size is the box's left and top edge."""
    left, upper, right, lower = (int(row[side]) for side in ("left", "top", "right", "bottom"))
    middle = make.new("vision_msgs/msg/Point2D", x=(left + right) / 2, y=(upper + lower) / 2)
    center = make.new("vision_msgs/msg/Pose2D", position=middle, theta=0.0)
    hypothesis = make.new(
        "vision_msgs/msg/ObjectHypothesis", class_id=MOVING, score=float(row["score"])
    )
    result = make.new(
        "vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=_no_pose(make)
    )
    box = make.new(
        "vision_msgs/msg/BoundingBox2D",
        center=center,
        size_x=float(right - left),
        size_y=float(lower - upper),
    )
    return make.new(
        "vision_msgs/msg/Detection2D", header=top, results=[result], bbox=box, id=str(row["id"])
    )


def _no_pose(make: Maker) -> Any:
    """A geometry_msgs/PoseWithCovariance that says nothing: one camera does not tell the pose."""
    pose = make.new(
        "geometry_msgs/msg/Pose",
        position=make.new("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
        orientation=make.new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    return make.new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))


def output_of(message: Any, kind: str) -> Image | Points | None:
    """The output that a message carries: `fill` reversed, for images and layers.

    Args:
        message: of rclpy or rosbags.
        kind: its type, "package/msg/Name".

    Returns:
        None for other types and encodings.
    """
    if kind == TYPES[Points]:
        return Points(np.frombuffer(message.data, LAYER_DTYPE))
    if kind != TYPES[Image] or message.encoding not in ("mono8", "rgb8"):
        return None
    data = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
    return Image(message.encoding, data if message.encoding == "rgb8" else data[..., 0])
