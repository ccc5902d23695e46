"""Prophesee DAT files: of each event a time and an address, 32 bits each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import sensors
from evlayerseg_ros.recordings.raw import blocks, read_header
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.ticks import Ticks

# Types of event that are read; older files, as N-CARS', have type 0.
_TYPES = (0, 12)
# A size is checked by so many blocks of events.
_SEEN = 16
# So few events may all have one time.
_FEW = 50
# What is in this row is no event: it says that the time of 40-bit events overflowed.
_OVERFLOW = 240


class DatRecording(Table):
    """DAT of event type 0 or 12. Times count us and wrap after 71 minutes.

    Raises:
        InputError: it is no such file.
    """

    kind = "a Prophesee DAT file"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        header, start = read_header(path)
        with path.open("rb") as file:
            file.seek(start)
            begun = file.read(200)
        about = begun[:2]
        if re.fullmatch(rb"[\t\r\n -~]+", begun):
            raise InputError(f"{path} is text by its first bytes: rename it to end in .txt.")
        if len(about) < 2 or about[0] not in _TYPES or about[1] != 8:
            found = f"type {about[0]} of {about[1]} bytes" if len(about) == 2 else "none"
            raise InputError(
                f"{path} is no {self.kind[2:]} of events of 8 bytes: expected event type "
                f"{_TYPES[0]} or {_TYPES[1]}, found {found}."
            )
        self._start = start + 2
        self._old = "version 1" in header.lower()
        n = (path.stat().st_size - self._start) // 8
        self._set_length(n)
        known = sensors.in_words(header) or sensors.implied_by(header).size
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        try:
            # A size that nobody states is found by events from all of the file.
            most, step = (_SEEN, 1) if known or size else (None, -(-n // (_SEEN * CHUNK)))
            for x, y, _, _ in islice(self._columns(), most):
                seen.append((x[::step].copy(), y[::step].copy()))
        except InputError:
            if not seen:
                raise
        x, y = (np.concatenate([part[k] for part in seen]) for k in (0, 1))
        self.find_size(x, y, lambda x, y: known)

    def _columns(self) -> Iterator[Columns]:
        ticks = Ticks()
        for block in blocks(self.path, self._start, 8, 8 * CHUNK, 2):
            words = np.frombuffer(block, "<u4").reshape(-1, 2)
            t, a = ticks.to_ns(words[:, 0]), words[:, 1]
            if self._old:
                yield a & 0x1FF, a >> 9 & 0xFF, t, a >> 17 & 1
            else:
                yield a & 0x3FFF, a >> 14 & 0x3FFF, t, a >> 28 & 1


class BinRecording(Table):
    """Events of 40 bits, as of N-MNIST and N-Caltech101: x, y, polarity and 23 bits of us.

    An event in row 240 says that the times of those that follow are 8.192 ms later.
    """

    kind = "a file of events of 40 bits, as of N-MNIST"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        n, rest = divmod(path.stat().st_size, 5)
        x, y, t, _ = next(self._columns(), (np.empty(0),) * 4)
        stands = len(t) > _FEW and t[-1] == t[0]
        if not len(x) or rest or stands or np.count_nonzero(np.diff(t) < 0) > 0.05 * len(t):
            raise InputError(
                f"{path} is no {self.kind[2:]} or N-Caltech101: expected .raw, .dat or another "
                "ending that says what it is."
            )
        self._set_length(n)
        self.find_size(x, y)

    def _columns(self) -> Iterator[Columns]:
        late = 0
        for block in blocks(self.path, 0, 5, 5 * CHUNK):
            bytes_ = np.frombuffer(block, np.uint8).reshape(-1, 5).astype(np.int64).T
            x, y = bytes_[:2]
            t = (bytes_[2] & 0x7F) << 16 | bytes_[3] << 8 | bytes_[4]
            over = y == _OVERFLOW
            t += late + np.cumsum(over) * 8192
            late += int(np.count_nonzero(over)) * 8192
            yield x[~over], y[~over], t[~over] * 1000, bytes_[2, ~over] >> 7
