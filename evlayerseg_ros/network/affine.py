"""Affine motion in torch.

The convention of the whole package: a layer's displacement over a window is an affine field D,
[2, 3], at pixel (x, y) of the window's end, in px: what is seen at (x, y) at the end was at
(x, y) - D (x, y, 1) at the start. Dividing by the window's seconds gives the velocity that is
published. Here coordinates and displacements are in cells of the voxel grid, with (0, 0) the centre
of the first cell.
"""

from __future__ import annotations

import torch


def pixel_grid(
    height: int, width: int, stride: int, reference: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """x [1, width] and y [height, 1] of the cells' centres of a map `stride` times coarser."""
    half = (stride - 1) / 2
    x = torch.arange(width, device=reference.device, dtype=torch.float32) * stride + half
    y = torch.arange(height, device=reference.device, dtype=torch.float32) * stride + half
    return x[None, :], y[:, None]


def affine_field(affine: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Evaluate affine fields at points.

    Args:
        affine: [..., 2, 3].
        x, y: that broadcast to [H, W].

    Returns:
        [..., 2, H, W], (u, v).
    """
    a = affine[..., None, None]
    return a[..., 0, :, :] * x + a[..., 1, :, :] * y + a[..., 2, :, :]


def fit_affine(
    flow: torch.Tensor, weight: torch.Tensor, stride: int, stiffness: float
) -> torch.Tensor:
    """Weighted least-squares affine motion of each layer, in closed form and differentiable.

    Coordinates are centred on each layer's weighted mean, so that translation and deformation
    separate; a ridge on the deformation keeps layers with little support from it (a layer without
    any weight has no motion).

    Args:
        flow: [B, 2, h, w], displacement in cells of the grid.
        weight: [B, L, h, w], not negative: how much each place says about each layer.
        stride: cells of the grid per step of the map.
        stiffness: weight x cells^2 of the ridge.

    Returns:
        [B, L, 2, 3], displacement in cells at a place in cells.
    """
    x, y = pixel_grid(flow.shape[2], flow.shape[3], stride, flow)
    u, v = flow[:, 0:1], flow[:, 1:2]

    def total(values: torch.Tensor) -> torch.Tensor:
        return (weight * values).sum((2, 3))

    mass = weight.sum((2, 3)) + 1e-3
    mx, my, mu, mv = (total(value) / mass for value in (x + 0 * y, y + 0 * x, u, v))

    def spread(values: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return values - mean[:, :, None, None]

    dx, dy = spread(x, mx), spread(y, my)
    xx, xy, yy = total(dx * dx) + stiffness, total(dx * dy), total(dy * dy) + stiffness
    determinant = xx * yy - xy * xy
    rows = []
    for value, mean in ((u, mu), (v, mv)):
        px, py = total(dx * value), total(dy * value)
        ax = (px * yy - py * xy) / determinant
        ay = (py * xx - px * xy) / determinant
        rows.append(torch.stack((ax, ay, mean - ax * mx - ay * my), -1))
    return torch.stack(rows, -2)
