"""What the networks are trained for."""

from __future__ import annotations

import torch
from torch.nn import functional

from evlayerseg_ros.network.affine import affine_field, pixel_grid
from evlayerseg_ros.network.layernet import FLOW_STRIDE, MASK_STRIDE

BORDER = 3  # cells of the mask to each side of an object's edge, where most of its events are


def true_motion(labels: torch.Tensor, displacement: torch.Tensor, stride: int) -> torch.Tensor:
    """float [B, 2, H/stride, W/stride]: displacement, in cells, of what is seen at each place."""
    part = labels[:, stride // 2 :: stride, stride // 2 :: stride].long()
    x, y = pixel_grid(part.shape[1], part.shape[2], stride, displacement)
    fields = affine_field(displacement, x, y)
    index = part[:, None, None].expand(-1, 1, 2, -1, -1)
    return fields.gather(1, index)[:, 0]


def supervised_loss(
    output: tuple[torch.Tensor, torch.Tensor, torch.Tensor], batch: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Loss of LayerNet with two layers against a simulator's or a teacher's truth.

    Places where the truth is not sure have no weight.

    Args:
        output: what LayerNet returns: masks [B, 2, H/2, W/2], affine, motion.
        batch: samples as `to_tensors` makes them, stacked.

    Returns:
        Scalars: mask (weighted cross-entropy and Dice), motion (end-point error of the motion head
        in cells), affine (that of each layer's affine motion), and total.
    """
    masks, affine, motion = output
    labels, displacement = batch["layers"], batch["displacement"]
    moving = batch["moving"].float()[:, None]
    seen, sure = batch["seen"].float()[:, None], batch["sure"].float()[:, None]
    target = functional.avg_pool2d(moving, MASK_STRIDE)
    reach = 2 * BORDER + 1
    widest, narrowest = (
        sign * functional.max_pool2d(sign * target, reach, 1, BORDER) for sign in (1, -1)
    )
    border = widest - narrowest
    weight = 0.2 + functional.max_pool2d(seen, MASK_STRIDE) * (1 + border)
    weight = weight * functional.avg_pool2d(sure, MASK_STRIDE)
    logit = masks[:, 1:2] - masks[:, 0:1]
    entropy = functional.binary_cross_entropy_with_logits(logit, target, weight)
    answer = torch.sigmoid(logit)
    both = (weight * answer * target).sum((1, 2, 3))
    either = (weight * (answer + target)).sum((1, 2, 3))
    dice = (1 - (2 * both + 20) / (either + 20)).mean()

    truth = true_motion(labels, displacement, FLOW_STRIDE)
    known = functional.avg_pool2d(sure, FLOW_STRIDE)
    place = (0.1 + functional.max_pool2d(seen, FLOW_STRIDE)) * known
    near = functional.max_pool2d(moving, FLOW_STRIDE)
    place = place * (1 + near * (1 / near.mean((1, 2, 3), keepdim=True).clamp(min=0.03) - 1) * 0.5)

    def end_point(field: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        error = torch.sqrt(((field - truth) ** 2).sum(1, keepdim=True) + 0.01)
        return (error * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1)

    motion_error = end_point(motion[:, :2], place).mean()
    x, y = pixel_grid(truth.shape[2], truth.shape[3], FLOW_STRIDE, truth)
    fields = affine_field(affine, x, y)
    inside = (functional.avg_pool2d(moving, FLOW_STRIDE) > 0.5).float()
    one_object = (batch["single"] & (inside.sum((1, 2, 3)) > 8)).float()
    affine_error = end_point(fields[:, 0], (1 - near) * known).mean()
    affine_error = affine_error + (end_point(fields[:, 1], inside) * one_object).mean()
    total = entropy + dice + 0.1 * motion_error + 0.05 * affine_error
    return {
        "total": total,
        "mask": entropy + dice,
        "motion": motion_error,
        "affine": affine_error,
    }


def event_iou(masks: torch.Tensor, moving: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """[B]: IoU of what moves at the window's end, over cells with events.

    Args:
        masks: [B, 2 or more, h, w], logits.
        moving, seen: bool [B, H, W].
    """
    logit = functional.interpolate(masks[:, 1:2] - masks[:, 0:1], moving.shape[1:], mode="bilinear")
    answer = logit[:, 0] > 0
    both = (answer & moving & seen).sum((1, 2))
    either = ((answer | moving) & seen).sum((1, 2))
    return torch.where(
        either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float)
    )
