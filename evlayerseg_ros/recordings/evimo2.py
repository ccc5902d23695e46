"""Sequences of EVIMO2 (v2: a folder of npy and npz files) and EVIMO (one npz)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.archives import names_in, opened
from evlayerseg_ros.recordings.npz import NpyStream
from evlayerseg_ros.recordings.plain import objects_in
from evlayerseg_ros.recordings.readers import CHUNK, Columns, Table
from evlayerseg_ros.recordings.units import to_ns


class Evimo2Recording(Table):
    """EVIMO2v2's npz format (docs/evimo/ground-truth-format.md of github.com/better-flow/evimo).

    dataset_events_t.npy (s), dataset_events_xy.npy [N, 2] (px) and dataset_events_p.npy are mapped
    into memory; res_x, res_y of meta in dataset_info.npz are the sensor's size.
    """

    kind = "an EVIMO2 sequence"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        meta = load_meta(path)["meta"]
        try:
            said = size or (int(meta["res_x"]), int(meta["res_y"]))
            self._t, self._xy, self._p = (
                np.load(path / f"dataset_events_{name}.npy", mmap_mode="r")
                for name in ("t", "xy", "p")
            )
        except FileNotFoundError as error:
            raise InputError(f"{path} lacks its file {Path(error.filename).name}.") from error
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise self._as_input_error(error) from error
        n = len(self._t)
        if self._xy.shape != (n, 2) or self._t.size != n or self._p.size != n:
            raise InputError(f"{path}: expected xy [N, 2] with N times and polarities.")
        self._set_length(n)
        if self.size is None:
            self.take_size(said, self._xy[:CHUNK, 0], self._xy[:CHUNK, 1])
        _find_unit(self, self._t[:CHUNK].ravel(), n)

    def _columns(self) -> Iterator[Columns]:
        for start in range(0, len(self._t), CHUNK):
            part = slice(start, start + CHUNK)
            xy, t = self._xy[part], self._t[part].ravel()
            yield xy[:, 0], xy[:, 1], to_ns(t, self._unit), self._p[part].ravel()


class EvimoRecording(Table):
    """The npz format of EVIMO and EVIMO2v1, by the same document: one npz a sequence.

    events.npy [N, 4] holds t (s), x, y (px) and p; the sensor is as large as mask.npy [F, H, W].
    """

    kind = "an EVIMO sequence"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, size)
        try:
            with rows_of(path, "events", 2) as events, rows_of(path, "mask", 3) as masks:
                (n, columns), (height, width) = events.shape, masks.shape[1:]
                rows = events.read(CHUNK)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise self._as_input_error(error) from error
        if columns != 4:
            raise InputError(f"{path}: events has {columns} columns, expected t, x, y, p.")
        self._set_length(n)
        if self.size is None:
            self.take_size((width, height), rows[:, 1], rows[:, 2])
        _find_unit(self, rows[:, 0], n)

    def _columns(self) -> Iterator[Columns]:
        with rows_of(self.path, "events", 2) as events:
            while len(rows := events.read(CHUNK)):
                yield rows[:, 1], rows[:, 2], to_ns(rows[:, 0], self._unit), rows[:, 3]
            if events.broken:
                raise InputError(f"{self.path} is damaged: the events up to there are used.")


def _find_unit(sequence: Table, t: np.ndarray, total: int) -> None:
    """The unit of times [N]: s, but for whole numbers, which tell it by their rate."""
    sequence._unit, t = "s", t[np.isfinite(t)]
    if np.all(t == np.rint(t)):
        sequence.find_unit([t], "s", total, 0.5, "", documented="s")


def is_evimo2(path: Path) -> bool:
    """Whether a path is a sequence of EVIMO2v2."""
    return (path / "dataset_info.npz").is_file()


def is_evimo(path: Path) -> bool:
    """Whether a path is a sequence of EVIMO or EVIMO2v1."""
    return {"events.npy", "meta.npy", "mask.npy"} <= names_in(path)


@contextmanager
def rows_of(path: Path, name: str, dimensions: int) -> Iterator[NpyStream]:
    """An array in an npz, to be read from front to back; see NpyStream."""
    with opened(path) as archive, archive.open(f"{name}.npy") as file:
        yield NpyStream(file, dimensions)


def load_meta(path: Path) -> dict[str, Any]:
    """The dictionary of a sequence's meta.npy; it has `frames` and `meta`.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    path = path / "dataset_info.npz" if path.is_dir() else path
    try:
        with opened(path) as archive, archive.open("meta.npy") as file:
            meta = objects_in(file)
        if not {"frames", "meta"} <= set(meta):
            raise ValueError("meta lacks frames or meta")
    except Exception as error:  # unpickling raises anything
        raise InputError(f"Cannot read meta from {path}: {error}.") from error
    return meta
