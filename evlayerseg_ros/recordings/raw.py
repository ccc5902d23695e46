"""Prophesee RAW files: EVT 2.0, 2.1 and 3.0."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.recordings import sensors
from evlayerseg_ros.recordings.readers import Recording

_VERSIONS = {"2.0": "evt2", "2.1": "evt21", "3.0": "evt3", "2": "evt2", "3": "evt3"}
_BLOCK = 1 << 20  # bytes at a time
_SEEN = 16  # of them tell a size that the header lacks
_ZEROS = 128  # so many zero bytes at the end are no events
# The largest sensor (px) that the encodings can address.
_LARGEST = (2048, 2048)


class RawRecording(Recording):
    """A RAW file, decoded as the node decodes packets.

    The header states encoding and size, or its `system_ID`, sensor or plug-in imply them. A size
    that it lacks is that of the smallest sensor that holds events from all of the file, which is
    noted.

    Raises:
        InputError: the header says neither an encoding that is read nor a camera that implies one.
    """

    kind = "a Prophesee RAW file"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        header, self._start = read_header(path)
        implied = sensors.implied_by(header)
        self._encoding = _encoding_of(header, path) or implied.encoding
        if not self._encoding:
            raise InputError(
                f"{path} is no Prophesee RAW file: expected a header with `% evt 2.0`, 2.1 or 3.0, "
                "or with the system_ID of a known camera."
            )
        self._swapped = re.search(r"endianness\W+big", header, re.I) is not None
        said = sensors.in_words(header) or implied.size
        if said and not size:
            some = self._some(1)
            self.take_size(said, some.x, some.y)
        elif not size:
            some = self._some(_SEEN)
            self.assume_size(sensors.smallest(some.x, some.y) if len(some) else (1280, 720))
        # At most so many: a block without events makes no packet.
        self.total = max(1, -(-(path.stat().st_size - self._start) // _BLOCK))

    def _packets(self) -> Iterator[Packet]:
        decoder = Decoder(self._encoding, self.width, self.height)
        empty, outside = True, 0
        for events in self._decoded(decoder):
            if len(events):
                empty = False
                yield Packet.of_events(events, outside=decoder.counted.out_of_range - outside)
                outside = decoder.counted.out_of_range
        if empty:
            raise InputError(f"{self.path} holds no events: expected {self.kind}.")

    def _some(self, most: int) -> Events:
        """Some events of so many blocks all over the file, each decoded as if it were the first."""
        found = [Events.empty(*_LARGEST)]
        length = self.path.stat().st_size - self._start
        n = max(1, min(most, length // _BLOCK))
        for k in range(n):
            decoder = Decoder(self._encoding, *_LARGEST)
            words = k * length // n // decoder.word_bytes
            with contextlib.suppress(*((InputError,) if k else ())):
                some = next(self._decoded(decoder, self._start + words * decoder.word_bytes), None)
                found += [some[::n]] if some is not None else []
        return Events.concatenate(found)

    def _decoded(self, decoder: Decoder, begin: int | None = None) -> Iterator[Events]:
        begin = self._start if begin is None else begin
        for block in blocks(self.path, begin, decoder.word_bytes, _BLOCK):
            if self._swapped:
                unit = ">u2" if self._encoding == "evt3" else ">u4"
                block = np.frombuffer(block, unit).astype(f"<{unit[1:]}").tobytes()
            yield decoder.decode(block)


def read_raw(path: Path) -> tuple[str, np.ndarray]:
    """A RAW file's encoding, as in EventPacket, and its encoded events, uint8 [n].

    Raises:
        InputError: the header tells no encoding.
    """
    header, start = read_header(path)
    encoding = _encoding_of(header, path) or sensors.implied_by(header).encoding
    if not encoding:
        raise InputError(f"{path} has no header with `% evt 2.0`, 2.1 or 3.0.")
    return encoding, np.fromfile(path, np.uint8, offset=start)


def blocks(path: Path, start: int, word: int, size: int, more: int = 0) -> Iterator[bytes]:
    """The bytes of a file from `start` on, `size` at a time, in whole words.

    The header of another file that is joined to it is passed over.

    Args:
        path: the file.
        start: where its data begin.
        word: bytes of a word.
        size: a multiple of it.
        more: so many bytes lie between header and data.

    Raises:
        InputError: the file was cut off within a word, or ends in zeros; after its last word.
    """
    whole = path.stat().st_size
    end = _end_of_data(path, start)
    zeros = whole - end >= _ZEROS
    end = min(start + -(-(end - start) // word) * word, whole) if zeros else whole
    with path.open("rb") as file:
        begun = re.match(rb"% \w+ ", file.read(64)) if start else None
        file.seek(start)
        while block := file.read(max(0, min(size, end - file.tell()))):
            # A header may begin in this block and end behind it.
            at = (block + file.peek(64)[:64]).find(begun[0]) if begun else -1
            if at >= 0:
                file.seek(read_header(path, begin=file.tell() - len(block) + at)[1] + more)
                block = block[:at]
            yield block[: len(block) // word * word]
            if len(block) % word and at < 0:
                raise InputError(f"{path} was cut off within an event.")
    if zeros:
        raise InputError(f"{path} ends in zeros: its recorder lost its power.")


def _end_of_data(path: Path, start: int) -> int:
    """The byte behind the last one that is not zero."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > start:
            begin = max(start, end - _BLOCK)
            file.seek(begin)
            if found := file.read(end - begin).rstrip(b"\0"):
                return begin + len(found)
            end = begin
    return start


def read_header(
    path: Path, mark: str = "%", last: Container[str] = ("end",), begin: int = 0
) -> tuple[str, int]:
    """The lines that begin with a mark, without it, and the byte where the data begin.

    Args:
        path: the file.
        mark: %, or # of AEDAT.
        last: what the last line says, in lower case, where it is marked.
        begin: the header's first byte.
    """
    lines: list[str] = []
    marked = mark.encode()
    with path.open("rb") as file:
        file.seek(begin)
        while (next_ := file.peek(4)).startswith((marked, b"\n%b " % marked, b"\r\n%b " % marked)):
            if not next_.startswith(marked):  # an empty line
                file.readline()
            begun, line = file.tell(), file.readline(1 << 16)
            if not line.startswith(f"{mark} ".encode()) and not line.isascii():
                return "\n".join(lines), begun  # data that happen to begin with the mark
            lines.append(line.decode("latin-1").strip(f"{mark} \r\n"))
            if lines[-1].lower() in last:
                break
        return "\n".join(lines), file.tell()


def _encoding_of(header: str, path: Path) -> str:
    """The encoding that the header states, "" if none.

    Raises:
        InputError: it states one that is not read.
    """
    found = re.search(r"^evt\s*(\d+(?:\.\d+)?)", header, re.MULTILINE | re.IGNORECASE)
    said = found[1] if found else ""
    if not found:
        found = re.search(r"^format[ \t]+(?:EVT[ \t]*(\d)\.?(\d?))?([\w-]*)", header, re.M | re.I)
        said = f"{found[1]}.{found[2] or 0}" if found and found[1] else ""
    other = f"EVT{said.removesuffix('.0')}" if said else found[3] if found else ""
    if other and said not in _VERSIONS:
        raise InputError(
            f"{path} is {other}, which is not read: expected a header with `% evt 2.0`, 2.1 or "
            "3.0; Metavision's tools convert it."
        )
    return _VERSIONS.get(said, "")
