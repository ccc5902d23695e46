"""What is left of a bag's file that rosbags cannot read: cut off, damaged, without an index.

A scan goes from front to back and gives every whole message. Where the file is broken it gives an
entry with a fault instead of raising, and goes on if it can.
"""

from __future__ import annotations

import io
import re
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from evlayerseg_ros.recordings.packed import unpacked

_MCAP, _ROS1 = b"\x89MCAP", b"#ROS"  # what files begin with, and those joined to them
_ROWS = 500  # read at a time from a database
_MISSES = 64  # after so many unreadable stretches of rows one after the other a scan ends


class Raw(NamedTuple):
    """A message as it is stored, or a break.

    Attributes:
        topic: its name.
        msgtype: as ROS 2 writes it, package/msg/Name.
        data: the serialized message.
        time: when it was recorded, ns, 0 if unknown.
        fault: of a break, what is wrong, in a few words; "" of a message.
    """

    topic: str
    msgtype: str
    data: bytes
    time: int = 0
    fault: str = ""


def broken(fault: str) -> Raw:
    """The entry for a break."""
    return Raw("", "", b"", fault=fault)


def type_name(name: str) -> str:
    """A message's type as ROS 2 writes it, package/msg/Name, from how ROS 1, DDS or others do."""
    parts = [part for part in re.split("::|/", name) if part not in ("msg", "dds_")]
    return f"{parts[0]}/msg/{parts[1].rstrip('_')}" if len(parts) == 2 else name


def scan(path: Path, kind: str) -> Iterator[Raw]:
    """The messages of a file (.mcap, .db3 or .bag) in the order in which they were written."""
    if kind == ".db3":
        yield from _scan_db3(path)
        return
    with path.open("rb") as file:
        if kind == ".bag":
            file.readline()
            yield from _ros1_records(file, {})
        else:
            yield from _scan_mcap(file)


def is_joined(path: Path, kind: str) -> bool:
    """Whether other files are joined to a sound .mcap or .bag, of which rosbags reads one only."""
    if kind == ".db3":
        return False
    with path.open("rb") as file:
        return _joined_ros1(file) if kind == ".bag" else _joined_mcap(file)


# -- mcap


def is_ros1(path: Path) -> bool:
    """Whether an mcap file holds messages in ROS 1's serialization, by its header's profile."""
    with path.open("rb") as file:
        begun = file.read(8 + 9 + 4 + 4)  # magic, head of a record, length, profile
    return begun[8:9] == b"\1" and begun.endswith(b"\4\0\0\0ros1")


def _joined_mcap(file: BinaryIO) -> bool:
    end = file.seek(-28, io.SEEK_END)  # of the head of the last footer
    begin = int.from_bytes(file.read(8), "little")  # of the index; 0: there is none
    file.seek(begin)
    while begin and len(head := file.read(9)) == 9 and head[0] != 0x02:
        file.seek(int.from_bytes(head[1:], "little"), io.SEEK_CUR)
    return begin > 0 and file.tell() != end


def _scan_mcap(file: BinaryIO) -> Iterator[Raw]:
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    size = file.seek(0, io.SEEK_END)
    file.seek(8)
    ended = False
    while len(head := file.read(9)) == 9:
        code, length = head[0], int.from_bytes(head[1:], "little")
        left = size - file.tell()
        body = file.read(min(length, left))
        ended = ended or code in (0x02, 0x0F)  # footer, end of data
        if code == 0x02:
            file.read(8)
            if not file.read(8).startswith(_MCAP):
                return
            schemas, channels, ended = {}, {}, False  # another file is joined to this one
        if code == 0x06 and length > 40:
            yield from _chunk(body, schemas, channels)
        elif length <= left:
            yield from _record(code, body, schemas, channels)
        if length > left:
            break
    if not ended:
        yield broken("it was cut off")


def _chunk(body: bytes, schemas: dict[int, str], channels: dict[int, Any]) -> Iterator[Raw]:
    try:
        (length,) = struct.unpack_from("<I", body, 28)
        compression = body[32 : 32 + length].decode("latin-1")
        at = 32 + length
        (packed,) = struct.unpack_from("<Q", body, at)
        data, whole = unpacked(body[at + 8 : at + 8 + packed], compression)
    except struct.error:
        data, whole = b"", False
    at = 0
    while at + 9 <= len(data):
        code, length = data[at], int.from_bytes(data[at + 1 : at + 9], "little")
        if at + 9 + length > len(data):
            break
        yield from _record(code, data[at + 9 : at + 9 + length], schemas, channels)
        at += 9 + length
    if not whole or at != len(data):
        yield broken("a block of it is damaged or cut off")


def _record(
    code: int, body: bytes, schemas: dict[int, str], channels: dict[int, Any]
) -> Iterator[Raw]:
    try:
        (number,) = struct.unpack_from("<H", body) if code in (3, 4, 5) else (0,)
        if code == 0x03:
            schemas[number] = _text(body, 2)
        elif code == 0x04:
            (schema,) = struct.unpack_from("<H", body, 2)
            channels[number] = _text(body, 4), type_name(schemas.get(schema, ""))
        elif code == 0x05 and number in channels and len(body) >= 22:
            topic, kind = channels[number]
            yield Raw(topic, kind, body[22:], struct.unpack_from("<Q", body, 6)[0])
    except (struct.error, UnicodeDecodeError):
        yield broken("a record of it is damaged")


def _text(body: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<I", body, at)
    return body[at + 4 : at + 4 + length].decode()


# -- sqlite3


def _scan_db3(path: Path) -> Iterator[Raw]:
    try:
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        base.execute("PRAGMA writable_schema=ON")  # reads a file of fewer pages than it says, too
        topics = {
            k: (name, kind) for k, name, kind in base.execute("SELECT id, name, type FROM topics")
        }
    except sqlite3.Error:
        yield broken("its table of topics cannot be read")
        return
    last = misses = unnamed = 0
    told = False
    while misses < _MISSES:
        rows: list[tuple[int, int, int, bytes]] = []
        begun = last
        fine = True
        try:
            for row in base.execute(
                "SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED WHERE id > ? "
                "ORDER BY id LIMIT ?", (last, _ROWS if misses == 0 else 1),
            ):  # fmt: skip
                rows.append(row)
        except sqlite3.Error:
            fine = False
        for number, topic, time, data in rows:
            if number <= last:  # pages of zeros hold such rows
                fine = False
                break
            last = number
            unnamed += topic not in topics
            if topic in topics and isinstance(data, bytes):
                name, kind = topics[topic]
                yield Raw(name, type_name(kind), data, time if isinstance(time, int) else 0)
        if fine and not rows:
            break
        if not fine and not told:
            told = True
            yield broken("its database is damaged or cut off")
        misses = 0 if last > begun else misses + 1
        last += 1 << min(misses, 8) if misses else 0
    base.close()
    if unnamed and not told:
        yield broken(f"it does not name the topic of {unnamed} messages")


# -- ROS 1


def _ros1_records(file: BinaryIO, topics: dict[int, tuple[str, str]]) -> Iterator[Raw]:
    while len(begun := file.read(4)) == 4:
        if begun == _ROS1:  # another bag is joined to this one
            file.readline()
            topics.clear()
            continue
        head = file.read(struct.unpack("<I", begun)[0] & 0xFFFFFF)
        fields = _fields(head)
        length = file.read(4)
        data = file.read(struct.unpack("<I", length)[0]) if len(length) == 4 else b""
        whole = len(length) == 4 and len(data) == struct.unpack("<I", length)[0]
        code = fields.get("op", b"\0")[:1]
        if code == b"\x05":
            content, sound = unpacked(data, fields.get("compression", b"none").decode("latin-1"))
            yield from _ros1_records(io.BytesIO(content), topics)
            if not sound:
                yield broken("a block of it is damaged or cut off")
        elif whole and len(fields.get("conn", b"")) == 4:
            (number,) = struct.unpack("<I", fields["conn"])
            if code == b"\x07":
                kind = type_name(_fields(data).get("type", b"").decode("latin-1"))
                topics[number] = fields.get("topic", b"").decode("latin-1"), kind
            elif code == b"\x02" and number in topics:
                yield Raw(*topics[number], data, _time(fields.get("time", b"")))
        if not whole:
            yield broken("it was cut off")
            return


def _joined_ros1(file: BinaryIO) -> bool:
    file.readline()
    head = _fields(file.read(int.from_bytes(file.read(4), "little")))
    file.seek(int.from_bytes(head["index_pos"], "little"))
    while (begun := file.read(4)) not in (b"", _ROS1):
        head = _fields(file.read(int.from_bytes(begun, "little")))
        if head["op"] not in (b"\6", b"\7"):
            return False
        file.seek(int.from_bytes(file.read(4), "little"), io.SEEK_CUR)
    return begun == _ROS1


def _time(field: bytes) -> int:
    seconds, nanoseconds = struct.unpack("<II", field) if len(field) == 8 else (0, 0)
    return int(seconds) * 10**9 + int(nanoseconds)


def _fields(head: bytes) -> dict[str, bytes]:
    found, at = {}, 0
    while at + 4 <= len(head):
        (length,) = struct.unpack_from("<I", head, at)
        name, _, value = head[at + 4 : at + 4 + length].partition(b"=")
        found[name.decode("latin-1")] = value
        at += 4 + length
    return found
