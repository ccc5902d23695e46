"""MATLAB files up to version 7: columns in the file or in a structure, or one table.

Those of version 7.3 are HDF5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evlayerseg_ros.recordings.arrays import ArrayRecording


class MatRecording(ArrayRecording):
    """As Prophesee's and jAER's tools for MATLAB write it: TD.x, TD.y, TD.ts, TD.p and such."""

    kind = "a MATLAB file"

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        from scipy.io import loadmat

        yield from _all_in("", loadmat(self.path, simplify_cells=True))


def _all_in(name: str, structure: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A structure, and all that is in it, with their names."""
    yield name, structure
    for key, value in structure.items():
        inner = f"{name}.{key}".strip(".")
        if isinstance(value, Mapping):
            yield from _all_in(inner, value)
        elif not key.startswith("__"):
            yield inner, value
