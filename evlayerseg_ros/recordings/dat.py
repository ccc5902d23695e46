"""Prophesee DAT files: a time and an address of 32 bits each an event."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import sensors
from evlayerseg_ros.recordings.raw import blocks, read_header
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.ticks import Ticks

# Types of event with an address as below: 0 is that of older files, as of N-CARS.
_TYPES = (0, 12)


class DatRecording(Table):
    """DAT of event type 0 or 12. Times count us and wrap after 71 minutes.

    Raises:
        InputError: no such file.
    """

    kind = "a Prophesee DAT file"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        header, start = read_header(path)
        with path.open("rb") as file:
            file.seek(start)
            about = file.read(2)
        if len(about) < 2 or about[0] not in _TYPES or about[1] != 8:
            found = f"type {about[0]} of {about[1]} bytes" if len(about) == 2 else "none"
            raise InputError(
                f"{path} is no {self.kind[2:]} of events of 8 bytes: expected event type "
                f"{_TYPES[0]} or {_TYPES[1]}, found {found}."
            )
        self._start = start + 2
        self._old = "version 1" in header.lower()
        self._set_length((path.stat().st_size - self._start) // 8)
        known = size or sensors.in_words(header) or sensors.implied_by(header).size
        if known:
            self.width, self.height = known
        else:
            seen: list[tuple[np.ndarray, np.ndarray]] = []
            with contextlib.suppress(InputError):  # told when it is read
                seen.extend((x, y) for x, y, _, _ in self._columns())
            x, y = (np.concatenate([part[k] for part in seen]) for k in (0, 1))
            self.assume_size(sensors.smallest(x, y))

    def _columns(self) -> Iterator[Columns]:
        ticks = Ticks()
        for block in blocks(self.path, self._start, 8, 8 * CHUNK):
            words = np.frombuffer(block, "<u4").reshape(-1, 2)
            p = words[:, 1] >> (17 if self._old else 28) & 1
            yield *_address(words[:, 1], self._old), ticks.to_ns(words[:, 0]), p


def _address(words: np.ndarray, old: bool) -> tuple[np.ndarray, np.ndarray]:
    """x and y: 14 bits each, of which version 1 has 9 and 8."""
    if old:
        return words & 0x1FF, words >> 9 & 0xFF
    return words & 0x3FFF, words >> 14 & 0x3FFF
