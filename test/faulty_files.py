"""A small sound recording of each kind, to be damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import faery
import h5py
import numpy as np
from faulty import PACKETS, SIZE, bases, some_events
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evlayerseg_ros.events import Events

_PACKET = """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
STAMP = 1_700_000_000_000_000_000


def sound_files(folder: Path) -> dict[str, bytes]:
    """The bytes of a recording for each suffix that open_recording knows."""
    events = some_events()
    table = np.zeros(len(events), faery.EVENTS_DTYPE)
    table["t"], table["x"], table["y"], table["on"] = events.t // 1000, events.x, events.y, events.p
    for suffix in ("es", "dat", "aedat4"):
        stream = faery.events_stream_from_array(table, SIZE)
        stream.to_file(folder / f"some.{suffix}", zero_t0=False)
    np.savez(
        folder / "some.npz",
        x=events.x, y=events.y, t=events.t, p=events.p, size=np.array(SIZE),
    )  # fmt: skip
    with h5py.File(folder / "some.h5", "w") as file:
        for name in "xytp":
            column = getattr(events, name)
            file[f"events/{name}"] = column // 1000 if name == "t" else column
    rows = (f"{t * 1e-9:.6f} {x} {y} {p}\n" for x, y, t, p in zip(*_columns(events)))
    (folder / "some.txt").write_text("".join(rows))
    for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
        bag = folder / plugin.name
        with Writer2(bag, version=9, storage_plugin=plugin) as writer:
            _write_packets(writer, Stores.ROS2_JAZZY, "serialize_cdr")
        (stored,) = [p for p in bag.iterdir() if p.suffix in (".mcap", ".db3")]
        stored.rename(folder / f"some{stored.suffix}")
    with Writer1(folder / "some.bag") as writer:
        _write_packets(writer, Stores.ROS1_NOETIC, "serialize_ros1")
    files = {path.suffix[1:]: path.read_bytes() for path in folder.glob("some.*")}
    for encoding, version in (("evt2", "2.0"), ("evt21", "2.1"), ("evt3", "3.0")):
        header = f"% evt {version}\n% geometry {SIZE[0]}x{SIZE[1]}\n% end\n".encode()
        files[f"{encoding}.raw"] = header + b"".join(PACKETS[encoding])
    return files


def _columns(events: Events) -> list[np.ndarray]:
    return [getattr(events, name) for name in "xytp"]


def _write_packets(writer, store, serialize) -> None:
    types = get_typestore(store)
    name = "event_camera_msgs/msg/EventPacket"
    types.register(get_types_from_msg(_PACKET, name))
    new = types.types
    connection = writer.add_connection("/events", name, typestore=types)
    for seq, data in enumerate(PACKETS["evt3"]):
        stamp = STAMP + bases()[seq]
        time = new["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
        counted = () if store is Stores.ROS2_JAZZY else (seq,)
        message = new[name](
            new["std_msgs/msg/Header"](*counted, time, "camera"),
            SIZE[1], SIZE[0], seq, 0, "evt3", False, np.frombuffer(data, np.uint8),
        )  # fmt: skip
        writer.write(connection, stamp, bytes(getattr(types, serialize)(message, name)))


def event_array(events: Events) -> bytes:
    """A dvs_msgs/EventArray in CDR, little endian."""
    raw = b"\0\1\0\0" + struct.pack("<iII", 1_700_000_000, 0, 4) + b"cam\0"
    raw += struct.pack("<III", events.height, events.width, len(events))
    for x, y, t, p in zip(*_columns(events)):
        raw += bytes(-(len(raw) - 4) % 2) + struct.pack("<HH", x, y)
        raw += bytes(-(len(raw) - 4) % 4) + struct.pack("<iIB", *divmod(int(t), 10**9), p)
    return raw
