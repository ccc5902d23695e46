"""A trained network to an ONNX file that says of itself what it needs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.nn import functional

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.network.layernet import LayerNet, StandardConv, fold
from evlayerseg_ros.segmentation.model_file import METADATA_KEY, ModelInfo
from evlayerseg_ros.segmentation.network_input import EXTRAS

OPSET = 17
TOLERANCE = 1e-3  # relative to the largest output
PERCENTILE = 99.99  # of activations that 8 bits span
HEADS = ("/mask_head/Conv", "/motion_head.1/Conv")  # the convolutions that give the answers


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

    A checkpoint of the paper's network is known once evlayerseg_ros.paper.network is imported.

    Raises:
        InputError: it does not exist or is no checkpoint of this package.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = Network.variants[state["variant"]](**state["settings"])
        network.load_state_dict(state["average"])
    except FileNotFoundError as error:
        raise InputError(f"Checkpoint {path} does not exist.") from error
    except Exception as error:  # unpickling fails in many ways, all meaning this
        raise InputError(
            f"{path} is not a checkpoint: expected a checkpoint.pt of `evlayerseg train`."
        ) from error
    return network, state


def load_exported(path: Path) -> tuple[LayerNet, ModelInfo]:
    """The LayerNet that `export` wrote, ready to be trained on, and what its file says of it.

    Raises:
        InputError: the file is not an exported LayerNet.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        text = {prop.key: prop.value for prop in model.metadata_props}[METADATA_KEY]
        info = ModelInfo.from_json(text, str(path))
        values = {
            array.name.removeprefix("network."): torch.tensor(onnx.numpy_helper.to_array(array))
            for array in model.graph.initializer
        }
        stages = ["stem.0", *(f"down.{i}.0.0" for i in range(3))]
        widths = tuple(len(values[f"{stage}.bias"]) for stage in stages)
        blocks = [name for name in values if name.startswith("down.0.")]
        depth = sum(name.endswith(".second.bias") for name in blocks)
        network = LayerNet(
            info.layers, info.voxel.bins, widths, info.voxel.width, depth, info.voxel.extras
        )
        plain: dict[str, torch.Tensor] = {}
        for name, module in network.named_modules():
            if isinstance(module, StandardConv):
                module.unfold(values[f"{name}.weight"], values[f"{name}.bias"])
            elif isinstance(module, nn.Conv2d):
                plain |= {f"{name}.{part}": values[f"{name}.{part}"] for part in ("weight", "bias")}
        network.load_state_dict(plain, strict=False)
    except InputError:
        raise
    except Exception as error:  # a broken or foreign file fails in many ways, all meaning this
        raise InputError(
            f"{path} is not an exported LayerNet: expected an .onnx that `evlayerseg export` wrote."
        ) from error
    return network, info


@torch.no_grad()
def with_extras(network: LayerNet) -> LayerNet:
    """A network that was made with fewer further channels, with all of them: it ignores those that
    are new at first."""
    settings = {**network.settings, "extras": EXTRAS}
    known = network.settings["extras"]
    if known == EXTRAS:
        return network
    wide = LayerNet(**settings)
    stem, wide_stem = (net.stem[0] for net in (network, wide))
    assert isinstance(stem, StandardConv) and isinstance(wide_stem, StandardConv)
    plain = stem.fold()
    grids = plain.weight.shape[1] - known  # new channels come before the known ones
    parts = plain.weight[:, :grids], plain.weight[:, grids:]
    weight = torch.cat((functional.pad(parts[0], (0, 0, 0, 0, 0, EXTRAS - known)), parts[1]), 1)
    wide.load_state_dict({**network.state_dict(), "stem.0.weight": weight})
    assert plain.bias is not None
    wide_stem.unfold(weight, plain.bias)
    return wide


def export(network: Network, out: Path, name: str, regime: str, training: dict[str, Any]) -> None:
    """Write a network as ONNX with its metadata, and check that ONNX Runtime gives the same
    answers.

    Args:
        network: any Network; changed in place (folded).
        out: the file to write.
        name, regime, training: see ModelInfo.

    Raises:
        InputError: the exported model answers differently.
    """
    runtime = _Runtime(fold(network).eval())
    network.bare = True
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


def export_checkpoint(checkpoint: Path, out: Path, name: str) -> Network:
    """Export what `evlayerseg train` wrote, with what it says of its training.

    Args:
        checkpoint: its checkpoint.pt.
        out, name: see `export`.

    Returns:
        The network, folded.

    Raises:
        InputError: as `load_checkpoint` and `export`.
    """
    network, state = load_checkpoint(checkpoint)
    about = {key: state[key] for key in ("training", "step", "scores", "data")}
    export(network, out, name, state["regime"], about)
    return network


def quantise(path: Path, out: Path, voxels: Iterable[np.ndarray]) -> None:
    """Write an exported LayerNet in 8 bits up to its last convolutions, which CPUs run faster.

    Args:
        path: what `export` wrote.
        out: the file to write.
        voxels: inputs [1, C, H, W] by whose activations the scales are set.
    """

    class Inputs(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(voxels)

        def get_next(self) -> dict[str, np.ndarray] | None:
            voxel = next(self._rest, None)
            return None if voxel is None else {"voxel": voxel}

    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):  # it prints
        prepared = Path(folder) / path.name
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        # 7 bits of weights: processors without 8-bit dot products overflow at 8.
        quantize_static(
            str(prepared), str(out), Inputs(), per_channel=True, reduce_range=True,
            op_types_to_quantize=["Conv", "Relu", "Add", "Resize"],
            nodes_to_exclude=_after_features(onnx.load(str(prepared))),
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )  # fmt: skip
    model, whole = onnx.load(str(out)), onnx.load(str(path))
    text = {prop.key: prop.value for prop in whole.metadata_props}[METADATA_KEY]
    info = ModelInfo.from_json(text, str(path))
    info = replace(info, name=out.stem, training={**info.training, "precision": "int8"})
    onnx.helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, str(out))


def _after_features(model: onnx.ModelProto) -> list[str]:
    """The nodes of LayerNet's last convolutions and of all that follows: masks and motions need
    more than 256 levels."""
    names: list[str] = []
    values: set[str] = set()
    for node in model.graph.node:  # in the order in which they are computed
        if node.name.endswith(HEADS) or values & set(node.input):
            names.append(node.name)
            values.update(node.output)
    return names


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
