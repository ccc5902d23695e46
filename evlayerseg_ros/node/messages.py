"""Plain outputs to rclpy messages, event messages to packets; large arrays in one copy."""

from __future__ import annotations

import importlib
import re
from array import array
from functools import cache
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.dvs import check_layout, parse_event_array
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs import messages, outputs


@cache
def message_type(name: str) -> Any:
    """The class of a message type, "package/msg/Name"."""
    package, middle, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.{middle}"), kind)


# The message class of each topic.
TOPIC_TYPES = {topic: message_type(name) for topic, name in messages.TOPIC_TYPES.items()}


class RclpyMaker:
    """Makes rclpy's messages; large arrays in one copy."""

    def new(self, kind: str, **fields: Any) -> Any:
        """A message of that type with these fields."""
        return message_type(kind)(**fields)

    def octets(self, data: np.ndarray | bytes) -> array:
        """A field uint8[]."""
        return to_bytes(data)


MAKE = RclpyMaker()


def to_time(stamp: int) -> Time:
    """ROS time in ns as a message; beyond its 32 bits of seconds, the nearest that it holds."""
    seconds, nanoseconds = messages.seconds_and_nanoseconds(stamp)
    return Time(sec=seconds, nanosec=nanoseconds)


def to_message(output: outputs.Output, stamp: int, frame_id: str, seq: int = 0) -> Any:
    """The message that carries an output; see outputs.messages.fill."""
    return messages.fill(MAKE, output, stamp, frame_id, seq)


# Packages of encoded events; the second is the old name of the first.
PACKETS = "event_camera_msgs", "event_array_msgs"


def packet_of(message: EventPacket) -> Packet:
    """An EventPacket as a Packet; its data shares the message's memory."""
    return Packet(
        message.encoding,
        message.width,
        message.height,
        message.time_base,
        np.frombuffer(message.events, np.uint8),
        messages.nanoseconds(message.header.stamp),
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


def other_size(packet: Packet, size: tuple[int, int]) -> str:
    """A sentence if a packet says another size of the sensor than the parameters, "" else.

    Args:
        packet: the packet; EventArrays often say how far their own events reach, and do not count.
        size: (width, height) in px of the parameters, 0 for what the packets say.
    """
    told, used = (packet.width, packet.height), (size[0] or packet.width, size[1] or packet.height)
    if packet.events is not None or told == used or 0 in told:
        return ""
    return (
        f"sensor.width and .height make {used[0]}x{used[1]} px of the sensor, its packets say "
        f"{told[0]}x{told[1]}: set them to 0 to take what packets say."
    )


def to_bytes(data: np.ndarray | bytes) -> array:
    """uint8[] as rclpy takes it without looking at each element."""
    filled = array("B")
    filled.frombytes(data.reshape(-1).view(np.uint8).data if isinstance(data, np.ndarray) else data)
    return filled


def event_type(name: str) -> tuple[type, bool]:
    """The message type package/Name, and whether it holds decoded events.

    Raises:
        InputError: it is not installed, or its decoded events lie in another way.
    """
    package, kind = name.split("/")
    try:
        found: type = message_type(f"{package}/msg/{kind}")
    except ImportError:
        raise InputError(
            f"event_type is {name}, but {package} is not installed: build it in this workspace."
        ) from None
    raw = package not in PACKETS
    if raw:
        try:
            check_layout(definition_of(found))
        except InputError as error:
            raise InputError(f"event_type is {name}: {error}") from error
    return found, raw


def definition_of(kind: type) -> str:
    """What a bag would hold as the definition of a message of events: the fields of an event."""
    fields: dict[str, str] = kind.get_fields_and_field_types()  # type: ignore[attr-defined]
    found = re.search(r"sequence<(\w+)/(\w+)>", " ".join(fields.values()))
    if found is None:
        return ""
    package, event = found.groups()
    of_event = message_type(f"{package}/msg/{event}").get_fields_and_field_types()
    words = {"boolean": "bool", "octet": "byte"}
    lines = [f"{words.get(of, of)} {name}" for name, of in of_event.items()]
    return "\n".join([f"{event}[] events", "=" * 80, f"MSG: {package}/{event}", *lines])
