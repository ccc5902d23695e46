"""HDF5 recordings: columns in a group, or one table."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError, MissingPackage, needs
from evlayerseg_ros.events.types import MAX_TIME
from evlayerseg_ros.recordings import columns, sensors
from evlayerseg_ros.recordings.beside import stated_order, unit_said
from evlayerseg_ros.recordings.hdf_sources import Source, said_by, settled, shapes_in, sources_in
from evlayerseg_ros.recordings.kinds import some_of
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.rows import told_of
from evlayerseg_ros.recordings.units import Times, to_ns

# Size and unit are told by so many stretches of so many events.
_STRETCHES, _LENGTH = 16, 8192
# A table below the first share of the longest one's length is something else. If those with
# polarities are below the second, it is open which table holds the events.
_SMALL, _FEW = 0.01, 0.1
# In what the paths of two cameras differ.
_SIDE = re.compile(r"left|right|\d+", re.IGNORECASE)
# Events read at a time where a part is damaged.
_PIECE = 4096
# What HDF5 says where a filter is missing.
_NO_FILTER = ("open directory", "required filter", "not registered", "not available")

# What else HDF5 says, and what it means.
_FAULTS = {
    "truncated file": "was cut off: HDF5 keeps one column after the other, so copy or download it "
    "again.",
    "unable to lock file, errno = 11": "is open in another process, which writes it: close it "
    "there first.",
    "unable to lock file": "lies on a disk without locks: set HDF5_USE_FILE_LOCKING=FALSE.",
    "already open for write": "was not closed by what wrote it: if nothing writes it any more, "
    "`h5clear -s` mends it (make a copy first).",
}


class HdfRecording(Table):
    """HDF5 as EV-LayerSegNet's authors lay it out (events/xs, ys, ts, ps), as DSEC does (events/x,
    y, t, p), as v2e does (events [N, 4]), or with a compound table.

    The unit of the times is recognised: s, ms, us or ns. Attributes or data sets may
    state the sensor's size, see sensors.stated, or image_raw has it; else it is assumed and noted.

    Args:
        path: the file.
        topic: the events' path in it, where there are several.
        size: (width, height) in px, None for what the file says.
    """

    kind = "an HDF5 recording"

    def __init__(
        self, path: Path, topic: str | None = None, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path, size)
        # Many are compressed with filters that h5py itself lacks.
        with contextlib.suppress(ImportError):
            import hdf5plugin  # noqa: F401
        h5py = needs("h5py")
        self._file: Any = None
        self._offset = 0  # ns, of the times
        try:
            self._file = h5py.File(path, "r")
            self._open(topic)
        except Exception as error:
            told = self._as_input_error(error)
            self.close()
            raise told from error

    def _as_input_error(self, error: BaseException) -> InputError:
        text = str(error).lower()
        if isinstance(error, OSError) and any(words in text for words in _NO_FILTER):
            remedy = "pip install hdf5plugin"
            if "hdf5plugin" in sys.modules:
                remedy = "hdf5plugin does not have this filter"
                if self._file and "CD" in self._file:
                    remedy += "; Metavision's tools convert Prophesee's files"
            return MissingPackage(
                f"{self.path} is compressed with a filter that is not installed: {remedy}."
            )
        for words, told in _FAULTS.items():
            if isinstance(error, OSError) and words in text:
                return InputError(f"{self.path} {told}")
        if isinstance(error, OSError):
            error = ValueError()  # instead of h5py's words
        return super()._as_input_error(error)

    def _open(self, topic: str | None) -> None:
        where, self._source = self._chosen(topic)
        with contextlib.suppress(OSError):  # reading tells it
            self._source, told = settled(self._file[where], self._source)
            self.notice(told)
        if self._source.order:
            stated = (value for said in self._said(where) for value in said.values())
            self._source = self._source._replace(order=stated_order(stated, self._source.order))
        self.topic = where if topic is not None else ""
        self._count = min(self._source.lengths)
        self._set_length(self._count)
        if self._count < max(self._source.lengths):
            self.notice(f"its columns differ in length, the first {self._count} events are used")
        starts = np.unique(np.linspace(0, max(self._count - _LENGTH, 0), _STRETCHES).astype(int))
        stretches = self._stretches(starts.tolist())
        x, y = (np.concatenate([part[k] for part in stretches]) for k in (0, 1))
        self.find_size(x, y, partial(self._stated, where))
        times = [t for _, _, t, _ in stretches]
        self.notice(told_of(np.concatenate([p for *_, p in stretches])))
        usual = "us" if np.issubdtype(times[0].dtype, np.integer) else "s"
        offset = next((said["t_offset"] for said in self._said(where) if "t_offset" in said), None)
        dsec = usual == "us" and {"t_offset", "ms_to_idx"} & set(self._file)
        trust = 5.0 if dsec else 0.5
        self.find_unit(times, usual, self._count, trust, self._said_unit(where), documented=usual)
        begin = np.ravel(np.asarray(offset))[:1]
        if len(begin) and begin.dtype.kind in "iuf":  # DSEC counts from it
            begins = int(to_ns(begin, self._unit)[0])
            self._zero = self._offset = begins if begins < MAX_TIME else 0

    def _chosen(self, topic: str | None) -> tuple[str, Source]:
        """The events that are asked for, or the only ones of some length, and their path."""
        found = sources_in(self._file)
        if topic is not None:
            there = some_of(found) or "none"
            found = {k: v for k, v in found.items() if k.strip("/") == topic.strip("/")}
            if not found:
                raise InputError(f"{self.path} has no events at {topic}: it has {there}.")
        if not found:
            raise InputError(
                f"{self.path} lacks events/xs, ys, ts, ps (DSEC's x, y, t, p, or rows `t x y p`): "
                f"it has {some_of(shapes_in(self._file)) or 'no arrays'}."
            )
        lengths = {k: min(v.lengths) for k, v in found.items()}
        longest = max(lengths.values())
        long = {k: v for k, v in found.items() if lengths[k] > _SMALL * longest}
        # Corners, boxes or flow beside events have places and times, too, but no polarities.
        signed = {k: v for k, v in long.items() if v.signed}
        sure = any(lengths[k] > _FEW * longest for k in signed)
        left = (signed if sure else long) or dict(list(found.items())[:1])
        if len(left) > 1:
            raise InputError(
                f"{self.path} has several cameras, choose: {some_of(left)} (--topic NAME)."
            )
        where, source = next(iter(left.items()))
        alike = [k for k in found if k != where and _SIDE.sub("", k) == _SIDE.sub("", where)]
        if alike:
            self.notice(f"of {where} and {', '.join(alike)} the first is read (--topic chooses)")
        return where, source

    def _said_unit(self, where: str) -> str:
        """The unit that the name of the column of times says, its attribute, or one at its path."""
        name = self._source.names.get("t", "")
        times = self._source.data[2] if len(self._source.data) > 2 else None
        own = [{"unit": v} for k, v in getattr(times, "attrs", {}).items() if "unit" in k]
        units = map(unit_said, (*own, *self._said(where)))
        return columns.unit_in(name) or next(filter(None, units), "")

    def _stretches(self, starts: list[int]) -> list[list[np.ndarray]]:
        """x, y, t, p of the stretches that can be read, at least one.

        Raises:
            OSError: none can be read.
        """
        found = []
        for k in starts:
            try:
                found.append(self._source.read(slice(k, min(k + _LENGTH, self._count))))
            except OSError:
                if not found and k == starts[-1]:
                    raise
        return found

    def _stated(self, where: str, x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
        """The size that the file states for the events at that path."""
        for said in self._said(where):
            frame = said.get("image_raw")  # of the same sensor, as in MVSEC
            size = sensors.stated(said, x, y) or (
                frame if sensors.holds(frame or (0, 0), x, y) else None
            )
            if size:
                return size
        return None

    def _said(self, where: str) -> Iterator[dict[str, Any]]:
        """What is said at that path, and at each above it."""
        steps = where.strip("/").split("/")
        for k in range(len(steps), -1, -1):
            yield said_by(self._file["/".join(steps[:k]) or "/"])

    def _columns(self) -> Iterator[Columns]:
        lost = 0
        times = Times(self._unit, self._offset)
        for start in range(0, self._count, CHUNK):
            end = min(start + CHUNK, self._count)
            try:
                parts = [self._source.read(slice(start, end))]
            except OSError:
                parts = list(self._pieces(start, end))
                lost += end - start - sum(len(part[0]) for part in parts)
            for x, y, t, p in parts:
                yield x, y, times(t), p
        if lost:
            raise InputError(f"{self.path} is damaged: {lost} of its events cannot be read.")

    def _pieces(self, start: int, end: int) -> Iterator[list[np.ndarray]]:
        """What can be read of the events from start to end."""
        for k in range(start, end, _PIECE):
            with contextlib.suppress(OSError):
                yield self._source.read(slice(k, min(k + _PIECE, end)))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
