"""AEDAT4 and ES files, read by faery."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError, MissingPackage, needs
from evlayerseg_ros.recordings.readers import Columns, Table

# Bytes of `#!AER-DAT4.0`, a new line and the length of the header behind them.
_BEGIN = 18


class Aedat4Recording(Table):
    """AEDAT4: the events of one stream.

    Args:
        path: the file.
        topic: the stream's number or source, where there are several.
        size: (width, height) in px, None for what the stream says.
    """

    kind = "an AEDAT4 file"

    def __init__(
        self, path: Path, topic: str | None = None, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path, size)
        self._read, self._folder = path, contextlib.ExitStack()
        try:
            decoder = self._sound_decoder(*_aedat4_header(path))
            tracks = [t for t in decoder.tracks() if t.data_type == "events"]
            sources = _sources(decoder.description())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # faery may panic
            self.close()
            raise self._as_input_error(error) from error
        there = {str(track.id): track for track in tracks}
        names = {k: f"{sources[k]}, " if k in sources else "" for k in there}
        listed = ", ".join(
            f"{k} ({names[k]}{t.dimensions[0]}x{t.dimensions[1]})" for k, t in there.items()
        )
        topic = next((k for k in there if topic and sources.get(k) == topic), topic)
        if not there:
            raise InputError(f"{path} has no stream of events: expected {self.kind} with one.")
        if topic is None and len(there) > 1:
            filled = self._with_events()
            if len(filled) > 1:
                raise InputError(f"{path} has several streams of events, choose: {listed}.")
            topic = filled[0] if filled else None
        if topic is not None and topic not in there:
            raise InputError(f"{path} has no stream of events {topic}: it has {listed}.")
        track = there[topic] if topic is not None else tracks[0]
        self.topic, self._id = topic or "", track.id
        if size is None:
            self.width, self.height = (int(side) for side in track.dimensions)

    def _sound_decoder(self, _: str, table: int) -> Any:
        """A decoder of the file, or of a copy without the table of packets at its end.

        faery refuses a file that was cut off within this table, which nothing needs.

        Raises:
            Exception: faery's, if it is not for the table that it refuses the file.
        """
        try:
            return self._decoder()
        except MissingPackage:
            raise
        except Exception:
            if not 0 < table < self.path.stat().st_size:
                raise
        folder = self._folder.enter_context(tempfile.TemporaryDirectory(prefix="evlayerseg_"))
        self._read = Path(folder) / "some.aedat4"
        with self.path.open("rb") as file:
            begin = file.read(_BEGIN)
            self._read.write_bytes(begin + file.read(struct.unpack("<I", begin[-4:])[0]))
        self._decoder()  # the header alone is sound
        shutil.copyfile(self.path, self._read)
        os.truncate(self._read, table)
        return self._decoder()

    def _decoder(self) -> Any:
        return needs("faery").aedat.Decoder(self._read)

    def close(self) -> None:
        """Removes the copy, if there is one."""
        self._folder.close()

    def _with_events(self) -> list[str]:
        """The numbers of streams with events, two at most."""
        found: dict[str, None] = {}
        try:
            for track, events in self._decoder():
                if track.data_type == "events" and len(events):
                    found[str(track.id)] = None
                if len(found) > 1:
                    break
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # faery may panic; reading tells why
            pass
        return list(found)

    def _columns(self) -> Iterator[Columns]:
        for track, events in self._decoder():
            if track.id == self._id:
                yield _of(events)


def _sources(nodes: list[Any]) -> dict[str, str]:
    """The source of each stream by the stream's number, from the file's description."""
    found = {}
    for node in nodes:
        for child in node.nodes:
            if node.name == "info" or child.name == "info":
                source = child.attributes.get("source")
                if source is not None and source.value:
                    found[node.name] = str(source.value)
        found |= _sources(node.nodes)
    return found


class EsRecording(Table):
    """An Event Stream file of a DVS."""

    kind = "an Event Stream file"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        try:
            self._file = needs("faery").events_stream_from_file(path)
            if size is None:
                self.width, self.height = (int(side) for side in self._file.dimensions())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # faery may panic
            raise self._as_input_error(error) from error

    def _columns(self) -> Iterator[Columns]:
        for events in self._file:
            yield _of(events)


def _of(e: np.ndarray) -> Columns:
    """x, y (px), t (ns), p of faery's events."""
    t = e["t"].astype(np.int64) * 1000
    return e["x"], e["y"], t, e["on"]


def _aedat4_header(path: Path) -> tuple[str, int]:
    """The XML in an AEDAT4 file's header, and where its table of packets begins, -1 if unknown.

    They are the third and the second field of a FlatBuffers table (IOHeader).

    Raises:
        struct.error, UnicodeDecodeError: there is none, or it is no text: faery would abort the
            process.
    """

    def number(kind: str, at: int) -> int:
        if at < 0:
            raise struct.error("an offset that leads out of the header")
        return struct.unpack_from(f"<{kind}", header, at)[0]

    with path.open("rb") as file:
        header = file.read(struct.unpack("<I", file.read(_BEGIN)[-4:])[0])
    begin = number("I", 0)
    fields = begin - number("i", begin)
    position = number("H", fields + 6)
    table = number("q", begin + position) if position else -1
    at = begin + number("H", fields + 8)
    at += number("I", at)
    return header[at + 4 : at + 4 + number("I", at)].decode(), table
