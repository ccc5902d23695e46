"""Bags: rosbag2 (mcap, sqlite3) and ROS 1, with EventPacket or dvs_msgs/EventArray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.dvs import parse_event_array
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.recordings.readers import Recording

_EVENT_PACKET = """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
# EventPacket was called EventArray before.
_PACKET_TYPES = ("event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray")
_ARRAY_TYPE = "dvs_msgs/msg/EventArray"
_STORAGE = {"mcap": ".mcap", "sqlite3": ".db3"}


class BagRecording(Recording):
    """The events of one topic of a bag. Types are our own: a bag may lack them or spell them oddly.

    Args:
        path: rosbag2 folder, or one .mcap, .db3 or .bag file.
        topic: which topic; None if there is just one with events.

    Raises:
        InputError: not a sound bag, or no such topic.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        super().__init__(path)
        self._ros1 = path.suffix == ".bag"
        self.kind = "a ROS 1 bag" if self._ros1 else "a rosbag2 recording"
        self._types = get_typestore(Stores.ROS1_NOETIC if self._ros1 else Stores.ROS2_JAZZY)
        for name in _PACKET_TYPES:
            self._types.register(get_types_from_msg(_EVENT_PACKET, name))
        self._check_storage()
        self._reader: Any = None
        try:
            self._reader = (Reader1 if self._ros1 else Reader2)(path)
            self._reader.open()
        except Exception as error:
            self._reader = None
            raise self.unreadable(error) from error
        try:
            self._choose(topic)
        except BaseException:
            self.close()
            raise

    def _check_storage(self) -> None:
        """A common fault, told with its remedy: metadata.yaml does not name the storage."""
        metadata = self.path / "metadata.yaml"
        if not self.path.is_dir():
            return
        lines = metadata.read_text(errors="replace").splitlines()
        named = [line.split(":", 1)[1] for line in lines if "storage_identifier:" in line]
        if named and named[0].strip().strip("'\"") not in _STORAGE:
            raise InputError(
                f"{metadata} names no known storage_identifier: expected {' or '.join(_STORAGE)}; "
                f"try its {' or '.join(_STORAGE.values())} file itself."
            )

    def _choose(self, topic: str | None) -> None:
        known = (*_PACKET_TYPES, _ARRAY_TYPE)
        connections = [c for c in self._reader.connections if c.msgtype in known]
        topics = sorted({c.topic for c in connections})
        if topic is None and len(topics) > 1:
            raise InputError(f"{self.path} has several event topics, choose: {', '.join(topics)}.")
        if not topics or topic not in (None, *topics):
            there = ", ".join(
                sorted({f"{c.topic} ({c.msgtype})" for c in self._reader.connections})
            )
            wanted = f"topic {topic}" if topic else "topic"
            raise InputError(
                f"{self.path} has no {wanted} with event_camera_msgs/EventPacket or "
                f"dvs_msgs/EventArray: it has {there or 'no topics'}."
            )
        self.topic = topic or topics[0]
        self._connections = [c for c in connections if c.topic == self.topic]
        self.total = sum(c.msgcount for c in self._connections)
        refused = f"there are no messages on topic {self.topic}."
        for first in self:
            if not first.fault:
                self.width, self.height = first.width, first.height
                break
            refused = first.fault
        else:
            raise InputError(f"{self.path}: {refused}")
        self.duration = self._reader.duration * 1e-9

    def _packets(self) -> Iterator[Packet]:
        for connection, _, raw in self._reader.messages(self._connections):
            if connection.msgtype == _ARRAY_TYPE:
                yield self._event_array(raw)
            else:
                yield self._packet(raw, connection.msgtype)

    def _event_array(self, raw: bytes) -> Packet:
        """A message that is none stands for itself: the stream counts it, as in the node."""
        try:
            events, stamp, frame_id = parse_event_array(raw, self._ros1)
        except InputError as error:
            return Packet.unreadable(str(error), self.topic)
        return Packet.of_events(events, stamp, self.topic, frame_id)

    def _packet(self, raw: bytes, msgtype: str) -> Packet:
        read = self._types.deserialize_ros1 if self._ros1 else self._types.deserialize_cdr
        message: Any = read(raw, msgtype)
        stamp = message.header.stamp
        return Packet(
            message.encoding,
            int(message.width),
            int(message.height),
            int(message.time_base),
            np.asarray(message.events, np.uint8),
            int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec),
            int(message.seq),
            bool(message.is_bigendian),
            message.header.frame_id,
            self.topic,
        )

    def close(self) -> None:
        """Close the bag."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
