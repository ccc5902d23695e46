"""Plain outputs to rclpy messages, event messages to packets; large arrays in one copy."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.dvs import parse_event_array
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs import outputs

# The message type of each topic.
TOPIC_TYPES = {
    name: PointCloud2 if name == "layers" else EventPacket if name == "moving_events" else Image
    for name in outputs.OUTPUTS
}
_LIMIT = (1 << 31) * 1_000_000_000  # ns
_POINT_FIELDS = {"f4": PointField.FLOAT32, "u4": PointField.UINT32}


def to_time(stamp: int) -> Time:
    """ROS time in ns as a message; beyond its 32 bits of seconds, the nearest that it holds."""
    seconds, nanoseconds = divmod(min(max(stamp, -_LIMIT), _LIMIT - 1), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def from_time(time: Time) -> int:
    """A message's time in ns."""
    return time.sec * 1_000_000_000 + time.nanosec


def to_message(output: outputs.Output, stamp: int, frame_id: str, seq: int = 0) -> Any:
    """The message that carries an output.

    Args:
        output: Image or Points of outputs/outputs.py, or a Packet.
        stamp: ROS time in ns.
        frame_id: of the camera.
        seq: number of the packet; the others have none.
    """
    header = Header(stamp=to_time(stamp), frame_id=frame_id)
    if isinstance(output, outputs.Image):
        height, width = output.data.shape[:2]
        return Image(
            header=header,
            height=height,
            width=width,
            encoding=output.encoding,
            step=output.data.strides[0],
            data=to_bytes(output.data),
        )
    if isinstance(output, outputs.Points):
        return _cloud(output.data, header)
    return EventPacket(
        header=header,
        height=output.height,
        width=output.width,
        seq=seq,
        time_base=output.time_base,
        encoding=output.encoding,
        events=to_bytes(output.data),
    )


def packet_of(message: EventPacket) -> Packet:
    """An EventPacket as a Packet; its data shares the message's memory."""
    return Packet(
        message.encoding,
        message.width,
        message.height,
        message.time_base,
        np.frombuffer(message.events, np.uint8),
        from_time(message.header.stamp),
        message.seq,
        message.is_bigendian,
        message.header.frame_id,
    )


def packet_of_event_array(message: bytes, size: tuple[int, int] = (0, 0)) -> Packet:
    """The same of an EventArray as it came over the wire: objects would be slow.

    Args:
        message: the serialized message.
        size: (width, height) of the sensor in px, 0 for what the message says.
    """
    try:
        return parse_event_array(message, size=size)
    except InputError as error:
        return Packet.unreadable(str(error))


def to_bytes(data: np.ndarray | bytes) -> array:
    """uint8[] as rclpy takes it without looking at each element."""
    filled = array("B")
    filled.frombytes(data.reshape(-1).view(np.uint8).data if isinstance(data, np.ndarray) else data)
    return filled


def _cloud(table: np.ndarray, header: Header) -> PointCloud2:
    assert table.dtype.fields is not None
    return PointCloud2(
        header=header,
        height=1,
        width=len(table),
        fields=[
            PointField(name=name, offset=offset, datatype=_POINT_FIELDS[kind.str[1:]], count=1)
            for name, (kind, offset, *_) in table.dtype.fields.items()
        ],
        point_step=table.dtype.itemsize,
        row_step=table.nbytes,
        data=to_bytes(table.tobytes()),
        is_dense=True,
    )
