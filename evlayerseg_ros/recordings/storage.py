"""The files that a bag consists of, read by rosbags, or by a scan where that fails."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.beginnings import ZSTD, bag_kind, kind_of
from evlayerseg_ros.recordings.salvage import Raw, broken, is_ros1, scan, type_name, unpacked, unzip

T = TypeVar("T")
# So many bytes tell what a file is.
_BEGINNING = 32
_USED = ": what can be read is used"
# rosbag2 numbers the files of a bag.
_NUMBER = re.compile(r"_(\d+)(?=\.\w+$)")
_REMEDIES = {
    ".mcap": "`mcap recover` mends it",
    ".db3": "`ros2 bag reindex` and sqlite3's `.recover` mend it",
    ".bag": "`rosbag reindex` mends it",
}


class StorageFile:
    """One .mcap, .db3 or .bag file; the first two may be compressed (.zstd, .zst).

    Attributes:
        path: the file.
        kind: .mcap, .db3 or .bag.
        ros1: whether its messages are as ROS 1 serializes them.
        counts: messages of each (topic, type).
        definitions: of these types' fields, as .msg files write them, where the file has them.
        fault: a sentence on what is wrong with the file as a whole, "" if nothing is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kind = bag_kind(path)
        self.fault = ""
        self.counts: Counter[tuple[str, str]] = Counter()
        self.definitions: dict[tuple[str, str], str] = {}
        self._reader: Any = None
        self._stack = contextlib.ExitStack()
        self._file = self._plain_file()
        self.ros1 = self.kind == ".bag" or (self.kind == ".mcap" and is_ros1(self._file))
        try:
            self._open()
        except Exception:  # rosbags raises many kinds
            self._count()

    def _plain_file(self) -> Path:
        """The file itself, or a copy, decompressed or joined with its write-ahead log."""
        log = Path(f"{self.path}-wal")
        logged = self.kind == ".db3" and log.is_file() and log.stat().st_size > 0
        if self.path.suffix.lower() not in (".zstd", ".zst") and not logged:
            return self.path
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="evlayerseg_"))
        whole = Path(folder) / f"whole{self.kind}"
        if logged:  # its recorder lost its power: only the log has the last messages, or all
            shutil.copy(self.path, whole)
            shutil.copy(log, f"{whole}-wal")
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(whole)) as db,
            ):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return whole
        if fault := unzip(self.path, whole):
            self.fault = f"{self.path} is not whole, {fault}{_USED}; copy or download it again."
        return whole

    def _open(self) -> None:
        reader: Any = (Reader1 if self.kind == ".bag" else Reader2)(self._file)
        reader.open()
        self._stack.callback(reader.close)
        self._reader = reader
        for connection in reader.connections:
            key = connection.topic, type_name(connection.msgtype)
            self.counts[key] += connection.msgcount
            if connection.msgdef.format == MessageDefinitionFormat.MSG:
                self.definitions[key] = connection.msgdef.data

    def _count(self) -> None:
        """Counts the messages by a scan, as rosbags cannot open the file."""
        for raw in scan(self._file, self.kind):
            if raw.fault:
                self.fault = self.fault or self.told(raw.fault)
            else:
                self.counts[raw.topic, raw.msgtype] += 1

    def messages(self, wanted: Collection[tuple[str, str]]) -> Iterator[Raw]:
        """The messages of each wanted (topic, type); at last an entry with the file's fault."""
        read = 0
        if self._reader is not None:
            try:
                for raw in self._by_library(wanted):
                    yield raw
                    read += 1
            except Exception as error:
                # Without an index rosbags wants rising times, which a scan does not.
                if "timestamp order" not in str(error):
                    self.fault = self.fault or self.told("a part of it is damaged")
            if read >= sum(self.counts[key] for key in wanted) and not self.fault:
                return
        for raw in scan(self._file, self.kind):
            if raw.fault:
                self.fault = self.fault or self.told(raw.fault)
            elif (raw.topic, raw.msgtype) in wanted:
                read -= 1
                if read < 0:
                    yield self._plain(raw)
        if self.fault:
            yield broken(self.fault)

    def _by_library(self, wanted: Collection[tuple[str, str]]) -> Iterator[Raw]:
        keys = {c.id: (c.topic, type_name(c.msgtype)) for c in self._reader.connections}
        if found := [c for c in self._reader.connections if keys[c.id] in wanted]:
            for connection, time, data in self._reader.messages(found):
                yield self._plain(Raw(*keys[connection.id], data, time))

    def _plain(self, raw: Raw) -> Raw:
        """The message, decompressed if it was compressed by itself."""
        if raw.data[:4] != ZSTD:
            return raw
        return raw._replace(data=unpacked(bytes(raw.data), "zstd")[0])

    def is_what_it_says(self) -> bool:
        """Whether the file, or its compressed form, begins as files of its kind do."""
        packed = self._file != self.path and kind_of(self.path).first == ZSTD
        cut = packed and self._file.stat().st_size < _BEGINNING
        return cut or self.kind in kind_of(self._file).endings

    def told(self, fault: str) -> str:
        """A sentence on what is wrong, with the remedy."""
        return f"{self.path} is not whole, {fault}{_USED}; {_REMEDIES[self.kind]}."

    def close(self) -> None:
        """Close the file."""
        self._reader = None
        self._stack.close()


def files_of(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a bag in order, and a sentence on each that is missing.

    Raises:
        InputError: there is none, or there are several bags.
    """
    if not path.is_dir():
        return [path], []
    metadata = path / "metadata.yaml"
    text = metadata.read_text(errors="replace") if metadata.exists() else ""
    named = re.findall(r"^\s*-\s+['\"]?(\S+?\.(?:mcap|db3)(?:\.zstd?)?)['\"]?\s*$", text, re.M)
    listed = {_plain(name): path / name for name in (Path(n).name for n in named)}
    found = sorted(p for p in path.iterdir() if p.is_file() and bag_kind(p) in (".mcap", ".db3"))
    # The last part may not be compressed yet, or not wholly.
    parts = {_plain(p.name): p for p in reversed(found)}
    parts |= {name: file for name, file in listed.items() if file.is_file()}
    there = [name for name in listed if name in parts]
    bags = {_bag_of(name)[0] for name in there or parts}
    if not there and len(bags) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{path} holds several recordings, choose one: {names}.")
    # rosbag2 counts from 0: what begins elsewhere may be one of several recordings.
    bags = {bag for bag in bags if not there or (bag, 0) in map(_bag_of, parts)}
    more = [name for name in parts if name not in there and _bag_of(name)[0] in bags]
    if there and more:
        names = ", ".join(sorted(more, key=_bag_of))
        _tell(f"{path} has files that its metadata.yaml does not list, and they are read: {names}.")
    if more:
        there = sorted([*there, *more], key=_bag_of)
    if not there:
        raise InputError(
            f"{path} holds no file of a bag: expected .mcap or .db3 beside its metadata.yaml."
        )
    missing = [file.name for name, file in listed.items() if name not in parts]
    return [parts[name] for name in there], [
        f"{path} lacks its file {name}: the others are used." for name in missing
    ]


def _plain(name: str) -> str:
    """A file's name without the ending of its compression."""
    return re.sub(r"\.zstd?$", "", name, flags=re.I)


def _bag_of(name: str) -> tuple[str, int]:
    """Of a file's name what all files of its bag share, and its number."""
    number = _NUMBER.search(name)
    return _NUMBER.sub("_", name), int(number[1]) if number else 0


@cache
def _tell(sentence: str) -> None:
    """Prints a sentence once, however often a bag is opened."""
    print(f"evlayerseg: {sentence}", file=sys.stderr)


def nothing_left(fault: str) -> str:
    """A file's fault, reworded for when nothing in it could be read."""
    return fault.replace(_USED, ", and nothing is left")


def messages_in(
    path: Path, wanted: Callable[[str, str], bool], make: Callable[[Any, str], T]
) -> Iterator[tuple[str, T]]:
    """The topic of each message of a bag, and what `make` makes of it.

    What cannot be read is left out, and told at the end.

    Args:
        path: a bag with ROS' own messages.
        wanted: whether a topic of a type is read.
        make: what to make of a message and its type; may raise anything if it is unsound.

    Raises:
        InputError: nothing in it can be read, or it does not fit into memory.
    """
    files, faults = files_of(path)
    some = False
    for file in files:
        with contextlib.closing(StorageFile(file)) as storage:
            types = get_typestore(Stores.ROS1_NOETIC if storage.ros1 else Stores.ROS2_JAZZY)
            read: Any = types.deserialize_ros1 if storage.ros1 else types.deserialize_cdr
            for raw in storage.messages([key for key in storage.counts if wanted(*key)]):
                try:
                    made = make(read(raw.data, raw.msgtype), raw.msgtype)
                except MemoryError as error:
                    raise InputError(f"{path} needs more memory than there is.") from error
                except Exception:  # rosbags raises many kinds
                    faults.append(raw.fault or f"{file}: a message on {raw.topic} is damaged.")
                    continue
                some = True
                yield raw.topic, made
    if faults and not some:
        raise InputError(nothing_left(faults[0]))
    for fault in dict.fromkeys(faults):
        print(f"evlayerseg: {fault}", file=sys.stderr)
