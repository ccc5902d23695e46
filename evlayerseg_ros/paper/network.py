"""PaperNet: the network of EV-LayerSegNet (arXiv 2506.06596), our reference."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.network.affine import affine_field, pixel_grid
from evlayerseg_ros.network.base import Network

SIZE = (480, 640)  # rows and columns that the fully connected flow head is bound to
GAMMA = 100.0


def leaky_dorelu(x: torch.Tensor) -> torch.Tensor:
    """x / GAMMA below 0, x in [0, 1], 1 + (x - 1) / GAMMA above 1."""
    inside = x.clamp(0, 1)
    return inside + (x - inside) / GAMMA


class Residual(nn.Module):
    """relu(x + conv(relu(conv(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class PaperNet(Network):
    """Encoder, segmentation module and flow module as published; 28.4 M parameters.

    Args:
        layers: motion models and masks, 2 in the paper.
        bins: time bins of the voxel grid.
    """

    variant = "paper"
    background = "most_events"  # label-free: the network's own order means nothing
    any_size = False

    def __init__(self, layers: int = 2, bins: int = 5) -> None:
        super().__init__()
        self.settings = {"layers": layers, "bins": bins}
        self.voxel = VoxelSpec(bins=bins, split=False)
        widths = (bins, 64, 128, 256, 512)
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.residual = nn.Sequential(Residual(512), Residual(512))
        outputs = (256, 128, 64, 32)
        inputs = (512, 256, 128, 64)
        self.decoder = nn.ModuleList(
            nn.Conv2d(2 * a, b, 3, 1, 1) for a, b in zip(inputs, outputs, strict=True)
        )
        self.mask_head = nn.Conv2d(32, layers, 1)
        self.flow_encoder = nn.ModuleList(nn.Conv2d(512, 512, 3, 2, 1) for _ in range(6))
        units = (512, 256, 64, 6 * layers)
        self.flow_head = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(units))

    def forward(self, voxel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Segment.

        Args:
            voxel: float [B, bins, 480, 640], signed.

        Returns:
            masks [B, layers, 480, 640], softmax over layers.
            affine [B, layers, 2, 3], displacement over the window in px at pixel coordinates.
        """
        x, scales = voxel, []
        for conv in self.encoder:
            x = functional.relu(conv(x))
            scales.append(x)
        x = self.residual(x)
        return self._masks(x, scales), self._affine(x)

    def _masks(self, x: torch.Tensor, scales: list[torch.Tensor]) -> torch.Tensor:
        for conv, scale in zip(self.decoder, reversed(scales), strict=True):
            x = torch.cat((x, scale), 1)
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = leaky_dorelu(conv(x))
        return torch.softmax(self.mask_head(x).float(), 1)

    def _affine(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.flow_encoder:
            x = functional.leaky_relu(conv(x))
        x = x.flatten(1)
        for index, linear in enumerate(self.flow_head):
            x = linear(x if index == 0 else torch.tanh(x))
        return normalised_to_px(x.float().reshape(len(x), -1, 2, 3))


def normalised_to_px(theta: torch.Tensor) -> torch.Tensor:
    """Affine matrices on torch's normalised grid as displacements in px at pixel coordinates.

    The paper applies theta to (xn, yn, 1) with xn = (2 x + 1) / W - 1 (affine_grid, align_corners
    false), and one unit is max(H, W) px over the window.

    Args:
        theta: [..., 2, 3].

    Returns:
        [..., 2, 3] px.
    """
    height, width = SIZE
    unit = float(max(height, width))
    ax, ay, shift = theta.unbind(-1)
    at_origin = shift + ax * (1 / width - 1) + ay * (1 / height - 1)
    return torch.stack((ax * (2 / width), ay * (2 / height), at_origin), -1) * unit


def combined_flow(masks: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
    """The paper's combination: at each pixel the winning mask's value times that layer's flow.

    Args:
        masks: [B, L, H, W], soft masks.
        affine: [B, L, 2, 3] px.

    Returns:
        [B, 2, H, W], displacement in px over the window.
    """
    x, y = pixel_grid(masks.shape[2], masks.shape[3], 1, masks)
    winners = torch.where(masks < masks.amax(1, keepdim=True), torch.zeros_like(masks), masks)
    return (affine_field(affine, x, y) * winners[:, :, None]).sum(1)
