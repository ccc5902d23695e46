"""Where an HDF5 file holds events, and what in it states a size."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError, needs
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.lines import numbers_of

# So many rows tell the order of the columns.
_ROWS = 8192
# A table that is not called events has to have more rows than this.
_FEW = 50


class Source(NamedTuple):
    """Where the events of one camera lie.

    Attributes:
        data: data sets of x, y, t and p (None: there is none), or one table of all four.
        order: of a plain table's columns, as in "txyp"; else "".
        names: of the columns by x, y, t, p; none of a plain table.
    """

    data: tuple[Any, ...]
    order: str
    names: dict[str, str]

    @property
    def signed(self) -> bool:
        """Whether it has polarities."""
        return bool(self.order) or "p" in self.names

    @property
    def lengths(self) -> list[int]:
        """Events in each data set."""
        return [_length(column) for column in self.data if column is not None]

    def read(self, part: slice) -> list[np.ndarray]:
        """x, y, t, p [N] of some events; p is 1 where there are no polarities."""
        if self.order:
            rows = _rows(self.data[0], part)
            return [rows[:, self.order.index(name)] for name in "xytp"]
        if len(self.data) == 1:
            rows = self.data[0][part]
            found = [rows[self.names[name]] if name in self.names else None for name in "xytp"]
        else:
            found = [None if column is None else _rows(column, part) for column in self.data]
        found = [None if column is None else numbers_of(np.ravel(column)) for column in found]
        n = max(len(column) for column in found if column is not None)
        return [np.ones(n) if column is None else column for column in found]


def sources_in(file: Any) -> dict[str, Source]:
    """Everything in a file that may be events, by its path in it.

    Raises:
        InputError: there is none, but something that nearly is.
    """
    found: dict[str, Source] = {}
    faults: list[InputError] = []
    for name, item in _all_in(file):
        try:
            if source := _of_group(item) if hasattr(item, "keys") else _of_table(name, item):
                found[name or "/"] = source
        except InputError as error:  # about the events, or about something beside them
            faults.append(error)
    if faults and not found:
        raise faults[0]
    return found


def shapes_in(file: Any) -> list[str]:
    """The data sets in a file, each with its shape.

    Raises:
        InputError: they are a table of pandas, which hides its columns.
    """
    found = {name: item for name, item in _all_in(file) if _shape(item)}
    for name, item in found.items():
        if re.search(r"block_?\d", f"{name} {item.dtype.names}"):
            raise InputError(
                "It is a table of pandas without names of columns: expected "
                "to_hdf(.., format='table', data_columns=True)."
            )
    return [f"{name} {'x'.join(map(str, _shape(item)))}" for name, item in found.items()]


def _all_in(file: Any) -> Iterator[tuple[str, Any]]:
    """A file and all its groups and data sets, each once, links followed."""
    info = needs("h5py").h5o.get_info
    seen, ahead = set(), deque([("", file)])
    while ahead:
        name, item = ahead.popleft()
        about = info(item.id)
        if (about.fileno, about.addr) in seen:
            continue
        seen.add((about.fileno, about.addr))
        yield name, item
        for key in item if hasattr(item, "keys") else ():
            inner = _get(item, key)
            if inner is not None:
                ahead.append((f"{name}/{key}".strip("/"), inner))


def _get(group: Any, key: str) -> Any:
    """The group or data set of that name in a group; None if it is neither, or a broken link."""
    try:
        found = group[key]
        return found if hasattr(found, "keys") or hasattr(found, "shape") else None
    except (KeyError, OSError):
        return None


def settled(item: Any, source: Source) -> tuple[Source, str]:
    """The columns of a group or table by their values, too, and what is told; see columns.settled.

    Raises:
        OSError: its first rows cannot be read.
        InputError: they are of several cameras, or as columns.settled says.
    """
    n = _length(source.data[0])
    if source.order or not n:
        return source, ""
    if not hasattr(item, "keys"):
        first = item[:_ROWS]
        rows = {name: first[name] for name in item.dtype.names}
    else:
        there = {name: _get(item, name) for name in item}
        rows = {
            name: np.ravel(_rows(data, slice(_ROWS))) for name, data in there.items()
            if _is_column(data) and _length(data) == n and data.dtype.kind in "biuf"
        }  # fmt: skip
    for name, values in rows.items():
        columns.check_camera(name, values, len(values))
    found, told = columns.settled(source.names, rows)
    if hasattr(item, "keys"):
        return _of_group(item, found) or source, told
    return source._replace(names=found), told


def _of_group(group: Any, named: dict[str, str] | None = None) -> Source | None:
    if named is None and columns.by_names(group.keys()):
        there = {name: _get(group, name) for name in group}
        lengths = {name: _length(data) for name, data in there.items() if _is_column(data)}
        named = columns.by_lengths(lengths, there)
    data = {k: _get(group, name) for k, name in (named or {}).items()}
    if "p" in data and not any(_shape(data["p"])):
        del data["p"]  # it was never written
    sound = all(column is not None and _is_column(column) for column in data.values())
    return Source(tuple(data.get(k) for k in "xytp"), "", named) if named and sound else None


def _of_table(name: str, item: Any) -> Source | None:
    if item.dtype.names and len(_shape(item)) == 1:
        named = columns.by_names(item.dtype.names)
        return Source((item,), "", named) if named else None
    if len(_shape(item)) != 2 or 4 not in item.shape or item.dtype.kind not in "biuf":
        return None
    rows, called = _rows(item, slice(_ROWS)), name.endswith("events")
    order = "txyp" if called and not len(rows) else columns.by_values(rows)
    return Source((item,), order, {}) if order and (called or len(rows) > _FEW) else None


def _shape(data: Any) -> tuple[int, ...]:
    """A data set's shape; () of a group, (0,) of an h5py.Empty."""
    return (0,) if getattr(data, "shape", ()) is None else getattr(data, "shape", ())


def _is_column(data: Any) -> bool:
    shape = _shape(data)
    return len(shape) == 1 or (len(shape) == 2 and 1 in shape)


def _on_side(data: Any) -> bool:
    """Whether each column of a matrix is an event, as Matlab writes it."""
    shape = _shape(data)
    return len(shape) == 2 and (shape[0] == 1 or (shape[0] == 4 != shape[1]))


def _length(data: Any) -> int:
    return _shape(data)[1 if _on_side(data) else 0]


def _rows(data: Any, part: slice) -> np.ndarray:
    """Some events of a data set, one a row."""
    return data[:, part].T if _on_side(data) else data[part]


def said_by(item: Any) -> dict[str, Any]:
    """What may state a size, an offset, a unit or an order, by name: attributes, data in a group or
    its `calib`.
    """
    said = {name: value for name, value in item.attrs.items() if _shape(value) != (0,)}
    if not hasattr(item, "keys"):
        return said
    frames = item.get("image_raw")
    if getattr(frames, "ndim", 0) == 3:
        said["image_raw"] = frames.shape[2], frames.shape[1]
    for group in (item.get("calib"), item):
        for name in group if hasattr(group, "keys") else ():
            data = _get(group, name)
            size = getattr(data, "size", None) or 5
            if (size < 3 and (sensors.is_name(name) or name == "t_offset")) or (
                size < 5 and data.dtype.kind in "SUO"
            ):
                with contextlib.suppress(Exception):  # what cannot be read states nothing
                    said[name] = data[()]
    return said
