"""npz recordings: columns x, y, t, p."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.archives import opened
from evlayerseg_ros.recordings.beside import unit_said
from evlayerseg_ros.recordings.lines import numbers_of
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.rows import told_of
from evlayerseg_ros.recordings.units import Times, Unit, unit_of, unit_of_masks

# Bytes read at a time; a damaged one spoils as many.
_PIECE = 1 << 12
# So many events tell the size.
_SEEN = 1 << 22


class NpyStream:
    """One array of an npz, read from front to back without loading it whole.

    Args:
        file: inside an archive.
        dimensions: how many the array has to have.

    Attributes:
        shape, dtype: of the array.
        broken: whether reading ended at a damaged part.

    Raises:
        InputError: it is another array, or holds no numbers.
    """

    def __init__(self, file: IO[bytes], dimensions: int = 1) -> None:
        self._file = file
        self.broken = False
        self.shape, by_columns, self.dtype = npy_header(file)
        n = math.prod(self.shape)
        if dimensions == 1 and n in self.shape:  # one column or one row, as Matlab writes it
            self.shape, by_columns = (n,), False
        if self.dtype.kind not in "SU":  # words may be polarities
            numbers_of(
                np.full(1, None, object) if self.dtype.hasobject else np.zeros(1, self.dtype)
            )
        if len(self.shape) != dimensions:
            raise InputError(f"Expected plain arrays of dimensions: {dimensions}.")
        if by_columns and dimensions > 1:
            raise InputError("An array is stored column by column: expected rows.")

    def read(self, n: int) -> np.ndarray:
        """The next n rows; fewer at the end, or where a damaged part sets `broken`."""
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
        rows = np.frombuffer(bytes(found), self.dtype).reshape(-1, *self.shape[1:])
        return numbers_of(rows) if self.dtype.kind in "SU" else rows


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape of an npy, whether it is stored column by column, and type; the file is at its data."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,  # but for names beyond ASCII
    }[np.lib.format.read_magic(file)]
    return read(file)


def _said_in(archive: Any, name: str) -> dict[str, Any]:
    """What an array of an archive says by its name, or a dictionary in it by its own names."""
    try:
        return {name: archive[name]}
    except ValueError:  # Python's objects
        from evlayerseg_ros.recordings.plain import objects_in

        with archive.zip.open(f"{name}.npy") as file:
            found = objects_in(file)
        return {str(key): value for key, value in found.items()}


class NpzRecording(Table):
    """npz with x, y (px), t (int64, ns), p (0 or 1) and size (width, height).

    Without `size` a size is assumed, times in another unit are recognised; both are noted. Without
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
                has_size = "size" in archive.files
                self._names = self._settled(names, archive.files)
                entries = archive.zip.infolist()  # some may be no arrays
                sizes = {e.filename.removesuffix(".npy"): e.file_size for e in entries}
                others = [k for k in columns.of_another(archive.files) if sizes[k] > _PIECE]
                said: dict[str, Any] = {}
                for name in (name for name in archive.files if sizes[name] < _PIECE):
                    with contextlib.suppress(Exception):  # damaged
                        said |= _said_in(archive, name)
                masks = "mask_t" in archive.files
            if others:
                self.notice(f"{', '.join(others)} may be another camera's and are not read")
            self._there = [name for name in "xytp" if name in self._names]
            with self._streams(*self._there) as streams:
                lengths = [column.shape[0] for column in streams]
            if "p" in self._there and not lengths[-1]:  # it was never written
                del lengths[-1], self._there[-1]
            if len(set(lengths)) != 1:
                raise InputError(f"{path}: expected x, y, t, p of one length.")
            self._set_length(lengths[0])
            x, y = self._places(min(lengths[0], _SEEN) if size or has_size else lengths[0])
            self.find_size(x, y, partial(sensors.stated, said))
            self._find_unit(has_size, masks, unit_said(said))
            self._tell_signs()
        except zipfile.BadZipFile as error:
            raise InputError(
                f"{self.path} was cut off or damaged: the list of its arrays, which is at its end, "
                "cannot be read, so copy or download it again."
            ) from error
        except Exception as error:
            raise self._as_input_error(error) from error

    @contextlib.contextmanager
    def _streams(self, *names: str) -> Iterator[list[NpyStream]]:
        files = [f"{self._names.get(name, name)}.npy" for name in names]
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(opened(self.path))
            yield [NpyStream(stack.enter_context(archive.open(file))) for file in files]

    def _settled(self, names: dict[str, str], files: list[str]) -> dict[str, str]:
        """The columns by their lengths and values, too; see columns.settled."""
        self._names = {}
        lengths = {}
        rows = {}
        with opened(self.path) as archive:

            def stream_of(name: str) -> NpyStream:
                return NpyStream(archive.open(f"{name}.npy"))

            for name in files:
                with contextlib.suppress(Exception):  # others are no columns, or damaged
                    lengths[name] = stream_of(name).shape[0]
            names = columns.by_lengths(lengths, files) or names
            n = stream_of(names["x"]).shape[0]
            for name in (name for name in lengths if lengths[name] == n):
                with contextlib.suppress(Exception):
                    rows[name] = stream_of(name).read(CHUNK)
        with np.load(self.path) as archive:
            for name in filter(columns.is_camera, files):
                values = np.empty(0)
                with contextlib.suppress(Exception):  # Python's objects, or damaged
                    values = archive[name]
                columns.check_camera(name, values, n)
        found, told = columns.settled(names, rows)
        self.notice(told)
        return found

    def _places(self, n: int) -> list[np.ndarray]:
        """x and y of every so many of the first n events."""
        step = -(-n // _SEEN)
        with self._streams("x", "y") as streams:
            found = [[np.empty(0, stream.dtype)] for stream in streams]
            for _ in range(0, n, CHUNK):
                parts = [stream.read(CHUNK) for stream in streams]
                for k, part in enumerate(parts):
                    found[k].append(part[: min(map(len, parts)) : step])
        return [np.concatenate(parts) for parts in found]

    def _tell_signs(self) -> None:
        """Notes what is assumed of odd polarities."""
        with self._streams(*self._there[3:]) as streams:
            for stream in streams:
                self.notice(told_of(stream.read(CHUNK)))

    def _find_unit(self, has_size: bool, masks: bool, said: str) -> None:
        with self._streams("t") as (t,):
            usual = "ns" if np.issubdtype(t.dtype, np.integer) else "s"
            trust = 3.0 if has_size else 0.5  # with a size it has our layout
            times, n = t.read(CHUNK), t.shape[0]
        if masks:  # they are on the events' clock
            with self._streams("mask_t") as (t,):
                usual, trust = unit_of_masks(t.read(CHUNK)), 3.0
        said = columns.unit_in(self._names["t"]) or said
        size = (self.width, self.height)
        if has_size and not masks and not said:  # a size is trusted, but other programs write one
            other = unit_of([times], size, usual, self.path, n, 0.5, said).name
            sure = unit_of([times], size, usual, self.path, n, trust, said)
            if not sure.other and other != sure.name:
                self._unit = sure.name
                return self.notice(Unit(sure.name, other).told("ns"))
        self.find_unit([times], usual, n, trust, said, documented="ns")

    def _columns(self) -> Iterator[Columns]:
        with self._streams(*self._there) as streams:
            broken, times = False, Times(self._unit)
            while not broken:
                parts = [stream.read(CHUNK) for stream in streams]
                n = min(map(len, parts))
                if not n:
                    break
                x, y, t, *signs = (part[:n] for part in parts)
                p = signs[0] if signs else np.ones(n)
                yield x, y, times(t), p
                broken = any(stream.broken for stream in streams)
            if any(stream.broken for stream in streams):
                raise InputError(f"{self.path} is damaged: the events up to there are used.")
