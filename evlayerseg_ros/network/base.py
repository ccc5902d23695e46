"""What every network of this package says of itself, so that training and export need no cases."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from evlayerseg_ros.events.voxel import VoxelSpec


class Network(nn.Module):
    """Maps a voxel grid to (masks [B, L, h, w], affine [B, L, 2, 3], ...).

    Attributes:
        variant: name in checkpoints and model files.
        background: which layer is the background: "first", or "most_events" where training leaves
            the order open.
        any_size: whether it takes any sensor, or only 640x480.
        bare: leaves out what evidence says by itself; at run time the Segmenter adds that.
        settings: arguments that make the same network again.
        voxel: how events become its input.
    """

    variants: ClassVar[dict[str, type[Network]]] = {}  # every network imported so far, by name

    variant: str
    background: str
    any_size: bool
    bare: bool = False
    settings: dict[str, Any]
    voxel: VoxelSpec

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Network.variants[cls.variant] = cls
