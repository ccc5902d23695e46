"""Voxel grids: a window of events as the tensor that the network reads."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from evlayerseg_ros.events.types import Window

CHUNK = 512  # events whose places are worked out together
AT_REST = np.zeros((2, 3))


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
    span = window.end - window.start
    rate = (spec.bins - 1) / span if span > 0 else 0.0
    edges = np.full(spec.bins, len(events))  # the first event of the time from each bin to the next
    edges[0] = 0
    if span > 0:
        inner = np.arange(1, spec.bins - 1) * span // (spec.bins - 1)
        edges[1:-1] = np.searchsorted(events.t, window.start + inner)
    still = None  # the grid of a layer at rest
    for layer, grid in enumerate(out.reshape(max(1, spec.layers), spec.planes, -1)):
        moves = spec.layers > 0 and motions[layer].any()
        if still is not None and not moves:
            grid[:] = still
            continue
        _accumulate(
            events.x, events.y, events.t, events.p, edges, window.start, window.end, rate,
            motions[layer] if moves else AT_REST, moves, (events.width, events.height),
            spec.cell(events.width), shape[2], spec.split, grid,
        )  # fmt: skip
        still = still if moves else grid
    return out


@numba.njit(nogil=True, cache=True)
def _accumulate(
    x, y, t, p, edges, start, end, rate, motion, moves, size, cell, across, split, grid
):  # type: ignore[no-untyped-def]
    """Fills one layer's grid, float32 [planes, cells].

    Events come in the order of time, so that only the planes of two bins are in use at once, and in
    the processor's cache: each is cleared just before the first event that needs it.
    """
    bins, cells = len(edges), np.int32(grid.shape[1])
    off_bin = np.int32(bins if split else 0)
    flat = grid.reshape(-1)
    speed = (motion * 1e-9).astype(np.float32)  # px/ns
    where, shares = np.empty(CHUNK, np.int32), np.empty((2, CHUNK), np.float32)
    early, late = shares[0], shares[1]
    grid[0] = grid[off_bin] = 0
    for low in range(bins - 1):
        grid[low + 1] = grid[low + 1 + off_bin] = 0
        near, far = flat[low * cells :], flat[(low + 1) * cells :]
        for first in range(edges[low], edges[low + 1], CHUNK):
            part = slice(first, min(first + CHUNK, edges[low + 1]))
            _weigh(t[part], p[part], start, rate, low, split, early, late)
            if moves:
                _carry(x[part], y[part], t[part], end, speed, size, cell, across, where)
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
def _carry(x, y, t, end, speed, size, cell, across, where):  # type: ignore[no-untyped-def]
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
