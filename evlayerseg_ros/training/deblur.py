"""Learning without labels: layers are right if each makes its own events sharp.

The events are carried to the window's end along every layer's affine motion, shared between the
layers by the masks, and splatted into one image of warped events (IWE) a layer. Where masks and
motions are right, events of one edge meet in few pixels, and the sum of the squared counts is large
(motion compensation with soft layers: Stoffregen et al., ICCV 2019; the focus function: Gallego et
al., "Focus is all you need", CVPR 2019). Unlike in the paper's combination, in which the winner
takes all, every layer gets a gradient wherever it has a share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from evlayerseg_ros.model.layernet import FLOW_STRIDE

Output = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Weights:
    """What counts how much.

    Attributes:
        scales: cells per pixel of the images of warped events; coarse ones see motions that are
            far off.
        flow: sharpness of the events carried along the motion head's own displacement.
        smooth: change of that displacement from place to place, per FLOW_STRIDE, in cells.
        border: change of the masks from place to place.
        stiff: deformation of a layer, which would rather pull all events together (Shiba et al.,
            "Event collapse in contrast maximization frameworks", Sensors 2022).
        area: a moving layer that takes more of the image than it needs.
        hard: True lets the winning layer alone have each event, as in the paper.
    """

    scales: tuple[int, ...] = (1, 2, 4)
    flow: float = 1.0
    smooth: float = 0.1
    border: float = 0.2
    stiff: float = 20.0
    area: float = 0.1
    hard: bool = False


def deblur_loss(
    output: Output, known: torch.Tensor, events: torch.Tensor, weights: Weights | None = None
) -> dict[str, torch.Tensor]:
    """Loss of LayerNet from events alone.

    Args:
        output: what LayerNet returns: masks [B, L, H/2, W/2], affine, motion [B, 3, H/4, W/4].
        known: [B, L, 2, 3], displacement in cells that the network was told.
        events: [B, N, 4]: x, y (cells), t (0 to 1 over the window), p.
        weights: what counts how much.

    Returns:
        Scalars: layers and flow (minus the logarithm of how much sharper than without motion, mean
            over the scales), and total.
    """
    weights = weights or Weights()
    masks, affine, motion = output
    size = masks.shape[2] * 2, masks.shape[3] * 2
    share = torch.softmax(masks, 1)
    total_affine = affine + known
    x, y = carry(total_affine, events)
    part = torch.stack(
        [sample(share[:, i : i + 1], x[:, i], y[:, i], size) for i in range(share.shape[1])], 1
    )
    part = part / part.sum(1, keepdim=True).clamp(min=1e-3)
    if weights.hard:
        winner = part >= part.amax(1, keepdim=True)
        part = torch.where(winner, part, torch.zeros_like(part))
    layers = -gain(x, y, part, events, size, weights.scales)

    told = (share[:, :, None] * _field(known, share.shape[2:])).sum(1)  # at the masks' stride
    flow = motion[:, :2] + functional.avg_pool2d(told, FLOW_STRIDE // 2)
    age = 1 - events[..., 2]
    u, v = (sample(flow[:, i : i + 1], events[..., 0], events[..., 1], size) for i in (0, 1))
    fx, fy = (events[..., 0] + age * u)[:, None], (events[..., 1] + age * v)[:, None]
    sharp = -gain(fx, fy, torch.ones_like(fx), events, size, weights.scales)

    shape = affine[..., :2] + known[..., :2]
    total = (
        layers
        + weights.flow * sharp
        + weights.smooth * _change(flow)
        + weights.border * _change(share[:, 1:])
        + weights.stiff * (shape**2).sum((2, 3)).mean()
        + weights.area * share[:, 1:].mean()
    )
    return {"total": total, "layers": layers, "flow": sharp}


def carry(affine: torch.Tensor, events: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each event is at the window's end if it moves with each layer: x, y [B, L, N].

    Args:
        affine: [B, L, 2, 3], displacement over the window in cells, as a field at the window's end.
        events: [B, N, 4].
    """
    x, y, age = (events[:, None, :, 0], events[:, None, :, 1], 1 - events[:, None, :, 2])
    a = affine[..., None]
    at_x, at_y = x, y
    for _ in range(2):  # the field belongs to where the event ends: two rounds find that place
        at_x, at_y = (
            x + age * (a[:, :, 0, 0] * at_x + a[:, :, 0, 1] * at_y + a[:, :, 0, 2]),
            y + age * (a[:, :, 1, 0] * at_x + a[:, :, 1, 1] * at_y + a[:, :, 1, 2]),
        )
    return at_x, at_y


def sample(
    image: torch.Tensor, x: torch.Tensor, y: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """[B, N]: bilinear values of [B, 1, h, w], which spans `size` (rows, columns) cells."""
    grid = torch.stack(((2 * x + 1) / size[1] - 1, (2 * y + 1) / size[0] - 1), -1)[:, None]
    got = functional.grid_sample(image, grid, align_corners=False, padding_mode="border")
    return got[:, 0, 0]


def gain(
    x: torch.Tensor, y: torch.Tensor, part: torch.Tensor, events: torch.Tensor,
    size: tuple[int, int], scales: tuple[int, ...],
) -> torch.Tensor:  # fmt: skip
    """How much sharper carried events are than where they happened: mean log ratio of squares.

    Args:
        x, y, part: [B, L, N]: where each layer carries each event, and its share of it.
        events: [B, N, 4].
        size: rows and columns of the image, cells.
        scales: cells per pixel of the images compared.
    """
    ratios = []
    for scale in scales:
        rows, columns = size[0] // scale, size[1] // scale
        after = _squares(x / scale, y / scale, part, rows, columns).sum(1)
        with torch.no_grad():
            one = torch.ones_like(part[:, :1])
            before = _squares(
                events[:, None, :, 0] / scale, events[:, None, :, 1] / scale, one, rows, columns
            )
        ratios.append(torch.log(after / before[:, 0].clamp(min=1)))
    return torch.stack(ratios).mean()


def _squares(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, rows: int, columns: int
) -> torch.Tensor:
    """[B, L]: sum over pixels of the squared count of bilinearly splatted events [B, L, N]."""
    batch, layers, _ = weight.shape
    image = weight.new_zeros(batch * layers, rows * columns)
    left, top = x.floor(), y.floor()
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
            vote = weight * (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside
            index = (row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)).long()
            image = image.scatter_add(1, index.flatten(0, 1), vote.flatten(0, 1))
    return (image**2).sum(1).reshape(batch, layers)


def _field(affine: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """[B, L, 2, h, w]: displacement at the masks' places (2 cells apart)."""
    y, x = (torch.arange(n, device=affine.device) * 2 + 0.5 for n in shape)
    a = affine[..., None, None]
    return a[..., 0, :, :] * x + a[..., 1, :, :] * y[:, None] + a[..., 2, :, :]


def _change(image: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference between neighbours of [B, C, h, w]."""
    across = (image[..., 1:] - image[..., :-1]).abs().mean()
    return across + (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
