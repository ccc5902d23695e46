"""The paper's objective: events that are moved along the true flow meet at one time and place."""

from __future__ import annotations

import torch

SMOOTHNESS = 0.001


def paper_loss(flow: torch.Tensor, windows: list[torch.Tensor]) -> torch.Tensor:
    """Average-timestamp deblurring loss, forward plus backward, and smoothness of the flow.

    Zhu et al., CVPR 2019, section 3.2, normalised by the number of pixels hit as in Hagenaars et
    al., NeurIPS 2021; smoothness is counted between neighbours that both saw events.

    Args:
        flow: [B, 2, H, W], displacement (u, v) in px over the window at each pixel.
        windows: B tensors [N, 4] of events: x, y (px), t (0 to 1 over the window), p (1 or 0).

    Returns:
        Scalar, summed over the batch.
    """
    total = flow.new_zeros(())
    for field, events in zip(flow, windows, strict=True):
        total = total + deblurring_loss(field, events) + SMOOTHNESS * smoothness(field, events)
    return total


def deblurring_loss(flow: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
    """Forward plus backward average-timestamp loss of one window.

    Args:
        flow: [2, H, W], px over the window.
        events: [N, 4], x, y, t, p.

    Returns:
        Scalar: per warp, the sum over polarities and pixels of the squared mean timestamp (which
        counts from the far end of the warp), divided by the number of pixels hit.
    """
    x, y, t, p = events.unbind(1)
    u, v = flow[:, y.long(), x.long()]
    loss = flow.new_zeros(())
    for target, age in ((1.0, t), (0.0, 1 - t)):
        squares, hit = flow.new_zeros(()), None
        for polarity in (1, 0):
            chosen = p == polarity
            count, stamps = _splat(
                (x + (target - t) * u)[chosen], (y + (target - t) * v)[chosen], age[chosen],
                flow.shape[1], flow.shape[2],
            )  # fmt: skip
            squares = squares + ((stamps / (count + 1e-9)) ** 2).sum()
            hit = count > 0 if hit is None else hit | (count > 0)
        assert hit is not None
        loss = loss + squares / hit.sum().clamp(min=1)
    return loss


def _splat(
    x: torch.Tensor, y: torch.Tensor, value: torch.Tensor, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bilinear votes at (x, y): their number and their sum of `value`, [H x W] each."""
    left, top = x.floor(), y.floor()
    count = value.new_zeros(height * width)
    total = value.new_zeros(height * width)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = (row * width + column)[inside].long()
            count = count.index_add(0, index, weight[inside])
            total = total.index_add(0, index, (weight * value)[inside])
    return count, total


def smoothness(flow: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
    """Charbonnier smoothness between the four kinds of neighbours that both saw events.

    In the authors' units: flow in sensor sides (max(H, W) px), and the differences of u and v are
    added before they are squared.

    Args:
        flow: [2, H, W], px.
        events: [N, 4], x, y, t, p.
    """
    height, width = flow.shape[1:]
    seen = torch.zeros(height, width, device=flow.device)
    seen[events[:, 1].long(), events[:, 0].long()] = 1
    field = flow.sum(0) / max(height, width)
    pairs = (
        (slice(None), slice(None, -1), slice(None), slice(1, None)),
        (slice(None, -1), slice(None), slice(1, None), slice(None)),
        (slice(None, -1), slice(None, -1), slice(1, None), slice(1, None)),
        (slice(1, None), slice(None, -1), slice(None, -1), slice(1, None)),
    )
    total = flow.new_zeros(())
    for a, b, c, d in pairs:
        difference = torch.sqrt((field[a, b] - field[c, d]) ** 2 + 1e-6)
        total = total + (difference * seen[a, b] * seen[c, d]).sum()
    return total / len(pairs)
