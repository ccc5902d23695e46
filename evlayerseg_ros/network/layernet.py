"""LayerNet: the small real-time network of this package.

Two heads, as in EV-LayerSegNet: one says which layer each pixel belongs to, the other how things
move, and neither sees the other's answer. The motion head predicts displacement place by place with
a weight that says how far to trust it; each layer's affine motion is the weighted least-squares fit
under its mask. That is differentiable, needs no fully connected layer, and so fits any sensor.

It reads one voxel grid for each layer, in which events were carried along what is known of that
layer's motion (at first nothing: all grids are the same), and predicts the motion that is left.
Run again with its own answer, it sees each layer deblurred, and corrects masks and motions.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.network.affine import fit_affine
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.segmentation.network_input import (
    AROUND,
    EXTRAS,
    GAIN,
    LEARNT,
    OLD_EXTRAS,
    SLOPE,
)

MASK_STRIDE = 2  # cells of the voxel grid per step of the mask
FLOW_STRIDE = 4  # and of the displacement map
FLOW_UNIT = 16.0  # cells; the motion head predicts displacement in this unit
SILENT = -1.25  # logits of what moves before anything is learnt: then evidence alone decides
STIFFNESS = 2000.0  # see fit_affine; about the spread of 25 places in a 9x9-cell patch


class StandardConv(nn.Module):
    """3x3 convolution whose filters have zero mean and unit gain, times a learnt scale per channel.

    It keeps activations in range without looking at them, as a normalisation layer would, so that
    nothing is left to compute at run time: `fold` gives the plain convolution that it stands for
    (Qiao et al., "Micro-batch training with batch-channel normalization and weight
    standardization", 2019; Brock et al., "Characterizing signal propagation ..", ICLR 2021).
    """

    GAIN = 1.7139  # sqrt(2 / (1 - 1/pi)), which keeps the variance through a ReLU

    def __init__(self, inputs: int, outputs: int, stride: int = 1, scale: float = 1.0) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.scale = nn.Parameter(torch.full((outputs, 1, 1, 1), scale))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def filters(self) -> torch.Tensor:
        """[outputs, inputs, 3, 3]: the standardised filters."""
        w = self.weight
        variance, mean = torch.var_mean(w, (1, 2, 3), keepdim=True)
        fan_in = w[0].numel()
        return (w - mean) * torch.rsqrt(variance * fan_in + 1e-4) * (self.GAIN * self.scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.filters(), self.bias, self.stride, 1)

    def fold(self) -> nn.Conv2d:
        """The plain convolution with the same answer."""
        outputs, inputs = self.weight.shape[:2]
        conv = nn.Conv2d(inputs, outputs, 3, self.stride, 1)
        conv.weight = nn.Parameter(self.filters().detach())
        conv.bias = nn.Parameter(self.bias.detach())
        return conv

    @torch.no_grad()
    def unfold(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Become the convolution with that weight and bias: the inverse of `fold`."""
        norm = torch.linalg.vector_norm(weight, dim=(1, 2, 3), keepdim=True)
        self.weight.copy_(weight / norm.clamp(min=1e-12) * weight[0].numel() ** 0.5)
        self.scale.fill_(1)
        unit = torch.linalg.vector_norm(self.filters(), dim=(1, 2, 3), keepdim=True)
        self.scale.copy_(norm / unit.clamp(min=1e-12))
        self.bias.copy_(bias)


def fold(network: nn.Module) -> nn.Module:
    """Replace every StandardConv of a network, in place, by the plain convolution; returns it."""
    for name, child in network.named_children():
        setattr(network, name, child.fold() if isinstance(child, StandardConv) else fold(child))
    return network


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution and ReLU."""
    return nn.Sequential(StandardConv(inputs, outputs, stride), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = block(channels, channels)
        self.second = StandardConv(channels, channels, scale=0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Context(nn.Module):
    """Tells every place what the whole image does: adds a linear map of the mean features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.linear(x.mean((2, 3), keepdim=True))


def evidence_of(voxel: torch.Tensor) -> torch.Tensor:
    """`evidence_score` (segmentation/network_input.py) of a voxel grid, float [B, 1, H/2, W/2]."""
    gains = voxel[:, -OLD_EXTRAS : 2 - OLD_EXTRAS].float()
    gains = functional.avg_pool2d(gains, MASK_STRIDE) / GAIN
    for _ in range(2):
        gains = functional.avg_pool2d(gains, AROUND, 1, AROUND // 2)
    both = gains.sum(1, keepdim=True).clamp(min=LEARNT / SLOPE)
    return LEARNT * (gains[:, :1] - gains[:, 1:]) / both


class LayerNet(Network):
    """U-Net at 1/2, 1/4, 1/8 and 1/16 of the voxel grid with a mask head and a motion head.

    Args:
        layers: labels, the background included.
        bins: time bins of the voxel grid.
        widths: channels at 1/2, 1/4, 1/8 and 1/16.
        width: cells across of the voxel grid.
        depth: residual blocks at each of 1/4, 1/8 and 1/16; the last has one more.
        extras: channels beside the voxel grids (see segmentation/network_input.py).
    """

    variant = "layernet"
    background = "first"  # which layer is the background, as training defines it
    any_size = True

    def __init__(
        self,
        layers: int = 2,
        bins: int = 5,
        widths: tuple[int, ...] = (32, 32, 64, 112),
        width: int = 320,
        depth: int = 1,
        extras: int = EXTRAS,
    ) -> None:
        super().__init__()
        self.settings = {
            "layers": layers, "bins": bins, "widths": list(widths), "width": width, "depth": depth,
            "extras": extras,
        }  # fmt: skip
        self.voxel = VoxelSpec(
            bins=bins, split=True, width=width, multiple=16, layers=layers, extras=extras
        )
        pairs = list(pairwise(widths))
        self.stem = block(self.voxel.channels, widths[0], 2)
        self.down = nn.ModuleList(
            nn.Sequential(block(a, b, 2), *(Residual(b) for _ in range(depth))) for a, b in pairs
        )
        self.bottom = nn.Sequential(Context(widths[-1]), Residual(widths[-1]))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.up = nn.ModuleList(block(a, a) for a in widths[:-1])
        self.mask_head = nn.Conv2d(widths[0], layers, 1)
        self.mask_head.weight = nn.Parameter(0.01 * self.mask_head.weight.detach())
        self.mask_head.bias = nn.Parameter(torch.tensor([0.0] + [SILENT] * (layers - 1)))
        self.motion_head = nn.Sequential(block(widths[1], widths[1]), nn.Conv2d(widths[1], 3, 1))

    def forward(self, voxel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Segment.

        Args:
            voxel: float [B, layers x 2 x bins, H, W], counts: a grid for each layer's known motion;
                H and W multiples of 16.

        Returns:
            masks [B, layers, H/2, W/2], logits; softmax over layers gives the soft masks.
            affine [B, layers, 2, 3], displacement over the window in cells (see network/affine.py)
                beyond that of each layer's known motion.
            motion [B, 3, H/4, W/4]: displacement (u, v) in cells beyond the known motion of the
                layer that is seen there, and its weight (0 to 1).
        """
        # The square root makes the noise of a count the same at any rate, and is cheap.
        features = [self.stem(torch.sqrt(voxel))]
        for stage in self.down:
            features.append(stage(features[-1]))
        scales = [self.bottom(features.pop())]  # from 1/16 up to 1/2
        for lateral, up, skip in zip(
            reversed(self.lateral), reversed(self.up), reversed(features), strict=True
        ):
            x = functional.interpolate(lateral(scales[-1]), scale_factor=2.0, mode="bilinear")
            scales.append(up(x + skip))
        # Under mixed precision the heads' answers are the last thing in few bits.
        masks = self.mask_head(scales[-1]).float()
        raw = self.motion_head(scales[-2]).float()
        flow, weight = raw[:, :2] * FLOW_UNIT, torch.sigmoid(raw[:, 2:])
        share = torch.softmax(functional.avg_pool2d(masks, FLOW_STRIDE // MASK_STRIDE), 1)
        # Squared, a place that several layers share says little about any of them.
        affine = fit_affine(flow, weight * share * share, FLOW_STRIDE, STIFFNESS)
        if self.settings["extras"] and not self.bare:
            masks = masks + functional.pad(evidence_of(voxel), (0, 0, 0, 0, 1, 0))
        return masks, affine, torch.cat((flow, weight), 1)
