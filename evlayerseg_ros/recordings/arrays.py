"""npy, and npz with one table: an array with an event a row, its columns named or not."""

from __future__ import annotations

import contextlib
import math
import pickle
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.archives import opened
from evlayerseg_ros.recordings.beside import stated_order, unit_said, words_of
from evlayerseg_ros.recordings.kinds import some_of
from evlayerseg_ros.recordings.lines import numbers_of
from evlayerseg_ros.recordings.npz import npy_header
from evlayerseg_ros.recordings.plain import objects_in
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.rows import told_of
from evlayerseg_ros.recordings.units import Times, is_part, to_ns

# Columns by x, y, t, p, the unit of t, and what was assumed, a clause.
_Columns = tuple[dict[str, np.ndarray], str, str]
# A table below this share of the longest one's length is something else, as a matrix.
_SMALL = 0.01
# If those with polarities are below this share, it is open which table holds the events.
_FEW = 0.1
# What states anything has fewer bytes than a table.
_LARGE = 1 << 12
# So many rows tell the order of the columns, and so many events the size.
_ROWS, _SEEN = 1 << 13, 1 << 22


class ArrayRecording(Table):
    """One array [N, 4] or [4, N], or a compound one (N-ImageNet, Tonic); or columns of which one
    holds seconds and another what is added to them.

    An npy is mapped into memory, the table of an npz is loaded whole. The unit of the times is
    recognised. An array beside it may state the size, see sensors.stated, else it is assumed.

    Args:
        path: the file.
        topic: the name of the table, where an npz has several.
        size: (width, height) in px, None for what the file says.
    """

    kind = "a table of numpy"

    def __init__(
        self, path: Path, topic: str | None = None, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path, size)
        self._lost = 0  # rows that were cut off
        try:
            self._open(topic)
        except Exception as error:  # numpy raises many kinds
            raise self._as_input_error(error) from error

    def _open(self, topic: str | None) -> None:
        said: dict[str, Any] = {}
        tables: dict[str, _Columns] = {}
        names, faults = [], []
        shapes: list[str] = []
        for name, array in _with_sides(self._arrays()):
            last = name.rsplit(".", 1)[-1]
            names.append(last)
            if shape := getattr(array, "shape", ()):
                shapes.append(f"{name} {'x'.join(map(str, shape))}".strip())
            if (sensors.is_name(last) and np.size(array) < 5) or words_of(array):
                said[last] = array
                continue
            try:
                if found := _table_in(array, said):
                    tables[name] = found
            except (InputError, ValueError) as error:  # about it, or about what lies beside it
                faults.append(error)
        if faults and not tables:
            raise faults[0]
        if not tables:
            there = f"; it has {some_of(shapes)}" if shapes else ""
            raise InputError(
                f"{self.path} lacks {columns.lacking(names)}: expected x, y, t, p and size, "
                f"or one table whose rows are `t x y p`{there}."
            )
        table, unit, told = tables[self._chosen(tables, topic)]
        self._table = table
        x, y, t = (table[name] for name in "xyt")
        self._set_length(len(t))
        self.notice(told or told_of(table["p"][:CHUNK]) if "p" in table else told)
        seen = slice(None, None, -(-len(x) // _SEEN))
        self.find_size(x[seen], y[seen], partial(sensors.stated, said))
        unit = unit or unit_said(said)
        usual = "us" if np.all(t[:CHUNK] == np.rint(t[:CHUNK])) else "s"
        self.find_unit([t[:CHUNK]], usual, len(t), 0.5, unit, documented="")

    def _chosen(self, tables: dict[str, _Columns], topic: str | None) -> str:
        """The name of the table that is asked for, or of the only one that is long."""
        if topic is not None:
            self.only_camera(topic, tuple(tables))
            self.topic = topic
            return topic
        lengths = {name: len(table["t"]) for name, (table, *_) in tables.items()}
        most = max(lengths.values())
        long = [name for name, n in lengths.items() if n > _SMALL * most] or list(lengths)[:1]
        # Poses or boxes beside events have places and times, too, but no polarities.
        signed = [name for name in long if "p" in tables[name][0]]
        long = signed if any(lengths[name] > _FEW * most for name in signed) else long
        if len(long) > 1:
            raise InputError(
                f"{self.path} has several tables of events, choose: {some_of(long)} (--topic NAME)."
            )
        return long[0]

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        """What the file holds: names, and arrays or mappings of them."""
        if self.path.suffix.lower() == ".npy":
            try:
                yield "", self._mapped()
            except ValueError:  # an array of Python's objects
                with self.path.open("rb") as file:
                    yield from inside("", objects_in(file))
            return
        with opened(self.path) as archive, np.load(self.path) as arrays:
            yield "", arrays
            large = {e.filename: e.file_size > _LARGE for e in archive.infolist()}
            # What states an order comes before the table.
            for name in sorted(arrays.files, key=lambda name: large.get(f"{name}.npy", False)):
                try:
                    yield name, arrays[name]
                except ValueError:  # an array of Python's objects
                    with archive.open(f"{name}.npy") as file, contextlib.suppress(Exception):
                        yield from inside(name, objects_in(file))

    def _mapped(self) -> np.ndarray:
        """The array of an npy; of one that was cut off, the rows that are left."""
        with self.path.open("rb") as file:
            shape, by_columns, dtype = npy_header(file)
            begin = file.tell()
        if dtype.hasobject:
            raise ValueError("objects")
        row = dtype.itemsize * math.prod(shape[1:])
        left = (self.path.stat().st_size - begin) // row
        if left >= shape[0] or (by_columns and len(shape) > 1):
            return np.asarray(np.load(self.path, mmap_mode="r"))
        self._lost = shape[0] - left
        return np.memmap(self.path, dtype, "r", begin, (left, *shape[1:]))

    def _columns(self) -> Iterator[Columns]:
        times = Times(self._unit)
        for start in range(0, len(self._table["t"]), CHUNK):
            part = slice(start, start + CHUNK)
            x, y, t = (self._table[name][part] for name in "xyt")
            p = self._table["p"][part] if "p" in self._table else np.ones(len(t))
            yield x, y, times(t), p
        if self._lost:
            raise InputError(f"{self.path} was cut off: {self._lost} of its events are missing.")


def may_hold_events(path: Path) -> bool:
    """Whether a file of numpy may hold events, by names, shapes and types; it is not read whole."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            return _may_be_table(file)
    with opened(path) as archive:
        files = archive.namelist()
        named = columns.by_names((name.removesuffix(".npy") for name in files), split=True)
        return named is not None or any(_may_be_table(archive.open(name)) for name in files)


def has_longer_table(path: Path, name: str) -> bool:
    """Whether an npz has a table of more events than its array of that name, by first rows."""
    lengths = {}
    with contextlib.suppress(Exception), opened(path) as archive:  # reading tells it
        for entry in archive.namelist():
            with contextlib.suppress(Exception):
                with archive.open(entry) as file:
                    shape, _, dtype = npy_header(file)
                column = entry.removesuffix(".npy") == name
                if column or (not dtype.hasobject and _may_be_table(archive.open(entry), _ROWS)):
                    lengths[entry] = max(shape)
        return max(lengths.values()) > lengths[f"{name}.npy"]
    return False


def _may_be_table(file: IO[bytes], most: int = 0) -> bool:
    """Whether an npy may hold events; where its rows follow each other, `most` of them are read."""
    shape, by_columns, dtype = npy_header(file)
    if dtype.hasobject:
        file.seek(0)
        with contextlib.suppress(pickle.UnpicklingError):
            return any(_is_table(part) for _, part in inside("", objects_in(file)))
        return False
    few = [n if n in (1, 4) else 0 for n in shape]  # nothing is read of a longer array
    if few and not few[0] and not by_columns:
        few[0] = min(shape[0], most)
    rows = file.read(math.prod(few) * dtype.itemsize)
    return _is_table(np.ndarray(few, dtype, rows, order="F" if by_columns else "C"))


def _is_table(found: Any) -> bool:
    """Whether it may be events. Of a short one times have to rise, which a pose's do not."""
    with contextlib.suppress(InputError, ValueError):
        if table := _table_in(found):
            t = table[0]["t"]
            return len(t) > 4 or bool(np.all(t[1:] > t[:-1]))
    return False


def inside(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    """The names of a mapping or array, and of all within it, each with what it holds."""
    yield name, found
    for key, value in found.items() if isinstance(found, Mapping) else ():
        if not str(key).startswith("__"):
            yield from inside(f"{name}.{key}".strip("."), value)


def _with_sides(found: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What a file holds, and of columns as left_x and right_x those of each camera, too."""
    for name, value in found:
        yield name, value
        if isinstance(value, Mapping):
            for side, parts in columns.by_sides(filter(_is_text, value)).items():
                yield f"{name}.{side}".strip("."), {k: value[v] for k, v in parts.items()}


def _is_text(key: Any) -> bool:
    return isinstance(key, str)


def _table_in(array: Any, said: Mapping[str, Any] | None = None) -> _Columns | None:
    """The columns of an array or a mapping, and the unit of its times; None if it is no table.

    Args:
        array: may be anything.
        said: what may state the order of an array's columns.
    """
    if isinstance(array, Mapping):
        names = [key for key in array if isinstance(key, str)]
        if columns.by_names(names, split=True) is None:
            return None
        found = {}
        for name in names:
            with contextlib.suppress(ValueError):  # Python's objects
                value = np.asarray(array[name])
                if value.ndim and value.size in value.shape:
                    found[name] = np.ravel(value)
        lengths = {name: len(values) for name, values in found.items()}
        chosen = columns.by_lengths(lengths, names, split=True) or {}
        return _settled({k: np.ravel(array[k]) for k in chosen.values()} | found, chosen)
    array = np.asarray(array)
    array = np.squeeze(array) if array.ndim > 2 else array
    if array.dtype.names:
        named = columns.by_names(array.dtype.names, split=True)
        if {"w", "h"} <= set(array.dtype.names):
            raise InputError("It holds boxes of objects (w and h): expected events.")
        if named is None:
            return None
        return _settled({k: array[k].reshape(-1) for k in array.dtype.names}, named)
    if array.ndim != 2 or 4 not in array.shape or array.dtype.kind not in "iuf":
        return None
    rows = array if array.shape[1] == 4 else array.T
    order = columns.by_values(rows[:_ROWS]) if len(rows) else "txyp"
    order = stated_order((said or {}).values(), order) if order else ""
    return ({k: rows[:, order.index(k)] for k in "xytp"}, "", "") if order else None


def _settled(found: dict[str, np.ndarray], names: dict[str, str]) -> _Columns:
    """The columns x, y, t, p of all that are there, by their names and values."""
    n = len(found[names["x"]])
    if found.get(names.get("p", ""), np.empty(0)).dtype.kind in "SU":
        found[names["p"]] = numbers_of(found[names["p"]])
    same = {name: values for name, values in found.items() if len(values) == n}
    for name, values in found.items():
        columns.check_camera(name, values, n)
    rows = {k: values[:CHUNK] for k, values in same.items() if values.dtype.kind in "biuf"}
    names, told = columns.settled(names, rows)
    if not set(names.values()) <= set(rows):
        raise InputError(f"Expected {', '.join(names.values())} of one length, with numbers.")
    return *_joined({k: found[name] for k, name in names.items()}, names), told


def _joined(
    table: dict[str, np.ndarray], names: dict[str, str]
) -> tuple[dict[str, np.ndarray], str]:
    """The columns and the unit of their times; those in two columns are joined."""
    unit, rest = columns.unit_in(names["t"]), columns.unit_in(names.get("n", ""))
    if not rest:
        return table, unit
    n = table.pop("n")
    if len(n) and not is_part(n, rest):
        return table | {"t": n}, rest
    return table | {"t": to_ns(np.floor(table["t"]), "s", to_ns(n, rest))}, "ns"
