"""Sequences of the EVIMO2 data set: a folder of npy and npz files."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.readers import CHUNK
from evlayerseg_ros.recordings.tables import _Table


class Evimo2Recording(_Table):
    """EVIMO2v2's npz format (docs/evimo/ground-truth-format.md of github.com/better-flow/evimo).

    dataset_events_t.npy (s), dataset_events_xy.npy [N, 2] (px), dataset_events_p.npy, mapped into
    memory; the sensor's size is res_x, res_y of meta in dataset_info.npz.
    """

    kind = "an EVIMO2 sequence"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        meta = load_meta(path)["meta"]
        try:
            self.width, self.height = int(meta["res_x"]), int(meta["res_y"])
            self._t, self._xy, self._p = (
                np.load(path / f"dataset_events_{name}.npy", mmap_mode="r")
                for name in ("t", "xy", "p")
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise self.unreadable(error) from error
        n = len(self._t)
        if self._xy.shape != (n, 2) or self._t.size != n or self._p.size != n:
            raise InputError(f"{path}: expected xy [N, 2] with N times and polarities.")
        self._set_length(n)
        self.duration = float(self._t[-1].item() - self._t[0].item())

    def _columns(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(self._t), CHUNK):
            part = slice(start, start + CHUNK)
            t = np.rint(self._t[part].ravel().astype(np.float64) * 1e9).astype(np.int64)
            xy = self._xy[part].astype(np.int64)
            yield xy[:, 0], xy[:, 1], t, self._p[part].ravel()


def is_evimo2(path: Path) -> bool:
    """Whether a path is a sequence of EVIMO2."""
    return (path / "dataset_info.npz").is_file()


def load_meta(folder: Path) -> dict[str, Any]:
    """The dictionary `meta` in dataset_info.npz, with `frames` and `meta`.

    It is a pickle, which may run anything when read; this reads plain values only.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    path = folder / "dataset_info.npz"
    try:
        with zipfile.ZipFile(path) as archive, archive.open("meta.npy") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                np.lib.format.read_array_header_1_0(file)
            else:
                np.lib.format.read_array_header_2_0(file)
            found = _PlainUnpickler(file).load()
        meta = found.item() if isinstance(found, np.ndarray) else found
        if not {"frames", "meta"} <= set(meta):
            raise ValueError("meta lacks frames or meta")
    except Exception as error:  # unpickling raises anything
        raise InputError(f"Cannot read meta from {path}: {error}.") from error
    return meta


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text, lists, dictionaries and numpy arrays; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        plain = {"_reconstruct", "scalar", "ndarray", "dtype"}
        of_numpy = module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        if (of_numpy and name in plain) or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, expected plain values")
