"""Voxel grids: a window of events as the tensor that the network reads."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from evlayerseg_ros.events.types import Window

CHUNK = 512  # events whose places are worked out together


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
        layers: grids, one above the other: in each the events are carried along the motion of one
            layer to the window's end, which makes that layer's edges sharp and the others' not.
            0: one grid of the events where they happened.
    """

    bins: int
    split: bool
    width: int = 0
    multiple: int = 1
    layers: int = 0

    @property
    def planes(self) -> int:
        """Channels of one layer's grid."""
        return self.bins * (2 if self.split else 1)

    @property
    def channels(self) -> int:
        """Channels of all grids."""
        return self.planes * max(1, self.layers)

    def cell(self, sensor_width: int) -> int:
        """Side of a cell in px for a sensor of that width."""
        return max(1, round(sensor_width / self.width)) if self.width else 1

    def shape(self, sensor_width: int, sensor_height: int) -> tuple[int, int, int]:
        """(channels, rows, columns) of the grid for a sensor of that size."""
        cell = self.cell(sensor_width)
        step = cell * self.multiple  # px that rows and columns grow by
        rows, columns = (-(-size // step) * self.multiple for size in (sensor_height, sensor_width))
        return self.channels, rows, columns


def voxel_grid(
    window: Window,
    spec: VoxelSpec,
    out: np.ndarray | None = None,
    motions: np.ndarray | None = None,
) -> np.ndarray:
    """The voxel grid of a window.

    Each event adds its weight to the two bins nearest in time, shared linearly: with
    t* = (bins - 1) (t - start) / (end - start), bin b gets max(0, 1 - |t* - b|)
    (Zhu et al., "Unsupervised event-based learning of optical flow", CVPR 2019, eq. 1-2).

    Args:
        window: events in [start, end].
        spec: the convention.
        out: float32 array of `spec.shape`, overwritten; a new one if None.
        motions: float [spec.layers, 2, 3], px/s, the layers' affine velocities (see Segmentation)
            along which events are carried to the window's end; events that leave the sensor are
            left out. None: all at rest.

    Returns:
        float32 [channels, rows, columns].
    """
    events = window.events
    shape = spec.shape(events.width, events.height)
    if out is None:
        out = np.empty(shape, np.float32)
    else:
        if out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out must be float32 {shape}, got {out.dtype} {out.shape}")
    if motions is None:
        motions = np.zeros((spec.layers, 2, 3))
    elif motions.shape != (spec.layers, 2, 3):
        raise ValueError(f"motions must be [{spec.layers}, 2, 3], got {motions.shape}")
    cell = spec.cell(events.width)
    columns = (np.arange(events.width) // cell).astype(np.int32)
    rows = (np.arange(events.height) // cell * shape[2]).astype(np.int32)
    span = window.end - window.start
    rate = np.float32((spec.bins - 1) / span) if span > 0 else np.float32(0)
    grids = out.reshape(max(1, spec.layers), -1)
    time = np.int64(window.start), rate, spec.bins, spec.split, np.int32(shape[1] * shape[2])
    still = None  # the grid of a layer at rest
    for layer, grid in enumerate(grids):
        moves = spec.layers > 0 and motions[layer].any()
        if still is not None and not moves:
            grid[:] = still
            continue
        grid.fill(0)
        if moves:
            _accumulate_carried(
                events.x, events.y, events.t, events.p, np.int64(window.end), motions[layer],
                (events.width, events.height), cell, shape[2], *time, grid,
            )  # fmt: skip
        else:
            _accumulate(events.x, events.y, events.t, events.p, columns, rows, *time, grid)
            still = grid
    return out


@numba.njit(nogil=True, cache=True, inline="always")
def _add(at, off, where, plane, bins, split, out):  # type: ignore[no-untyped-def]
    """Adds an event at a place of bin 0; `at` in bins."""
    last, highest = np.float32(bins - 1), np.int32(bins - 2)
    at = min(max(at, np.float32(0)), last)
    low = min(np.int32(at), highest)
    late = at - np.float32(low)
    # No branch on the polarity, which no processor predicts.
    off_bin = np.int32(bins if split else 0)
    sign = np.float32(1) + (np.float32(1 if split else -1) - np.float32(1)) * np.float32(off)
    # Unsigned: an index that cannot be negative needs no test for it.
    index = np.uintp((low + off * off_bin) * plane + where)
    out[index] += (np.float32(1) - late) * sign
    out[index + np.uintp(plane)] += late * sign


@numba.njit(nogil=True, cache=True, fastmath=True)
def _accumulate(x, y, t, p, columns, rows, start, rate, bins, split, plane, out):  # type: ignore[no-untyped-def]
    for i in range(len(t)):
        where = rows[y[i]] + columns[x[i]]
        _add(np.float32(t[i] - start) * rate, np.int32(1) - np.int32(p[i]), where, plane,
             bins, split, out)  # fmt: skip


@numba.njit(nogil=True, cache=True, fastmath=True)
def _accumulate_carried(
    x, y, t, p, end, motion, size, cell, across, start, rate, bins, split, plane, out
):  # type: ignore[no-untyped-def]
    speed = (motion * 1e-9).astype(np.float32)  # px/ns
    where = np.empty(CHUNK, np.int32)
    for first in range(0, len(t), CHUNK):
        part = slice(first, min(first + CHUNK, len(t)))
        _place(x[part], y[part], t[part], end, speed, size, cell, across, where)
        for i in range(part.stop - first):
            if where[i] >= 0:
                event = first + i
                _add(np.float32(t[event] - start) * rate, np.int32(1) - np.int32(p[event]),
                     where[i], plane, bins, split, out)  # fmt: skip


# Fast, but comparisons with a motion that is no number must stay what they are.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _place(x, y, t, end, speed, size, cell, across, where):  # type: ignore[no-untyped-def]
    """where[i]: index of the cell that each event is carried to, or -1; a loop without branches.

    Instead of solving for the end point as `carry` does, which takes a division, it follows the
    series x + tau u(x) + tau^2 A u(x) + .. to its third term: of 30 px under 5 % of deformation the
    next is 0.004 px.
    """
    (a0, a1, a2), (b0, b1, b2) = speed[0], speed[1]
    width, height = np.float32(size[0]), np.float32(size[1])
    half, per_px = np.float32(0.5), np.float32(1 / cell)
    for i in range(len(t)):
        px, py, tau = np.float32(x[i]), np.float32(y[i]), np.float32(end - t[i])
        u, v = a0 * px + a1 * py + a2, b0 * px + b1 * py + b2
        u2, v2 = u + tau * (a0 * u + a1 * v), v + tau * (b0 * u + b1 * v)
        u3, v3 = u + tau * (a0 * u2 + a1 * v2), v + tau * (b0 * u2 + b1 * v2)
        px, py = px + tau * u3 + half, py + tau * v3 + half
        inside = (px >= 0) & (px < width) & (py >= 0) & (py < height)
        cell_index = np.int32(py * per_px) * np.int32(across) + np.int32(px * per_px)
        where[i] = cell_index if inside else np.int32(-1)
