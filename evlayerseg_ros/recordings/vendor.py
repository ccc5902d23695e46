"""Files of camera makers: RAW (EVT 2.0, 2.1, 3.0), DAT, AEDAT4 and ES."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faery
import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.recordings.readers import Recording

_KINDS = {
    ".raw": "a Prophesee RAW file",
    ".dat": "a Prophesee DAT file",
    ".aedat4": "an AEDAT4 file",
    ".aedat": "an AEDAT4 file",
    ".es": "an Event Stream file",
}
_VERSIONS = {"2.0": "evt2", "2.1": "evt2.1", "3.0": "evt3"}
# Sensor sizes by what older headers say instead: the driver's plug-in.
_PLUGINS = {"gen3": (640, 480), "genx320": (320, 320)}
_BLOCK = 1 << 20  # bytes of a RAW file at a time


class VendorRecording(Recording):
    """A camera maker's file, read by faery; EVT 2.1 by our decoder, which knows both layouts.

    Raises:
        InputError: not a sound file of the kind that its name says.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.kind = _KINDS[path.suffix.lower()]
        self._version: str | None = None
        self._file: Any = None
        options: dict[str, Any] = {}
        if path.suffix.lower() == ".raw":
            header, self._start = _raw_header(path)
            self._version = _raw_version(header)
            if self._version is None:
                raise InputError(
                    f"{path} is no {self.kind[2:]}: expected a header with `% evt 2.0`, 2.1 or 3.0."
                )
            size = _raw_size(header)
            options = {"dimensions_fallback": size, "version_fallback": self._version}
            if self._version == "evt2.1":
                self.width, self.height = size
                return
        try:
            if path.suffix.lower().startswith(".aedat"):
                _aedat4_description(path)
            self._file = faery.events_stream_from_file(path, **options)
            self.width, self.height = (int(side) for side in self._file.dimensions())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # faery may panic
            raise self.unreadable(error) from error

    def _packets(self) -> Iterator[Packet]:
        empty = True
        for events in self._decoded() if self._file is None else self._by_faery():
            if len(events):
                empty = False
                yield Packet.of_events(events)
        if empty:
            raise InputError(f"{self.path} holds no events: expected {self.kind}.")

    def _by_faery(self) -> Iterator[Events]:
        for e in self._file:
            t = e["t"].astype(np.int64) * 1000
            if np.any(np.diff(t) < 0):
                order = np.argsort(t, kind="stable")
                e, t = e[order], t[order]
            x, y = np.ascontiguousarray(e["x"]), np.ascontiguousarray(e["y"])
            yield Events.from_arrays(x, y, t, e["on"], self.width, self.height)

    def _decoded(self) -> Iterator[Events]:
        decoder = Decoder("evt21", self.width, self.height)
        with self.path.open("rb") as file:
            file.seek(self._start)
            while block := file.read(_BLOCK):
                yield decoder.decode(block[: len(block) // 8 * 8])


def _aedat4_description(path: Path) -> str:
    """The XML in an AEDAT4 file's header, a FlatBuffers table (IOHeader, its third field).

    Raises:
        struct.error, UnicodeDecodeError: there is none, or it is no text, over which faery would
            take the whole process down.
    """

    def number(kind: str, at: int) -> int:
        if at < 0:
            raise struct.error("an offset that leads out of the header")
        return struct.unpack_from(f"<{kind}", header, at)[0]

    with path.open("rb") as file:
        file.seek(len("#!AER-DAT4.0\r\n"))
        header = file.read(struct.unpack("<I", file.read(4))[0])
    table = number("I", 0)
    fields = table - number("i", table)
    at = table + number("H", fields + 8)
    at += number("I", at)
    return header[at + 4 : at + 4 + number("I", at)].decode()


def read_raw(path: Path) -> tuple[str, np.ndarray]:
    """A RAW file's encoding, as in EventPacket, and its encoded events, uint8 [n].

    Raises:
        InputError: the header does not say EVT 2.0, 2.1 or 3.0.
    """
    header, start = _raw_header(path)
    version = _raw_version(header)
    if version is None:
        raise InputError(f"{path} has no header with `% evt 2.0`, 2.1 or 3.0.")
    return version.replace(".", ""), np.fromfile(path, np.uint8, offset=start)


def _raw_header(path: Path) -> tuple[str, int]:
    """The lines that begin with %, and where the data begin."""
    lines = []
    with path.open("rb") as file:
        while file.peek(1)[:1] == b"%":
            line = file.readline(4096)
            lines.append(line.decode("latin-1").strip("% \r\n"))
            if lines[-1] == "end":
                break
        return "\n".join(lines), file.tell()


def _raw_version(header: str) -> str | None:
    found = re.search(r"^evt (\d\.\d)", header, re.MULTILINE)
    if found:
        return _VERSIONS.get(found[1])
    found = re.search(r"^format EVT(\d)(\d?)", header, re.MULTILINE)
    return _VERSIONS.get(f"{found[1]}.{found[2] or 0}") if found else None


def _raw_size(header: str) -> tuple[int, int]:
    found = re.search(r"^geometry (\d+)x(\d+)", header, re.MULTILINE)
    if found:
        return int(found[1]), int(found[2])
    width, height = (re.search(rf"{name}=(\d+)", header) for name in ("width", "height"))
    if width and height:
        return int(width[1]), int(height[1])
    plugin = re.search(r"plugin_name hal_plugin_(gen3|genx320)", header)
    return _PLUGINS[plugin[1]] if plugin else (1280, 720)
