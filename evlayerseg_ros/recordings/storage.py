"""The files that a bag consists of, read by rosbags, or by a scan where that fails."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.beginnings import ZSTD, bag_kind, kind_of
from evlayerseg_ros.recordings.packed import unpacked, unzip
from evlayerseg_ros.recordings.parts import files_of
from evlayerseg_ros.recordings.salvage import (
    Raw,
    broken,
    is_joined,
    is_ros1,
    scan,
    type_name,
)

T = TypeVar("T")
_USED = ": what can be read is used"
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
        found = kind_of(self._file)
        if found.what and self.kind not in found.endings:
            remedy = found.remedy or "expected a bag"
            self.fault = self.fault or f"{path} is {found.what}, and left out: {remedy}."
            return
        try:
            self._open()
        except Exception:  # rosbags raises many kinds
            self._count()

    def _plain_file(self) -> Path:
        """The file itself, or a copy, decompressed or joined with its write-ahead log.

        What it is decides, not its name: that is mended by a link, as rosbags goes by it.
        """
        log = Path(f"{self.path}-wal")
        logged = self.kind == ".db3" and log.is_file() and log.stat().st_size > 0
        file = self.path
        if logged or kind_of(self.path).packed:
            file = self._copy(log if logged else None)
        endings = kind_of(file).endings
        self.kind = next((ending for ending in endings if ending in _REMEDIES), self.kind)
        if self.kind == ".bag" or file.suffix == self.kind:
            return file
        link = self._folder() / f"some{self.kind}"
        link.symlink_to(file.absolute())
        return link

    def _folder(self) -> Path:
        made = tempfile.TemporaryDirectory(prefix="evlayerseg_")
        return Path(self._stack.enter_context(made))

    def _copy(self, log: Path | None) -> Path:
        whole = self._folder() / "whole"
        if log:  # its recorder lost its power: only the log has the last messages, or all
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
        if is_joined(self._file, self.kind):
            raise ValueError("rosbags would read one of its files only")
        named = sum(connection.msgcount for connection in reader.connections)
        if self.kind == ".db3" and reader.message_count > named:
            raise ValueError("rosbags leaves out messages whose topic is not named")
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
        if self.fault and not self.counts:
            yield broken(self.fault)
            return
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

    def is_known(self) -> bool:
        """Whether the file, or its compressed form, begins as files of any known kind do."""
        return bool(kind_of(self.path).packed or kind_of(self._file).what)

    def told(self, fault: str) -> str:
        """A sentence on what is wrong, with the remedy."""
        return f"{self.path} is not whole, {fault}{_USED}; {_REMEDIES[self.kind]}."

    def close(self) -> None:
        """Close the file."""
        self._reader = None
        self._stack.close()


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
