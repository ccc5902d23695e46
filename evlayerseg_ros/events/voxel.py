"""Voxel grids: a window of events as the tensor that the network reads."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from evlayerseg_ros.events.types import Window


@dataclass(frozen=True)
class VoxelSpec:
    """How events become a voxel grid; it belongs to the weights and travels with them.

    Attributes:
        bins: points in time, evenly from the window's start to its end.
        split: True counts ON and OFF events in channels of their own (ON first, 2 x bins channels);
            False adds the polarity as +1 / -1 (bins channels).
        width: cells that a sensor's width should have, reached as nearly as whole cells of
            1, 2, 3.. px allow; 0 keeps the sensor's pixels.
        multiple: rows and columns are filled up with empty ones to a multiple of this.
    """

    bins: int
    split: bool
    width: int = 0
    multiple: int = 1

    @property
    def channels(self) -> int:
        """Channels of the grid."""
        return self.bins * (2 if self.split else 1)

    def cell(self, sensor_width: int) -> int:
        """Side of a cell in px for a sensor of that width."""
        return max(1, round(sensor_width / self.width)) if self.width else 1

    def shape(self, sensor_width: int, sensor_height: int) -> tuple[int, int, int]:
        """(channels, rows, columns) of the grid for a sensor of that size."""
        cell = self.cell(sensor_width)
        step = cell * self.multiple  # px that rows and columns grow by
        rows, columns = (-(-size // step) * self.multiple for size in (sensor_height, sensor_width))
        return self.channels, rows, columns


def voxel_grid(window: Window, spec: VoxelSpec, out: np.ndarray | None = None) -> np.ndarray:
    """The voxel grid of a window.

    Each event adds its weight to the two bins nearest in time, shared linearly: with
    t* = (bins - 1) (t - start) / (end - start), bin b gets max(0, 1 - |t* - b|)
    (Zhu et al., "Unsupervised event-based learning of optical flow", CVPR 2019, eq. 1-2).

    Args:
        window: events in [start, end].
        spec: the convention.
        out: float32 array of `spec.shape`, overwritten; a new one if None.

    Returns:
        float32 [channels, rows, columns].
    """
    events = window.events
    shape = spec.shape(events.width, events.height)
    if out is None:
        out = np.zeros(shape, np.float32)
    else:
        if out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out must be float32 {shape}, got {out.dtype} {out.shape}")
        out.fill(0)
    cell = spec.cell(events.width)
    columns = (np.arange(events.width) // cell).astype(np.int32)
    rows = (np.arange(events.height) // cell * shape[2]).astype(np.int32)
    span = window.end - window.start
    rate = np.float32((spec.bins - 1) / span) if span > 0 else np.float32(0)
    _accumulate(
        events.x, events.y, events.t, events.p, columns, rows,
        np.int64(window.start), rate, spec.bins, spec.split, np.int32(shape[1] * shape[2]),
        out.reshape(-1),
    )  # fmt: skip
    return out


@numba.njit(nogil=True, cache=True, fastmath=True)
def _accumulate(x, y, t, p, columns, rows, start, rate, bins, split, plane, out):  # type: ignore[no-untyped-def]
    last, highest = np.float32(bins - 1), np.int32(bins - 2)
    off_bin = np.int32(bins if split else 0)
    off_sign = np.float32(1 if split else -1)
    for i in range(len(t)):
        at = min(max(np.float32(t[i] - start) * rate, np.float32(0)), last)
        low = min(np.int32(at), highest)
        late = at - np.float32(low)
        early = np.float32(1) - late
        # No branch on the polarity, which no processor predicts.
        off = np.int32(1) - np.int32(p[i])
        sign = np.float32(1) + (off_sign - np.float32(1)) * np.float32(off)
        # Unsigned: an index that cannot be negative needs no test for it.
        where = np.uintp((low + off * off_bin) * plane + rows[y[i]] + columns[x[i]])
        out[where] += early * sign
        out[where + np.uintp(plane)] += late * sign
