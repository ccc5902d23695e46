"""npz recordings: columns x, y, t, p."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.archives import opened
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.units import to_ns, unit_of, unit_of_masks

# Bytes read at a time: so many are lost with a damaged one.
_PIECE = 1 << 12


class NpyStream:
    """One array of an npz, read from front to back without loading it whole.

    Attributes:
        broken: reading came to a damaged part, and ended there.
    """

    def __init__(self, file: IO[bytes], dimensions: int = 1) -> None:
        self._file = file
        self.broken = False
        self.shape, by_columns, self.dtype = npy_header(file)
        n = math.prod(self.shape)
        if dimensions == 1 and n in self.shape:  # a column or a row of a matrix, as of Matlab
            self.shape, by_columns = (n,), False
        if self.dtype.kind not in "biuf":
            raise InputError(f"An array is of type {self.dtype}: expected numbers.")
        if len(self.shape) != dimensions:
            raise InputError(f"Expected plain arrays of dimensions: {dimensions}.")
        if by_columns and dimensions > 1:
            raise InputError("An array is stored column by column: expected rows.")

    def read(self, n: int) -> np.ndarray:
        """The next n rows, or what is left of them; `broken` is true where they cannot be read."""
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        found = bytearray()
        while not self.broken and len(found) < n * row:
            try:
                part = self._file.read(min(_PIECE, n * row - len(found)))
            except (zlib.error, zipfile.BadZipFile, EOFError):
                self.broken = True
                break
            if not part:
                break
            found += part
        found = found[: len(found) // row * row] if self.broken else found
        return np.frombuffer(bytes(found), self.dtype).reshape(-1, *self.shape[1:])


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape of an npy, whether it lies column by column, and its type; its data come next."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,  # which differs in names beyond ASCII
    }[np.lib.format.read_magic(file)]
    return read(file)


class NpzRecording(Table):
    """npz with x, y (px), t (int64, ns), p (0 or 1) and size (width, height).

    Without `size` a size is assumed; times of another unit are recognised; both are noted. Without
    `p` all events are ON.
    """

    kind = "an npz recording"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        try:
            with np.load(path) as archive:
                names = columns.by_names(archive.files)
                if names is None:
                    lacking = columns.lacking(archive.files)
                    raise InputError(f"{path} lacks {lacking}: expected x, y, t, p and size.")
                self._names, has_size = names, "size" in archive.files
                small = [name for name in sensors.NAMES if name in archive.files]
                small = [k for k in small if archive.zip.getinfo(f"{k}.npy").file_size < _PIECE]
                said = {}
                for name in small:
                    with contextlib.suppress(ValueError):  # an array of Python's objects
                        said[name] = archive[name]
                masks = "mask_t" in archive.files
            self._there = [name for name in "xytp" if name in names]
            with self._streams(*self._there) as streams:
                lengths = [column.shape[0] for column in streams]
            if "p" in self._there and not lengths[-1]:  # which was never written
                del lengths[-1], self._there[-1]
            if len(set(lengths)) != 1:
                raise InputError(f"{path}: expected x, y, t, p of one length.")
            self._set_length(lengths[0])
            self._find_size(said)
            self._find_unit(has_size, masks)
        except zipfile.BadZipFile as error:
            raise InputError(
                f"{self.path} was cut off or damaged: the list of its arrays, which is at its end, "
                "cannot be read, so copy or download it again."
            ) from error
        except Exception as error:
            raise self._told(error) from error

    @contextlib.contextmanager
    def _streams(self, *names: str) -> Iterator[list[NpyStream]]:
        files = [f"{self._names.get(name, name)}.npy" for name in names]
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(opened(self.path))
            yield [NpyStream(stack.enter_context(archive.open(file))) for file in files]

    def _find_size(self, said: dict[str, np.ndarray]) -> None:
        with self._streams("x", "y") as streams:
            x, y = (stream.read(1 << 22) for stream in streams)
        self.find_size(x, y, partial(sensors.stated, said))

    def _find_unit(self, has_size: bool, masks: bool) -> None:
        with self._streams("t") as (t,):
            usual = "ns" if np.issubdtype(t.dtype, np.integer) else "s"
            trust = 3.0 if has_size else 0.5  # of our layout
            size = (self.width, self.height)
            times, n = t.read(CHUNK), t.shape[0]
        if masks:  # on the clock of the events
            with self._streams("mask_t") as (t,):
                usual, trust = unit_of_masks(t.read(CHUNK)), 3.0
        said = columns.unit_in(self._names["t"])
        unit = unit_of([times], size, usual, self.path, n, trust, said)
        self.notice(unit.told("ns"))
        self._unit = unit.name

    def _columns(self) -> Iterator[Columns]:
        with self._streams(*self._there) as streams:
            broken = False
            while not broken:
                parts = [stream.read(CHUNK) for stream in streams]
                n = min(map(len, parts))
                if not n:
                    break
                x, y, t, *signs = (part[:n] for part in parts)
                p = signs[0] if signs else np.ones(n)
                yield x, y, to_ns(t, self._unit), p
                broken = any(stream.broken for stream in streams)
            if any(stream.broken for stream in streams):
                raise InputError(f"{self.path} is damaged: the events up to there are used.")
