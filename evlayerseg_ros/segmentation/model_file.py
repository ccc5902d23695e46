"""A model file: where it is, what it says of itself, and the session that runs it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.segmentation.network_input import EXTRAS, OLD_EXTRAS
from evlayerseg_ros.segmentation.session import (
    GPUS,
    OPENVINO,
    OnnxSession,
    OpenVinoSession,
    Session,
    available,
    check,
    onnx_session,
    reason,
)

METADATA_KEY = "evlayerseg"
FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself (ONNX metadata, written by `evlayerseg export`).

    Attributes:
        name: of the weights.
        variant: network: layernet or paper.
        voxel: how events become its input.
        layers: labels, the background included.
        background: which of the network's layers is the background: "first", or "most_events": the
            one that holds most events of the window.
        regime: what taught the weights, or those they began with if a part of these is kept:
            labels, label-free or none.
        training: settings, data and scores, as the model card has them.
    """

    name: str
    variant: str
    voxel: VoxelSpec
    layers: int
    background: str
    regime: str
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text that goes into the model file."""
        return json.dumps({"format": FORMAT, **self.__dict__, "voxel": self.voxel.__dict__})

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelInfo:
        """Read what `to_json` wrote.

        Raises:
            InputError: something is missing or makes no sense.
        """
        try:
            values = json.loads(text)
            version = values.pop("format")
            values["voxel"] = VoxelSpec(**values["voxel"])
            info = cls(**values)
            sound = info.sound()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"Model {source} has unreadable metadata ({error}).") from error
        if version != FORMAT or not sound or info.background not in ("first", "most_events"):
            raise InputError(
                f"Model {source} has metadata of another format; export it again with this package."
            )
        return info

    def sound(self) -> bool:
        """Whether its numbers are such as networks have: they decide how much memory is taken."""
        voxel = self.voxel
        numbers = (
            (self.layers, 2, 64), (voxel.bins, 1, 64), (voxel.width, 0, 4096),
            (voxel.multiple, 1, 1024), (voxel.layers, 0, self.layers), (voxel.extras, 0, EXTRAS),
        )  # fmt: skip
        told = voxel.extras in (0, OLD_EXTRAS, EXTRAS)
        return (
            told
            and isinstance(voxel.split, bool)
            and all(type(value) is int and low <= value <= high for value, low, high in numbers)
        )


def find_model(model: str | Path, eight_bits: bool = False) -> Path:
    """The file of a model: a path, "default", or the name of shipped weights.

    Args:
        model: which.
        eight_bits: whether "default" is the 8-bit version of the default weights, for a CPU.

    Raises:
        InputError: there is none, with the names of those that there are.
    """
    path = Path(model)
    if path.is_file():
        return path
    shipped = Path(str(resources.files("evlayerseg_ros"))) / "weights"
    default = "layernet-int8" if eight_bits else "layernet"
    name = default if str(model) == "default" else str(model)
    if path.suffix != ".onnx" and (shipped / f"{name}.onnx").is_file():
        return shipped / f"{name}.onnx"
    names = ", ".join(sorted(p.stem for p in shipped.glob("*.onnx")))
    raise InputError(
        f"Model {model} does not exist: expected an ONNX file, or one of: default, {names}."
    )


def open_model(
    model: str | Path, provider: str, precision: str, threads: int
) -> tuple[Session, ModelInfo]:
    """A model ready to run, and what it says of itself; see `Segmenter.load`.

    Raises:
        InputError: there is no such model, or the file is not a model of this package.
    """
    found = available(provider)
    path = find_model(model, eight_bits=found not in GPUS)
    session = onnx_session(path, found, precision, threads)
    if found in GPUS and OnnxSession(session).provider == "cpu":
        found = available("openvino")  # a GPU was promised that cannot be had
        path = find_model(model, eight_bits=True)
        session = onnx_session(path, found, precision, threads)
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except UnicodeDecodeError as error:
        raise InputError(f"Model {path} has unreadable metadata ({error}).") from error
    if text is None:
        raise InputError(
            f"Model {path} carries no {METADATA_KEY!r} metadata; make it with `evlayerseg export`."
        )
    info = ModelInfo.from_json(text, str(path))
    check(session, path, info.voxel.channels)
    if found != OPENVINO:
        return OnnxSession(session), info
    try:
        return OpenVinoSession(path.read_bytes(), threads or 1), info
    except Exception as error:  # OpenVINO does without some operations: run it all the same
        log.warning("OpenVINO cannot run model %s (%s): ONNX Runtime does.", path, reason(error))
        return OnnxSession(session), info
