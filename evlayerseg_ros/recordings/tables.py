"""Recordings that are plain columns x, y, t, p: npz, text, HDF5."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.recordings.readers import CHUNK, Recording

# Sensors that a file without a size may come from, the smallest first.
_SENSORS = ((128, 128), (240, 180), (304, 240), (320, 320), (346, 260), (640, 480), (1280, 720))


class _Table(Recording):
    """Columns in chunks; subclasses give _columns() and the size."""

    def _columns(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """x, y (px), t (ns), p, a chunk at a time."""
        raise NotImplementedError

    def _packets(self) -> Iterator[Packet]:
        last = None
        for x, y, t, p in self._columns():
            if last is not None and t[0] < last:
                raise InputError(f"{self.path}: time goes back from {last} to {t[0]} ns.")
            last = t[-1]
            try:
                events = Events.from_arrays(x, y, t, p, self.width, self.height)
            except InputError as error:
                raise InputError(f"{self.path}: {error}") from None
            yield Packet.of_events(events)
        if last is None:
            raise InputError(f"{self.path} holds no events.")

    def _set_length(self, n: int) -> None:
        if n == 0:
            raise InputError(f"{self.path} holds no events.")
        self.total = -(-n // CHUNK)


class NpyStream:
    """One array of an npz, read from front to back without loading it whole."""

    def __init__(self, file: IO[bytes], dimensions: int = 1) -> None:
        self._file = file
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        self.shape, by_columns, self.dtype = read(file)
        if self.dtype.hasobject or len(self.shape) != dimensions:
            raise ValueError(f"expected plain arrays, of dimensions: {dimensions}")
        if by_columns and dimensions > 1:
            raise ValueError("an array is stored column by column, expected rows")

    def read(self, n: int) -> np.ndarray:
        """The next n rows, or what is left of them."""
        size = n * math.prod(self.shape[1:]) * self.dtype.itemsize
        return np.frombuffer(self._file.read(size), self.dtype).reshape(-1, *self.shape[1:])


class NpzRecording(_Table):
    """npz with x, y (px), t (int64, ns), p (0 or 1) and size (width, height)."""

    kind = "an npz recording"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with np.load(path) as archive:
                missing = {"x", "y", "t", "p", "size"} - set(archive.files)
                if missing:
                    raise InputError(
                        f"{path} lacks {', '.join(sorted(missing))}: expected x, y, t, p and size."
                    )
            with self._streams("size") as (column,):
                size = [int(side) for side in column.read(3)]
            with self._streams(*"xytp") as columns:
                lengths = {column.shape[0] for column in columns}
        except InputError:
            raise
        except Exception as error:
            raise self.unreadable(error) from error
        if len(size) != 2 or len(lengths) != 1:
            raise InputError(f"{path}: expected size (width, height) and x, y, t, p of one length.")
        self.width, self.height = size
        self._set_length(lengths.pop())

    @contextlib.contextmanager
    def _streams(self, *names: str) -> Iterator[list[NpyStream]]:
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.path))
            yield [NpyStream(stack.enter_context(archive.open(f"{k}.npy"))) for k in names]

    def _columns(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        with self._streams(*"xytp") as (x, y, t, p):
            while len(times := t.read(CHUNK)):
                yield x.read(CHUNK), y.read(CHUNK), times, p.read(CHUNK)


class TextRecording(_Table):
    """Lines `t x y p`, t in s. The size is the smallest known sensor that holds all events."""

    kind = "text with lines `t x y p`"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        width = height = n = 0
        first = last = 0.0
        try:
            for rows in self._rows():
                first = rows[0, 0] if n == 0 else first
                last = rows[-1, 0]
                width = max(width, int(rows[:, 1].max()) + 1)
                height = max(height, int(rows[:, 2].max()) + 1)
                n += len(rows)
        except Exception as error:
            raise self.unreadable(error) from error
        self._set_length(n)
        fitting = [s for s in _SENSORS if s[0] >= width and s[1] >= height]
        self.width, self.height = fitting[0] if fitting else (width, height)
        self.duration = float(last - first)

    def _rows(self) -> Iterator[np.ndarray]:
        with self.path.open(encoding="ascii") as file:
            while lines := list(islice(file, CHUNK)):
                rows = np.loadtxt(lines, ndmin=2)
                if rows.shape[1] != 4:
                    raise ValueError(f"a line has {rows.shape[1]} numbers, expected t x y p")
                if not np.isfinite(rows).all():
                    raise ValueError("a number is not finite")
                yield rows

    def _columns(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for rows in self._rows():
            x, y, p = (rows[:, k].astype(np.int64) for k in (1, 2, 3))
            yield x, y, np.rint(rows[:, 0] * 1e9).astype(np.int64), p


class HdfRecording(_Table):
    """HDF5: the EV-LayerSegNet authors' events/xs ys ts ps (s or ns) or DSEC's events/x y t p (us).

    Neither says the sensor's size; both come from sensors of 640x480 unless an attribute
    `sensor_resolution` says otherwise.
    """

    kind = "an HDF5 recording"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # Both are compressed with filters that h5py does not have by itself.
        with contextlib.suppress(ImportError):
            import hdf5plugin  # noqa: F401
        import h5py

        self._file: Any = None
        try:
            self._file = h5py.File(path, "r")
            self._open()
        except InputError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self.unreadable(error) from error

    def _open(self) -> None:
        group = self._file.get("events", {})
        for names, scale in ((("xs", "ys", "ts", "ps"), 1e9), (("x", "y", "t", "p"), 1000)):
            if all(name in group for name in names):
                self._data, self._scale = [group[name] for name in names], scale
                break
        else:
            raise InputError(f"{self.path} lacks events/xs, ys, ts, ps (or DSEC's x, y, t, p).")
        lengths = {len(column) for column in self._data}
        if len(lengths) != 1:
            raise InputError(f"{self.path}: events/ columns differ in length.")
        self._set_length(lengths.pop())
        # DSEC counts from t_offset.
        self._offset = int(self._file["t_offset"][()]) * 1000 if "t_offset" in self._file else 0
        sides = sorted(int(v) for v in self._file.attrs.get("sensor_resolution", (480, 640)))
        self.height, self.width = sides
        t = self._data[2]
        # The authors' converters write seconds for some data sets and ns for others (their own).
        # No recording lasts a day, none of more than an event less than 0.1 ms.
        if self._scale == 1e9 and t[-1] - t[0] > 1e5:
            self._scale = 1
        self.duration = float(t[-1] - t[0]) * self._scale * 1e-9

    def _columns(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(self._data[0]), CHUNK):
            x, y, t, p = (column[start : start + CHUNK] for column in self._data)
            if self._scale != 1000:
                t = np.rint(t.astype(np.float64) * self._scale).astype(np.int64)
            else:
                t = t.astype(np.int64) * 1000 + self._offset
            yield x, y, t, p

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
