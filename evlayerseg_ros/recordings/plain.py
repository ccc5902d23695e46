"""Python objects in npy files, read without running anything: plain values only."""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np

from evlayerseg_ros.recordings.npz import npy_header


def objects_in(file: IO[bytes]) -> Any:
    """What an npy of Python objects holds, as np.save writes a dictionary.

    It is a pickle, which may run anything when it is read. So only numbers, text, lists,
    dictionaries and arrays are read.

    Raises:
        pickle.UnpicklingError: it holds something else. A damaged pickle raises much more.
    """
    npy_header(file)
    found = _PlainUnpickler(file).load()
    return found.item() if isinstance(found, np.ndarray) and found.size == 1 else found


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text, lists, dictionaries and numpy arrays; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        plain = {"_reconstruct", "scalar", "ndarray", "dtype"}
        of_numpy = module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        if (of_numpy and name in plain) or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, expected plain values")
