"""AEDAT 2.0 (jAER) and 3.1 (cAER), as most older public recordings of DVS and DAVIS are."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import sensors
from evlayerseg_ros.recordings.raw import blocks, read_header
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.ticks import Ticks

# A packet's header in 3.1: type, source, size, time offset, overflow, capacity, number, valid.
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY_EVENT = 1
_HEADER_ENDS = ("!end-header", "end of ascii header")
_LARGEST_PACKET = 1 << 28  # bytes
# jAER's and AedatTools' names of chips: whether addresses are a DAVIS's, and the size.
_CHIPS: tuple[tuple[str, bool, tuple[int, int] | None], ...] = (
    (r"(dvs128|dvs128_paer|tmpdiff128)$", False, (128, 128)),
    (r"(davis?240|dvs240|sbret\d\d|seebetter20)", True, (240, 180)),
    (r"davis?128", True, (128, 128)),
    (r"davis?208", True, (208, 192)),
    (r"davis?346", True, (346, 260)),
    (r"([ch]?davis?640|cdavis)", True, (640, 480)),
    (r"(sens)?davis?", True, None),
)
# A DAVIS whose size nobody states has the first of these that holds its events.
_DAVIS = ((240, 180), (346, 260), (640, 480))
# It is found by so many chunks of events, from all of the file.
_SEEN = 16


class AedatRecording(Table):
    """AEDAT 2.0 or 3.1 with polarity events of one camera; the size is that of the chip's name.

    Args:
        path: the file.
        topic: the source's number in 3.1, where there are several.
        size: (width, height) in px, None for what the chip implies.
    """

    def __init__(
        self, path: Path, topic: str | None = None, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path, size)
        self._header, self._start = read_header(path, "#", _HEADER_ENDS)
        found = re.match(r"!AER-DAT(\d)\.(\d)", self._header)
        self._version = f"{found[1]}.{found[2]}" if found else ""
        self.kind = f"an AEDAT {self._version} file"
        if self._version not in ("2.0", "3.1"):
            what = f"is AEDAT {self._version}" if found else "has no AEDAT header"
            raise InputError(f"{path} {what}: expected AEDAT 2.0, 3.1 or 4.")
        self._source: int | None = None
        if self._version == "3.1":
            if found := re.search(r"^format:(.*serializedts.*)$", self._header, re.I | re.M):
                raise InputError(
                    f"{path} has its times compressed (Format:{found[1]}), which is not read: "
                    "expected Format: RAW, as cAER writes it without compression."
                )
            self._choose(topic)
        else:
            self.only_camera(topic)
            self._davis, implied = self._find_chip()
            if implied and not size:
                self.width, self.height = implied
        if not self.width:
            self._find_size()

    def _find_chip(self) -> tuple[bool, tuple[int, int] | None]:
        """Whether addresses of 2.0 are a DAVIS's, and the chip's size if it is known."""
        chip = re.search(r"aechip:.*?(\w+)\s*$", self._header, re.IGNORECASE | re.MULTILINE)
        if chip is None:
            # A DVS128 uses 16 bits; a DAVIS has its rows above them.
            block = next(blocks(self.path, self._start, 8, 8 * CHUNK), b"")
            words = np.frombuffer(block[: len(block) // 8 * 8], ">u4").reshape(-1, 2)
            davis = np.count_nonzero(words[:, 0] > 0xFFFF) > len(words) // 2
            said = "a DAVIS" if davis else "a DVS128"
            self.notice(f"its chip is not named, and by its addresses is taken as {said}")
            return davis, None if davis else (128, 128)
        for name, davis, size in _CHIPS:
            if re.match(name, chip[1], re.IGNORECASE):
                return davis, size
        raise InputError(
            f"{self.path} is of jAER's chip {chip[1]}, whose addresses are not read: expected a "
            "DVS128 or a DAVIS; write its events as text (t x y p) with jAER."
        )

    def _choose(self, topic: str | None) -> None:
        sources: set[int] = set()
        with contextlib.suppress(InputError):  # reading tells it
            sources.update(source for source, _, _ in self._packets_of_3())
        there = sorted(sources)
        if topic is not None and topic not in map(str, there):
            named = ", ".join(map(str, there)) or "none"
            raise InputError(f"{self.path} has no source {topic} with events: it has {named}.")
        if topic is None and len(there) > 1:
            raise InputError(
                f"{self.path} has several cameras, choose: {', '.join(map(str, there))}."
            )
        self._source = int(topic) if topic is not None else (there or [0])[0]
        self.topic = topic or ""

    def _find_size(self) -> None:
        head = self._header.split("Start of Preferences")[0]
        line = rf"source {self._source}\b.*" if self._version == "3.1" else r"(aechip|hardware).*"
        for found in re.finditer(line, head, re.IGNORECASE):
            size = sensors.implied_by(f"sensor {found[0]}").size
            if size is not None:
                self.width, self.height = size
                return
        self.width, self.height = 1, 1  # mirrored about it, addresses only change their sign
        step = -(-(self.path.stat().st_size - self._start) // (8 * _SEEN * CHUNK))
        seen: list[np.ndarray] = []
        try:
            for x, y, _, _ in self._columns():
                seen.append(np.abs([x[::step], y[::step]]))
        except InputError:
            if not seen:
                raise
        x, y = np.concatenate(seen, axis=1) if seen else np.empty((2, 0))
        if not len(x):
            raise InputError(f"{self.path} holds no events: expected {self.kind}.")
        known = _DAVIS if self._version == "2.0" else ()
        fitting = [size for size in known if sensors.holds(size, x, y)]
        self.assume_size(fitting[0] if fitting else sensors.smallest(x, y))

    def _columns(self) -> Iterator[Columns]:
        if self._version == "3.1":
            for source, overflow, rows in self._packets_of_3():
                if source == self._source:
                    yield _of_3(rows, overflow)
        else:
            yield from self._of_2()

    def _of_2(self) -> Iterator[Columns]:
        """The events of 2.0. jAER counts rows from below and columns from the right."""
        ticks = Ticks()
        for block in blocks(self.path, self._start, 8, 8 * CHUNK):
            words = np.frombuffer(block, ">u4").reshape(-1, 2).astype(np.int64)
            address = words[:, 0]
            if self._davis:
                events = (address >> 31 == 0) & (address & 0x400 == 0)  # no frame, no trigger
                x, y, p = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
            else:
                events = address & 0x8000 == 0
                x, y, p = address >> 1 & 0x7F, address >> 8 & 0x7F, 1 - (address & 1)
            x, y = self.width - 1 - x, self.height - 1 - y
            yield x[events], y[events], ticks.to_ns(words[events, 1]), p[events]

    def _packets_of_3(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Of each packet of polarity events its source, its time's overflows and its events."""
        with self.path.open("rb") as file:
            file.seek(self._start)
            while len(head := file.read(_PACKET.size)) == _PACKET.size:
                if not any(head) and file.tell() > self._start + _PACKET.size:
                    raise InputError(f"{self.path} ends in zeros: its recorder lost its power.")
                kind, source, size, _, overflow, _, number, _ = _PACKET.unpack(head)
                if size < 0 or number < 0 or size * number > _LARGEST_PACKET:
                    raise InputError(f"{self.path}: a packet of {number} events of {size} bytes.")
                body = file.read(size * number)
                if kind == _POLARITY_EVENT and size == 8 and body:
                    yield source, overflow, np.frombuffer(body[: len(body) // 8 * 8], "<u4")
                if len(body) < size * number:
                    raise InputError(f"{self.path} was cut off within a packet.")


def _of_3(words: np.ndarray, overflow: int) -> Columns:
    """x, y (px), t (ns), p of the valid events of a packet."""
    data, ticks = words[0::2].astype(np.int64), words[1::2].astype(np.int64)
    valid = data & 1 == 1
    data, t = data[valid], (ticks[valid] + (overflow << 31)) * 1000
    return data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, t, data >> 1 & 1
