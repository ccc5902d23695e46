"""A trained network to an ONNX file that says of itself what it needs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.inference.segmenter import METADATA_KEY, ModelInfo
from evlayerseg_ros.model.layernet import LayerNet, fold
from evlayerseg_ros.model.network import Network
from evlayerseg_ros.model.paper import PaperNet

OPSET = 17
TOLERANCE = 1e-3  # relative to the largest output
VARIANTS: dict[str, type[Network]] = {net.variant: net for net in (LayerNet, PaperNet)}


class _Runtime(nn.Module):
    """The network with the outputs that the Segmenter reads: masks and affine."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, voxel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        masks, affine = self.network(voxel)[:2]
        return masks, affine


def load_checkpoint(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network of a checkpoint with its averaged weights, and everything else in the file.

    Raises:
        InputError: it does not exist or is no checkpoint of this package.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = VARIANTS[state["variant"]](**state["settings"])
        network.load_state_dict(state["average"])
    except FileNotFoundError as error:
        raise InputError(f"Checkpoint {path} does not exist.") from error
    except Exception as error:  # unpickling fails in many ways, all meaning this
        raise InputError(f"{path} is not a checkpoint of `evlayerseg train` ({error}).") from error
    return network, state


def export(network: Network, out: Path, name: str, regime: str, training: dict[str, Any]) -> None:
    """Write a network as ONNX with its metadata, and check that ONNX Runtime gives the same
    answers.

    Args:
        network: LayerNet or PaperNet; changed in place (folded).
        out: the file to write.
        name, regime, training: see ModelInfo.

    Raises:
        InputError: the exported model answers differently.
    """
    runtime = _Runtime(fold(network).eval())
    spec = network.voxel
    info = ModelInfo(
        name=name, variant=network.variant, voxel=spec, layers=network.settings["layers"],
        background=network.background, regime=regime, training=training,
    )  # fmt: skip
    shape = spec.shape(640, 480)
    dynamic = {"voxel": {2: "rows", 3: "columns"}, "masks": {2: "h", 3: "w"}}
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            runtime, (torch.rand(1, *shape),), str(out), opset_version=OPSET, dynamo=False,
            input_names=["voxel"], output_names=["masks", "affine"],
            dynamic_axes=dynamic if network.any_size else None,
        )  # fmt: skip
    model = onnx.load(str(out))
    onnx.helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, str(out))
    sizes = [(640, 480), (346, 260)] if network.any_size else [(640, 480)]
    for width, height in sizes:
        check_parity(runtime, out, spec.shape(width, height))


def check_parity(runtime: nn.Module, path: Path, shape: tuple[int, int, int]) -> None:
    """Compare torch and ONNX Runtime on a sparse random voxel grid of a shape.

    Raises:
        InputError: an output differs by more than TOLERANCE of its largest value.
    """
    voxel = torch.poisson(torch.full((1, *shape), 0.1), torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = session.run(["masks", "affine"], {"voxel": voxel.numpy()})
    with torch.no_grad():
        expected = runtime(voxel)
    for what, want, got in zip(("masks", "affine"), expected, answers, strict=True):
        error = float(np.abs(want.numpy() - got).max() / max(1e-6, np.abs(want.numpy()).max()))
        if error > TOLERANCE:
            raise InputError(f"{path} answers differently from the network: {what} by {error:.1e}.")
