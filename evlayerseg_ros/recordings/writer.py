"""Writes the node's outputs to a rosbag2."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs import messages
from evlayerseg_ros.outputs.outputs import LABEL_NAMES, Output
from evlayerseg_ros.recordings.zero import FromZero

# With it, players and viewers give a late subscriber what this topic held.
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


class RosbagsMaker:
    """Makes the messages that rosbags writes."""

    def __init__(self) -> None:
        self.types = get_typestore(Stores.ROS2_JAZZY)
        for name, definition in messages.DEFINITIONS.items():
            self.types.register(get_types_from_msg(definition, name))

    def new(self, kind: str, **fields: Any) -> Any:
        """A message of that type with these fields."""
        return self.types.types[kind](**fields)

    def octets(self, data: np.ndarray | bytes) -> np.ndarray:
        """A field uint8[]."""
        if isinstance(data, np.ndarray):
            return data.reshape(-1).view(np.uint8)
        return np.frombuffer(data, np.uint8)


class BagWriter:
    """Writes outputs to a rosbag2 with mcap storage; a context manager.

    The same outputs give the same bytes. A path that ends in .mcap becomes that one file
    (overwritten), any other a new folder with metadata.yaml.
    """

    def __init__(self, path: Path, prefix: str = "/event_camera/evlayerseg") -> None:
        """Opens the bag.

        Args:
            path: OUT.mcap, or a folder that does not exist yet.
            prefix: what the topics' names begin with.

        Raises:
            InputError: the bag cannot be written there.
        """
        self.path = path
        self._prefix = prefix.rstrip("/")
        self._make = RosbagsMaker()
        self._connections: dict[str, Any] = {}
        self._seq: dict[str, int] = {}
        self._ros, self._sensor = FromZero(str(path)), FromZero()
        self._work: Path | None = None
        folder = path
        try:
            if path.suffix == ".mcap":
                # rosbags writes folders. The work folder carries the final name, which goes into
                # the file, so that its bytes do not depend on where it was written.
                self._work = Path(tempfile.mkdtemp(prefix=".evlayerseg_", dir=path.parent))
                folder = self._work / path.stem
            elif path.exists():
                raise InputError(f"{path} exists already; name a new folder or a .mcap file.")
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            raise InputError(f"Cannot write the bag {path}: {error.strerror}.") from error

    def write(self, topic: str, output: Output, stamp: int, frame_id: str) -> None:
        """Appends one message.

        Args:
            topic: its name below the prefix.
            output: what it holds.
            stamp: ROS time in ns, of the message and of its header; moved if it is negative.
            frame_id: of the header.
        """
        self._seq[topic] = seq = self._seq.get(topic, -1) + 1
        stamp = self._ros(stamp)
        if isinstance(output, Packet):
            output = replace(output, time_base=self._sensor(output.time_base))
        message = messages.fill(self._make, output, stamp, frame_id, seq)
        self._append(topic, messages.TYPES[type(output)], message, stamp)
        if topic == "mask" and not seq:  # said once, as the node says it
            info = messages.label_info(self._make, LABEL_NAMES, stamp, frame_id)
            self._append("label_info", messages.LABEL_INFO, info, stamp, [_LATCHED])

    def _append(
        self, topic: str, kind: str, message: Any, stamp: int, qos: Sequence[Qos] = ()
    ) -> None:
        types = self._make.types
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                f"{self._prefix}/{topic}", kind, typestore=types, offered_qos_profiles=qos
            )
        data = types.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], stamp, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        # What was written before an error is kept, in a bag that can be read.
        keep = kind is None or bool(self._connections)
        try:
            self._writer.__exit__(*((None, None, None) if keep else (kind, *error)))
            if keep and self._work is not None:
                (self._work / self.path.stem / f"{self.path.stem}.mcap").replace(self.path)
        except Exception:  # on a full disk, say, it cannot even be closed
            if kind is None:
                raise
        finally:
            if self._work is not None:
                shutil.rmtree(self._work)
