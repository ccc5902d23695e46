"""A small sound recording of each kind, to be damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import faery
import h5py
import numpy as np
import whole_files
from faulty import PACKETS, SIZE, bases, some_events
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evlayerseg_ros.events import Events
from evlayerseg_ros.outputs.messages import DEFINITIONS

EVENT_PACKET = "event_camera_msgs/msg/EventPacket"
STAMP = 1_700_000_000_000_000_000
ROUNDS = 40  # of the 12 sound packets


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
    np.save(folder / "some.npy", table)
    rows = (f"{t * 1e-9:.6f} {x} {y} {p}\n" for x, y, t, p in zip(*_columns(events)))
    (folder / "some.txt").write_text("".join(rows))
    for storage in ("mcap", "db3", "bag"):
        path = folder / ("some.bag" if storage == "bag" else storage)
        with packet_bag(path, storage) as (_, add):
            for seq, data in enumerate(PACKETS["evt3"]):
                add(STAMP + bases()[seq], *SIZE, seq, 0, "evt3", data)
        if path.is_dir():
            stored(path).rename(folder / f"some.{storage}")
    files = {path.suffix[1:]: path.read_bytes() for path in folder.glob("some.*")}
    for encoding, version in (("evt2", "2.0"), ("evt21", "2.1"), ("evt3", "3.0")):
        header = f"% evt {version}\n% geometry {SIZE[0]}x{SIZE[1]}\n% end\n".encode()
        files[f"{encoding}.raw"] = header + b"".join(PACKETS[encoding])
    return files


def _columns(events: Events) -> list[np.ndarray]:
    return [getattr(events, name) for name in "xytp"]


@contextmanager
def packet_bag(
    path: Path,
    storage: str = "mcap",
    topic: str = "/events",
    kind: str = EVENT_PACKET,
    mode: CompressionMode = CompressionMode.NONE,
) -> Iterator[tuple[Any, Callable[..., None]]]:
    """A bag of EventPackets, of ROS 1 where storage is "bag", else mcap or db3.

    Yields:
        The writer, and a function that appends a packet: stamp (ns), its fields, its data, and how
        many bytes of the message are kept.
    """
    ros1 = storage == "bag"
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(DEFINITIONS[EVENT_PACKET], kind))
    new, serialize = types.types, types.serialize_ros1 if ros1 else types.serialize_cdr
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    bag = Writer1(path) if ros1 else Writer2(path, version=9, storage_plugin=plugin)
    if mode != CompressionMode.NONE:
        bag.set_compression(mode, CompressionFormat.ZSTD)

    def add(
        stamp,
        width,
        height,
        seq,
        base,
        encoding,
        data,
        big=False,
        *,
        at=None,
        keep=None,
        frame="camera",
    ):
        time = new["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
        header = new["std_msgs/msg/Header"](*((seq,) if ros1 else ()), time, frame)
        data = np.frombuffer(data, np.uint8)
        message = new[kind](header, height, width, seq, base, encoding, big, data)
        raw = bytes(serialize(message, kind))[:keep]
        bag.write(connection, stamp if at is None else at, raw)

    with bag:
        connection = bag.add_connection(topic, kind, typestore=types)
        yield partial(bag.add_connection, msgtype=kind, typestore=types), add


def stored(folder: Path) -> Path:
    """The one file of a rosbag2 beside its metadata."""
    (path,) = [p for p in folder.iterdir() if p.name != "metadata.yaml"]
    return path


@contextmanager
def array_bag(
    path: Path,
    ros1: bool = False,
    package: str = "dvs_msgs",
    topics: tuple[str, ...] = ("/events",),
) -> Iterator[Callable[..., None]]:
    """A bag of EventArrays of that package.

    Yields:
        A function that appends a message at a time (ns): of Events, or these very bytes.
    """
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    kind, one = f"{package}/msg/EventArray", f"{package}/msg/Event"
    stamp = "time ts" if ros1 else "builtin_interfaces/Time ts"
    types.register(get_types_from_msg(f"uint16 x\nuint16 y\n{stamp}\nbool polarity", one))
    array = f"std_msgs/Header header\nuint32 height\nuint32 width\n{package}/Event[] events"
    types.register(get_types_from_msg(array, kind))
    new, serialize = types.types, types.serialize_ros1 if ros1 else types.serialize_cdr
    time = new["builtin_interfaces/msg/Time"]

    def add(message, at, topic=topics[0]):
        if isinstance(message, Events):
            events = [
                new[one](int(x), int(y), time(*divmod(int(t), 10**9)), bool(p))
                for x, y, t, p in zip(*_columns(message), strict=True)
            ]
            head = new["std_msgs/msg/Header"](
                *((0,) if ros1 else ()), time(*divmod(at, 10**9)), "dvs"
            )
            message = serialize(new[kind](head, message.height, message.width, events), kind)
        bag.write(connections[topic], at, bytes(message))

    bag = Writer1(path) if ros1 else Writer2(path, version=9, storage_plugin=StoragePlugin.MCAP)
    with bag:
        connections = {t: bag.add_connection(t, kind, typestore=types) for t in topics}
        yield add


def as_mcap(bag: Path, path: Path) -> Path:
    """A ROS 1 bag as mcap's tools convert it: its messages as they are."""
    with Reader1(bag) as reader:
        ((topic, kind),) = {(c.topic, c.msgtype) for c in reader.connections}
        messages = [(stamp, bytes(data)) for _, stamp, data in reader.messages()]
    return plain_mcap(path, messages, topic, kind.replace("/msg/", "/"), "ros1")


def plain_mcap(path: Path, messages, topic: str, kind: str, ros: str = "ros2") -> Path:
    """An mcap of messages (ns, bytes) one after the other, without an index."""

    def text(words: str) -> bytes:
        return struct.pack("<I", len(words)) + words.encode()

    def record(code: int, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack("<BQ", code, len(body)) + body

    magic, one = b"\x89MCAP0\r\n", struct.pack("<H", 1)
    content = magic + record(1, text(ros), text("some"))
    content += record(3, one, text(kind), text(f"{ros}msg"), text(""))
    content += record(4, one, one, text(topic), text("ros1" if ros == "ros1" else "cdr"), text(""))
    for stamp, data in messages:
        content += record(5, struct.pack("<HIQQ", 1, 0, stamp, stamp), data)
    path.write_bytes(content + record(2, bytes(20)) + magic)
    return path


def event_array(events: Events) -> bytes:
    """A dvs_msgs/EventArray in CDR, little endian."""
    raw = b"\0\1\0\0" + struct.pack("<iII", 1_700_000_000, 0, 4) + b"cam\0"
    raw += struct.pack("<III", events.height, events.width, len(events))
    for x, y, t, p in zip(*_columns(events)):
        raw += bytes(-(len(raw) - 4) % 2) + struct.pack("<HH", x, y)
        raw += bytes(-(len(raw) - 4) % 4) + struct.pack("<iIB", *divmod(int(t), 10**9), p)
    return raw


def camera_bag(path: Path, storage="mcap", short=None, empty=(), begin=0, end=12 * ROUNDS, **how):
    """A bag of packets in encoding mono, `begin` to `end` of 12 * ROUNDS; number `short` is cut."""
    with packet_bag(path, storage, "/camera/events", **how) as (connect, add):
        for topic in empty:
            connect(topic)
        for seq in range(begin, end):
            base = bases()[seq % 12] + seq // 12 * bases()[-1]
            data, keep = PACKETS["mono"][seq % 12], 40 if seq == short else None
            add(STAMP + base, *SIZE, seq, base, "mono", data, keep=keep)
    return path


def counted(path, **options):
    """The counters of a stream that got all of a recording, and the number of its windows."""
    _, windows, stats = whole_files.run(path, **options)
    return stats, len(windows)
