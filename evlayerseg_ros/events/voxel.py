"""Voxel grids: a window of events as the tensor that the network reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np

from evlayerseg_ros.events.types import Window

CHUNK = 512  # events whose places are worked out together
AT_REST = np.zeros((2, 3))
NOBODY = np.zeros(0, np.uint8)
ENLARGED = 0.9  # px a cell: below it the grid of a small sensor is enlarged


@dataclass(frozen=True)
class VoxelSpec:
    """How events become a voxel grid; it belongs to the weights and travels with them.

    Attributes:
        bins: points in time, evenly from the window's start to its end.
        split: True counts ON and OFF events in channels of their own (ON first, 2 x bins channels);
            False adds the polarity as +1 / -1 (bins channels).
        width: cells that a sensor's width should have, reached as nearly as whole cells of
            1, 2, 3.. px allow; on smaller sensors a cell is a part of a pixel, and the grid of
            their pixels is enlarged. 0 keeps the sensor's pixels.
        multiple: rows and columns are filled up with empty ones to a multiple of this.
        layers: grids, one above the other: in each the events are carried along the motion of one
            layer to the window's end, which makes that layer's edges sharp and the others' not.
            0: one grid of the events where they happened.
        extras: further channels behind the grids, for what else the network is told (see
            segmentation/network_input.py).
    """

    bins: int
    split: bool
    width: int = 0
    multiple: int = 1
    layers: int = 0
    extras: int = 0

    @property
    def planes(self) -> int:
        """Channels of one layer's grid."""
        return self.bins * (2 if self.split else 1)

    @property
    def channels(self) -> int:
        """Channels of all grids, and the further ones."""
        return self.planes * max(1, self.layers) + self.extras

    def cell(self, sensor_width: int) -> float:
        """Side of a cell in px for a sensor of that width."""
        if not self.width:
            return 1
        px = sensor_width / self.width
        if px >= ENLARGED or not self.extras:
            return max(1, round(px))
        return px

    def shape(self, sensor_width: int, sensor_height: int) -> tuple[int, int, int]:
        """(channels, rows, columns) of the grid for a sensor of that size."""
        cell = self.cell(sensor_width)
        step = cell * self.multiple  # px that rows and columns grow by
        rows, columns = (
            math.ceil(round(size / step, 6)) * self.multiple
            for size in (sensor_height, sensor_width)
        )
        return self.channels, rows, columns


def voxel_grid(
    window: Window,
    spec: VoxelSpec,
    out: np.ndarray | None = None,
    motions: np.ndarray | None = None,
    owners: np.ndarray | None = None,
) -> np.ndarray:
    """The voxel grid of a window.

    Each event adds its weight to the two bins nearest in time, shared linearly: with
    t* = (bins - 1) (t - start) / (end - start), bin b gets max(0, 1 - |t* - b|)
    (Zhu et al., "Unsupervised event-based learning of optical flow", CVPR 2019, eq. 1-2).

    Args:
        window: events in [start, end].
        spec: the convention.
        out: float32 array of `spec.shape`, overwritten but for the further channels; a new one,
            zero there, if None.
        motions: float [spec.layers or more, 2, 3], px/s, the layers' affine velocities (see
            Segmentation) along which events are warped to the window's end; events that leave the
            sensor are left out. None: all at rest.
        owners: uint8 [N], for the last layer's grid: which of `motions` each event is warped along.
            None: the layer's own.

    Returns:
        float32 [channels, rows, columns].
    """
    events = window.events
    shape = spec.shape(events.width, events.height)
    if out is None:
        out = np.zeros(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32:
        raise ValueError(f"out must be float32 {shape}, got {out.dtype} {out.shape}")
    if motions is None:
        motions = np.zeros((spec.layers, 2, 3))
    elif motions.shape[1:] != (2, 3) or (owners is None and len(motions) != spec.layers):
        raise ValueError(f"motions must be [{spec.layers}, 2, 3], got {motions.shape}")
    grids = out[: spec.channels - spec.extras].reshape(max(1, spec.layers), spec.planes, *shape[1:])
    cell = spec.cell(events.width)
    if cell >= 1:
        _fill(window, spec, motions, owners, int(cell), grids)
        return out
    small = np.empty((*grids.shape[:2], events.height, events.width), np.float32)
    _fill(window, spec, motions, owners, 1, small)
    high, wide = (min(round(side / cell), most) for side, most in zip(small.shape[2:], shape[1:]))
    grids[:] = 0
    for grid, little in zip(grids.reshape(-1, *shape[1:]), small.reshape(-1, *small.shape[2:])):
        grid[:high, :wide] = cv2.resize(little, (wide, high), interpolation=cv2.INTER_LINEAR)
    return out


def _fill(
    window: Window, spec: VoxelSpec, motions: np.ndarray, owners: np.ndarray | None, cell: int,
    grids: np.ndarray,
) -> None:  # fmt: skip
    """Fills grids, float32 [layers, planes, rows, columns], at cells of whole px."""
    events = window.events
    rate, edges = _bins(window, spec.bins)
    still = None  # the grid of a layer at rest
    for layer, grid in enumerate(grids.reshape(*grids.shape[:2], -1)):
        mine = None if layer + 1 < spec.layers else owners
        moves = spec.layers > 0 and (mine is not None or bool(motions[layer].any()))
        if still is not None and not moves:
            grid[:] = still
            continue
        along = motions[layer : layer + 1] if moves else AT_REST[None]
        _accumulate(
            events.x, events.y, events.t, events.p, edges, window.start, window.end, rate,
            along if mine is None else motions, moves, NOBODY if mine is None else mine,
            (events.width, events.height), cell, grids.shape[3], spec.split, grid,
        )  # fmt: skip
        still = still if moves else grid


def _bins(window: Window, bins: int) -> tuple[float, np.ndarray]:
    """Bins per ns, and the first event of the time from each bin to the next."""
    events, span = window.events, window.end - window.start
    rate = (bins - 1) / span if span > 0 else 0.0
    edges = np.full(bins, len(events))
    edges[0] = 0
    if span > 0:
        inner = np.arange(1, bins - 1) * span // (bins - 1)
        edges[1:-1] = np.searchsorted(events.t, window.start + inner)
    return rate, edges


@numba.njit(nogil=True, cache=True)
def _accumulate(
    x, y, t, p, edges, start, end, rate, motions, moves, owners, size, cell, across, split, grid
):  # type: ignore[no-untyped-def]
    """Fills one layer's grid, float32 [planes, cells].

    Events come in the order of time, so that only the planes of two bins are in use at once, and in
    the processor's cache: each is cleared just before the first event that needs it.
    """
    bins, cells = len(edges), np.int32(grid.shape[1])
    off_bin = np.int32(bins if split else 0)
    flat = grid.reshape(-1)
    speeds = (motions * 1e-9).astype(np.float32)  # px/ns
    where, shares = np.empty(CHUNK, np.int32), np.empty((2, CHUNK), np.float32)
    early, late = shares[0], shares[1]
    grid[0] = grid[off_bin] = 0
    for low in range(bins - 1):
        grid[low + 1] = grid[low + 1 + off_bin] = 0
        near, far = flat[low * cells :], flat[(low + 1) * cells :]
        for first in range(edges[low], edges[low + 1], CHUNK):
            part = slice(first, min(first + CHUNK, edges[low + 1]))
            _weigh(t[part], p[part], start, rate, low, split, early, late)
            if len(owners):
                _warp_each(
                    x[part], y[part], t[part], owners[part], end, speeds, size, cell, across, where
                )
            elif moves:
                _warp(x[part], y[part], t[part], end, speeds[0], size, cell, across, where)
            else:
                _stay(x[part], y[part], cell, across, where)
            if split:
                _other_half(p[part], where, off_bin * cells)
            for i in range(part.stop - first):
                if where[i] >= 0:
                    index = np.uintp(where[i])  # needs no test for being negative
                    near[index] += early[i]
                    far[index] += late[i]


@numba.njit(nogil=True, cache=True, fastmath=True)
def _weigh(t, p, start, rate, low, split, early, late):  # type: ignore[no-untyped-def]
    """An event's share in the bin before it and in the one after it."""
    one, rate32 = np.float32(1), np.float32(rate)
    for i in range(len(t)):
        share = min(max(np.float32(t[i] - start) * rate32 - np.float32(low), np.float32(0)), one)
        sign = one if split else np.float32(2) * np.float32(p[i]) - one
        early[i], late[i] = (one - share) * sign, share * sign


@numba.njit(nogil=True, cache=True, fastmath=True)
def _other_half(p, where, jump):  # type: ignore[no-untyped-def]
    """Moves OFF events to their own planes."""
    for i in range(len(p)):
        where[i] += (np.int32(1) - np.int32(p[i])) * jump if where[i] >= 0 else np.int32(0)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _stay(x, y, cell, across, where):  # type: ignore[no-untyped-def]
    """where[i]: index of the cell of each event."""
    half, per_px = np.float32(0.5), np.float32(1 / cell)
    for i in range(len(x)):
        column = np.int32((np.float32(x[i]) + half) * per_px)
        where[i] = np.int32((np.float32(y[i]) + half) * per_px) * np.int32(across) + column


# Fast, but comparisons with a motion that is no number must stay what they are.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _warp(x, y, t, end, speed, size, cell, across, where):  # type: ignore[no-untyped-def]
    """where[i]: index of the cell that each event is carried to, or -1; a loop without branches.

    Instead of solving for the end point as motion/warp.py's `warp_point` does, which takes a
    division, it follows the series x + tau u(x) + tau^2 A u(x) + .. to its third term: of 30 px
    under 5 % of deformation the next is 0.004 px.
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


@numba.njit(nogil=True, cache=True)
def _warp_each(x, y, t, owners, end, speeds, size, cell, across, where):  # type: ignore[no-untyped-def]
    """As _warp, each event along a motion of its own; to first order in the deformation."""
    half, per_px = np.float32(0.5), np.float32(1 / cell)
    for i in range(len(t)):
        a = speeds[owners[i]]
        px, py, tau = np.float32(x[i]), np.float32(y[i]), np.float32(end - t[i])
        u = a[0, 0] * px + a[0, 1] * py + a[0, 2]
        v = a[1, 0] * px + a[1, 1] * py + a[1, 2]
        u, v = (
            px + tau * (u + tau * (a[0, 0] * u + a[0, 1] * v)) + half,
            py + tau * (v + tau * (a[1, 0] * u + a[1, 1] * v)) + half,
        )
        inside = (u >= 0) & (u < size[0]) & (v >= 0) & (v < size[1])
        cell_index = np.int32(v * per_px) * np.int32(across) + np.int32(u * per_px)
        where[i] = cell_index if inside else np.int32(-1)
