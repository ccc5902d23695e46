"""npy, and npz with one table: an array with a row an event, with names or without."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.tables import npy_header
from evlayerseg_ros.recordings.units import to_ns, unit_of

# Rows that tell the order of the columns, and events that tell the size.
_ROWS, _SEEN = 1 << 13, 1 << 22


class ArrayRecording(Table):
    """One array [N, 4] or [4, N], or a compound one (N-ImageNet, Tonic).

    An npy is mapped into memory, the table of an npz is loaded as a whole. The unit of its times is
    recognised, the size is that of an array beside it with a name of sensors.NAMES, or assumed.
    """

    kind = "a table of numpy"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        self._lost = 0  # rows that were cut off
        try:
            self._open()
        except Exception as error:  # numpy raises many kinds
            raise self._told(error) from error

    def _open(self) -> None:
        said: dict[str, Any] = {}
        unit = ""
        table: dict[str, np.ndarray] = {}
        names = []
        for name, array in self._arrays():
            names.append(name)
            if name in sensors.NAMES:
                said[name] = array
            elif found := _table_in(array):
                if table:
                    raise InputError(f"{self.path} has several tables of events: expected one.")
                table, unit = found
        if not table:
            missing = ", ".join(columns.lacking(names))
            raise InputError(
                f"{self.path} lacks {missing}: expected x, y, t, p and size, "
                "or one table whose rows are `t x y p`."
            )
        self._table = table
        x, y, t = (table[name] for name in "xyt")
        self._set_length(len(t))
        if self.size is None:
            stated = sensors.stated(said, x[:_SEEN], y[:_SEEN])
            if stated:
                self.width, self.height = stated
            else:
                self.assume_from(x[:_SEEN], y[:_SEEN])
        usual = "us" if np.all(t[:CHUNK] == np.rint(t[:CHUNK])) else "s"
        size = (self.width, self.height)
        found_unit = unit_of([t[:CHUNK]], size, usual, self.path, len(t), said=unit)
        self.notice(found_unit.told(""))
        self._unit = found_unit.name

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        if self.path.suffix.lower() == ".npy":
            yield "", self._mapped()
            return
        with np.load(self.path) as archive:
            for name in archive.files:
                with contextlib.suppress(ValueError):  # an array of Python's objects
                    yield name, archive[name]

    def _mapped(self) -> np.ndarray:
        """The array of an npy; where it was cut off, the rows that are left."""
        with self.path.open("rb") as file:
            shape, by_columns, dtype = npy_header(file)
            begin = file.tell()
        row = dtype.itemsize * math.prod(shape[1:])
        left = (self.path.stat().st_size - begin) // row
        if left >= shape[0] or (by_columns and len(shape) > 1) or dtype.hasobject:
            return np.asarray(np.load(self.path, mmap_mode="r"))
        self._lost = shape[0] - left
        return np.memmap(self.path, dtype, "r", begin, (left, *shape[1:]))

    def _columns(self) -> Iterator[Columns]:
        for start in range(0, len(self._table["t"]), CHUNK):
            part = slice(start, start + CHUNK)
            x, y, t = (self._table[name][part] for name in "xyt")
            p = self._table["p"][part] if "p" in self._table else np.ones(len(t))
            yield x, y, to_ns(t, self._unit), p
        if self._lost:
            raise InputError(f"{self.path} was cut off: {self._lost} of its events are missing.")


def _table_in(array: np.ndarray) -> tuple[dict[str, np.ndarray], str] | None:
    """The columns of an array by their names, and the unit of its times; None if it is no table."""
    if array.dtype.names:
        names = columns.by_names(array.dtype.names)
        if names is None:
            return None
        return {k: array[name].ravel() for k, name in names.items()}, columns.unit_in(names["t"])
    if array.ndim != 2 or 4 not in array.shape or array.dtype.kind not in "iuf":
        return None
    rows = array if array.shape[1] == 4 else array.T
    order = columns.by_values(rows[:_ROWS]) if len(rows) else "txyp"
    return ({k: rows[:, order.index(k)] for k in "xytp"}, "") if order else None
