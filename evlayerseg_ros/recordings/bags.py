"""Bags: rosbag2 (mcap, sqlite3) and ROS 1, with EventPacket or one of the EventArrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from ruamel.yaml import YAML

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.dvs import check_layout, parse_event_array
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import MAX_SIDE, Events, Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.messages import DEFINITIONS, nanoseconds
from evlayerseg_ros.recordings.beginnings import bag_kind
from evlayerseg_ros.recordings.parts import files_of
from evlayerseg_ros.recordings.readers import Recording
from evlayerseg_ros.recordings.salvage import Raw
from evlayerseg_ros.recordings.storage import StorageFile, nothing_left

# The second is the old name of the first.
_PACKET_TYPES = ("event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray")
# So many events tell whether messages exchange width and height; they lie on any sensor up to this.
_LOOKED_AT, _LARGEST = 2000, (2048, 2048)
# So many messages tell whether a topic has one camera.
_FIRST = 16


class BagRecording(Recording):
    """The events of one topic of a bag.

    Message definitions are our own, as those in a bag may be missing or odd. metadata.yaml only
    tells the order of the files, which themselves tell what they hold. Messages that cannot be
    read, and breaks of a file, become unreadable packets among the others.

    Args:
        path: rosbag2 folder, or one .mcap, .db3 (also .zstd) or .bag file.
        topic: which topic; None if there is just one with events.
        size: (width, height) in px, None for what each message says.

    Raises:
        InputError: nothing in it can be read, or it has no such topic.
    """

    def __init__(
        self, path: Path, topic: str | None = None, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path, size)
        ros1 = not path.is_dir() and bag_kind(path) == ".bag"
        self.kind = "a ROS 1 bag" if ros1 else "a rosbag2 recording"
        self._storages: list[StorageFile] = []
        try:
            files, self._missing = files_of(path)
            self._storages += [StorageFile(file) for file in files]
            self._ros1 = any(storage.ros1 for storage in self._storages)
            self._types = get_typestore(Stores.ROS1_NOETIC if self._ros1 else Stores.ROS2_JAZZY)
            for name in _PACKET_TYPES:
                self._types.register(get_types_from_msg(DEFINITIONS[_PACKET_TYPES[0]], name))
            self._choose(topic)
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                told = self._as_input_error(error)
                told.topics = self.topics
                raise told from error
            raise

    def _choose(self, topic: str | None) -> None:
        counts: dict[tuple[str, str], int] = {}
        for storage in self._storages:
            for key, count in storage.counts.items():
                counts[key] = counts.get(key, 0) + count
        self.topics = () if self._ros1 else tuple(name for name, _ in counts)
        found: dict[str, int] = {}
        for (name, kind), n in sorted(counts.items()):
            if _holds_events(kind):
                found[name] = found.get(name, 0) + n
        if topic is not None and f"/{topic}" in found:
            topic = f"/{topic}"
        if not found or topic not in (None, *found):
            raise InputError(self._why_no_topic(topic, counts))
        full = [name for name, count in found.items() if count] or list(found)[:1]
        if topic is None and len(full) > 1:
            full = [name for name in full if self._has_events(name)] or full
        if topic is None and len(full) > 1:
            raise InputError(f"{self.path} has several event topics, choose: {', '.join(full)}.")
        self.topic = topic or full[0]
        self.total = found[self.topic]
        for storage in self._storages:
            for (name, kind), definition in storage.definitions.items():
                if name == self.topic and _holds_events(kind) and kind not in _PACKET_TYPES:
                    check_layout(definition)
        first = None
        for packet in self:
            first = first if packet.fault else packet
            if first is not None and min(first.width, first.height) > 0:
                break  # some say no size at first
        if first is None:
            raise InputError(self._why_none())
        frames = dict.fromkeys(p.frame_id for p in islice(self, _FIRST) if p.frame_id)
        if len(frames) > 1:
            self.notice(f"{self.topic} has events of {', '.join(frames)}, which are read as one")
        self.width, self.height = first.width, first.height
        if self.size is None and 0 < self.width < self.height <= MAX_SIDE:
            events = self._first_events()
            self.take_size((first.width, first.height), events.x, events.y)
            self.size = (self.width, self.height) if self.width > self.height else None

    def _has_events(self, topic: str) -> bool:
        """Whether any message of a topic holds events; a covered camera's hold none."""
        self.topic = topic
        return any(packet.events or len(packet.data) for packet in self._packets())

    def _first_events(self) -> Events:
        """The first events, whatever size their messages say."""
        found, size = Events.empty(*_LARGEST), self.size
        self.size, stream = _LARGEST, PacketStream(WindowConfig())
        for packet in self:
            with contextlib.suppress(InputError):
                windows = stream.push(packet)
                found = Events.concatenate([found, *(window.events for window in windows)])
            if len(found) >= _LOOKED_AT:
                break
        self.size = size
        return Events.concatenate([found, *(window.events for window in stream.flush())])

    def _why_no_topic(self, topic: str | None, counts: dict[tuple[str, str], int]) -> str:
        if not counts:
            faults = [s.fault for s in self._storages if s.fault and s.is_known()]
            if faults:
                return nothing_left(faults[0])
            return (
                f"{self.path} cannot be read as {self.kind}: it has no topics, or is damaged or "
                "something else."
            )
        there = ", ".join(sorted(f"{name} ({kind})" for name, kind in counts))
        wanted = f"topic {topic}" if topic else "topic"
        return (
            f"{self.path} has no {wanted} with event_camera_msgs/EventPacket or an EventArray of "
            f"dvs_msgs, prophesee_event_msgs, dv_ros_msgs or alike: it has {there}."
        )

    def _why_none(self) -> str:
        """Why no message of the topic could be read."""
        faults = [packet.fault for packet in self._packets()][:1]
        n = max(self.total or 0, self._counted())
        if not n:
            return f"{self.path} has no messages on topic {self.topic}."
        why = faults[0] if faults else "its files do not hold them."
        return f"{self.path} says {n} messages, none on {self.topic} could be read: {why}"

    def _counted(self) -> int:
        """How many messages metadata.yaml says there are."""
        try:
            said: Any = YAML(typ="safe", pure=True).load(self.path / "metadata.yaml")
            return sum(
                int(entry["message_count"])
                for entry in said["rosbag2_bagfile_information"]["topics_with_message_count"]
                if entry["topic_metadata"]["name"] == self.topic
            )
        except Exception:  # there is none, or it is unsound in one of many ways
            return 0

    def _packets(self) -> Iterator[Packet]:
        for fault in self._missing:
            yield Packet.unreadable(fault, self.topic)
        for storage in self._storages:
            wanted = [k for k in storage.counts if k[0] == self.topic and _holds_events(k[1])]
            for raw in storage.messages(wanted):
                yield self._packet(raw).with_stamp(partial(int, raw.time))

    def _packet(self, raw: Raw) -> Packet:
        if raw.fault:
            return Packet.unreadable(raw.fault, self.topic)
        try:
            if raw.msgtype not in _PACKET_TYPES:
                return parse_event_array(raw.data, self._ros1, self.size or (0, 0), self.topic)
            return self._event_packet(raw.data, raw.msgtype)
        except InputError as error:
            return Packet.unreadable(f"{self.path}: {error}", self.topic)
        except Exception:  # rosbags raises many kinds
            return Packet.unreadable(
                f"{self.path}: a message of {len(raw.data)} bytes on {self.topic} is cut off or "
                f"damaged: expected {raw.msgtype}.",
                self.topic,
            )

    def _event_packet(self, raw: bytes, msgtype: str) -> Packet:
        read = self._types.deserialize_ros1 if self._ros1 else self._types.deserialize_cdr
        message: Any = read(raw, msgtype)
        width, height = self.size or (int(message.width), int(message.height))
        return Packet(
            message.encoding,
            width,
            height,
            int(message.time_base),
            np.asarray(message.events, np.uint8),
            nanoseconds(message.header.stamp),
            int(message.seq),
            bool(message.is_bigendian),
            message.header.frame_id,
            self.topic,
        )

    def close(self) -> None:
        """Close the bag."""
        for storage in self._storages:
            storage.close()
        self._storages.clear()


def _holds_events(msgtype: str) -> bool:
    return msgtype in _PACKET_TYPES or msgtype.endswith("/msg/EventArray")
