"""A model file: where it is, what it says of itself, and the ONNX Runtime that runs it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import onnxruntime

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.voxel import VoxelSpec

METADATA_KEY = "evlayerseg"
FORMAT = 1
LARGEST_MODEL = 512 << 20  # bytes
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
GPUS = ("cuda", "tensorrt")
FASTEST = ("cuda", "openvino")  # that there is, in this order; TensorRT must be asked for


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
        regime: how the weights were trained: labels, label-free or none.
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
            (voxel.multiple, 1, 1024), (voxel.layers, 0, self.layers), (voxel.extras, 0, 64),
        )  # fmt: skip
        return isinstance(voxel.split, bool) and all(
            type(value) is int and low <= value <= high for value, low, high in numbers
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
) -> tuple[Path, onnxruntime.InferenceSession, ModelInfo]:
    """A model's file, its session and what it says of itself; see `Segmenter.load`.

    Raises:
        InputError: there is no such model, or the file is not a model of this package.
    """
    found = _available(provider)
    path = find_model(model, eight_bits=found not in GPUS)
    session = _session(path, found, precision, threads)
    if found in GPUS and session.get_providers()[0] == PROVIDERS["cpu"]:
        path = find_model(model, eight_bits=True)  # a GPU was promised that cannot be had
        session = _session(path, "cpu", precision, threads)
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except UnicodeDecodeError as error:
        raise InputError(f"Model {path} has unreadable metadata ({error}).") from error
    if text is None:
        raise InputError(
            f"Model {path} carries no {METADATA_KEY!r} metadata; make it with `evlayerseg export`."
        )
    return path, session, ModelInfo.from_json(text, str(path))


def _available(provider: str) -> str:
    """The provider that is asked for, or cpu if this ONNX Runtime was built without it."""
    have = onnxruntime.get_available_providers()
    wanted = FASTEST if provider == "auto" else (provider,)
    return next((name for name in wanted if PROVIDERS[name] in have), "cpu")


def _session(
    path: Path, provider: str, precision: str, threads: int
) -> onnxruntime.InferenceSession:
    """ONNX Runtime with a model, on that provider or, if it cannot be had, on the CPU."""
    if path.stat().st_size > LARGEST_MODEL:
        raise InputError(f"Model {path} is larger than {LARGEST_MODEL >> 20} MiB.")
    threads = threads or min(4, len(os.sched_getaffinity(0)))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Threads that spin while they wait would take the cores from the node and the camera.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [(PROVIDERS[provider], _provider_options(provider, precision, threads))]
    if provider != "cpu":
        providers.append((PROVIDERS["cpu"], {}))
    try:  # from bytes, so that a model cannot name other files to be read
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises many kinds, all meaning this
        raise InputError(f"Model {path} cannot be loaded: {reason(error)}") from error


def _provider_options(provider: str, precision: str, threads: int) -> dict[str, str]:
    """What ONNX Runtime calls the provider's options."""
    if provider == "openvino":
        return {"device_type": "CPU", "num_of_threads": str(threads)}
    if provider == "tensorrt":  # the first build of an engine takes minutes: keep it
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "evlayerseg"
        return {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_fp16_enable": str(int(precision == "fp16")),
        }
    return {}


def reason(error: Exception) -> str:
    """The first line of an error, shortened, as the end of a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(". ") + "."
