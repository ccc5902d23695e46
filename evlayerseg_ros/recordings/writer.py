"""The node's outputs as messages of a rosbag2."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.outputs import Image, Output, Points

_TYPES = {
    Image: "sensor_msgs/msg/Image",
    Points: "sensor_msgs/msg/PointCloud2",
    Packet: "event_camera_msgs/msg/EventPacket",
}

_EVENT_PACKET = """
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""

_CHANNEL_BYTES = {"mono8": 1, "rgb8": 3, "32FC2": 8}
_POINT_FIELD_TYPES = {"f4": 7, "u4": 6}


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
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._types.register(get_types_from_msg(_EVENT_PACKET, _TYPES[Packet]))
        self._connections: dict[str, Any] = {}
        self._seq: dict[str, int] = {}
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
            stamp: ROS time in ns, of the message and of its header.
            frame_id: of the header.
        """
        kind = _TYPES[type(output)]
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                f"{self._prefix}/{topic}", kind, typestore=self._types
            )
        message = self._message(topic, output, stamp, frame_id)
        data = self._types.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], stamp, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # What was written before an error is kept, in a bag that can be read.
        keep = kind is None or bool(self._connections)
        try:
            self._writer.__exit__(*((None, None, None) if keep else (kind, error, at)))
            if keep and self._work is not None:
                (self._work / self.path.stem / f"{self.path.stem}.mcap").replace(self.path)
        except Exception:  # on a full disk, say, it cannot even be closed
            if kind is None:
                raise
        finally:
            if self._work is not None:
                shutil.rmtree(self._work)

    def _message(self, topic: str, output: Output, stamp: int, frame_id: str) -> Any:
        types = self._types.types
        time = types["builtin_interfaces/msg/Time"](*divmod(stamp, 1_000_000_000))
        header = types["std_msgs/msg/Header"](time, frame_id)
        if isinstance(output, Image):
            height, width = output.data.shape[:2]
            step = width * _CHANNEL_BYTES[output.encoding]
            data = output.data.reshape(-1).view(np.uint8)
            return types[_TYPES[Image]](header, height, width, output.encoding, 0, step, data)
        if isinstance(output, Points):
            return self._cloud(output.data, header)
        seq = self._seq[topic] = self._seq.get(topic, -1) + 1
        return types[_TYPES[Packet]](
            header,
            output.height,
            output.width,
            seq,
            output.time_base,
            output.encoding,
            False,
            np.frombuffer(output.data, np.uint8),
        )

    def _cloud(self, table: np.ndarray, header: Any) -> Any:
        field_type = self._types.types["sensor_msgs/msg/PointField"]
        assert table.dtype.fields is not None
        fields = [
            field_type(name, offset, _POINT_FIELD_TYPES[kind.str[1:]], 1)
            for name, (kind, offset, *_) in table.dtype.fields.items()
        ]
        step = table.dtype.itemsize
        return self._types.types[_TYPES[Points]](
            header,
            1,
            len(table),
            fields,
            False,
            step,
            step * len(table),
            table.view(np.uint8),
            False,
        )
