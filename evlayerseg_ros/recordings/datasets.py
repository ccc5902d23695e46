"""What an HDF5 file holds: tables of events, and what states a size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError, needs
from evlayerseg_ros.recordings import columns, sensors

# Rows that tell the order of the columns.
_ROWS = 8192
# Rows of a table that is not called events and may be one.
_FEW = 50


class Source(NamedTuple):
    """Where the events of one camera lie: four data sets, or one with four columns."""

    data: tuple[Any, ...]
    order: str  # of the columns of one plain table, "" else
    names: dict[str, str]

    @property
    def signed(self) -> bool:
        """Whether there are polarities."""
        return bool(self.order) or "p" in self.names

    def read(self, part: slice) -> list[np.ndarray]:
        """x, y, t, p of some events."""
        if self.order:
            rows = _rows(self.data[0], part)
            return [rows[:, self.order.index(name)] for name in "xytp"]
        if len(self.data) == 1:
            rows = self.data[0][part]
            found = [rows[self.names[name]] if name in self.names else None for name in "xytp"]
        else:
            found = [None if column is None else _rows(column, part) for column in self.data]
        for column in found:
            if column is not None and column.dtype.kind not in "biuf":
                raise InputError(f"A column is of type {column.dtype}: expected numbers.")
        n = max(len(column) for column in found if column is not None)
        return [np.ones(n) if column is None else np.ravel(column) for column in found]


def sources_in(file: Any) -> dict[str, Source]:
    """Everything in a file that holds events, by its path."""
    found: dict[str, Source] = {}
    faults: list[InputError] = []
    for name, item in _all_in(file):
        try:
            if source := _of_group(item) if hasattr(item, "keys") else _of_table(name, item):
                found[name or "/"] = source
        except InputError as error:  # of something beside the events, or of these
            faults.append(error)
    if faults and not found:
        raise faults[0]
    return found


def _all_in(file: Any) -> Iterator[tuple[str, Any]]:
    """A file and all groups and data sets in it, also behind links, each once."""
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
    """What a group holds by that name, None if it is a link that leads nowhere."""
    try:
        found = group[key]
        return found if hasattr(found, "keys") or hasattr(found, "shape") else None
    except (KeyError, OSError):
        return None


def _of_group(group: Any) -> Source | None:
    named = columns.by_names(group.keys())
    data = {k: _get(group, name) for k, name in (named or {}).items()}
    if "p" in data and not any(_shape(data["p"])):
        del data["p"]  # which was never written
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
    """Of a data set; () for a group, (0,) where there is no space, as h5py.Empty makes it."""
    return (0,) if getattr(data, "shape", ()) is None else getattr(data, "shape", ())


def _is_column(data: Any) -> bool:
    shape = _shape(data)
    return len(shape) == 1 or (len(shape) == 2 and 1 in shape)


def _on_side(data: Any) -> bool:
    """Whether a matrix has an event a column, as Matlab writes it."""
    shape = _shape(data)
    return len(shape) == 2 and (shape[0] == 1 or (shape[0] == 4 != shape[1]))


def length_of(data: Any) -> int:
    return _shape(data)[1 if _on_side(data) else 0]


def _rows(data: Any, part: slice) -> np.ndarray:
    """Some rows of a data set, with an event a row."""
    return data[:, part].T if _on_side(data) else data[part]


def said_by(item: Any) -> dict[str, Any]:
    """What may state a size or offset: attributes, what a group and its `calib` hold, by name."""
    said = {name: value for name, value in item.attrs.items() if _shape(value) != (0,)}
    if not hasattr(item, "keys"):
        return said
    frames = item.get("image_raw")
    if getattr(frames, "ndim", 0) == 3:
        said["image_raw"] = frames.shape[2], frames.shape[1]
    for group in (item.get("calib"), item):
        for name in (*sensors.NAMES, "t_offset") if hasattr(group, "keys") else ():
            data = group.get(name)
            if data is not None and getattr(data, "size", 3) in (1, 2):
                said[name] = data[()]
    return said
