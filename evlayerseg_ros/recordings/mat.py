"""MATLAB files up to version 7: columns in the file or in a structure, or one table.

Those of version 7.3 are HDF5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evlayerseg_ros.recordings.arrays import ArrayRecording, inside


class MatRecording(ArrayRecording):
    """As Prophesee's and jAER's tools for MATLAB write it: TD.x, TD.y, TD.ts, TD.p and such."""

    kind = "a MATLAB file"

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        from scipy.io import loadmat

        yield from inside("", loadmat(self.path, simplify_cells=True))
