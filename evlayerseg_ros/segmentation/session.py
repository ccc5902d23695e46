"""What runs a network: ONNX Runtime, or OpenVINO, which is faster on x86 processors."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from evlayerseg_ros.errors import InputError

LARGEST_MODEL = 512 << 20  # bytes
MOST_SIZES = 4  # of sensors that a network is kept compiled for
PROVIDERS = {  # of ONNX Runtime, but for OpenVINO, which runs by itself
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
OPENVINO = "openvino"
NAMES = (*PROVIDERS, OPENVINO)
GPUS = ("cuda", "tensorrt")
FASTEST = ("cuda", OPENVINO, "cpu")  # that there is, in this order; TensorRT must be asked for


class Session(Protocol):
    """A network that is ready to run."""

    provider: str

    def run(self, voxel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Masks float32 [1, L, h, w] and affine [1, L, 2, 3] of a voxel grid [1, C, rows, columns].

        They are overwritten by the next call.
        """


class OnnxSession:
    """A network run by ONNX Runtime."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        names = {full: short for short, full in PROVIDERS.items()}
        first = session.get_providers()[0]
        self.provider = names.get(first, first)

    def run(self, voxel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Session."""
        masks, affine = self._session.run(["masks", "affine"], {"voxel": voxel})
        return masks, affine


class OpenVinoSession:
    """A network run by OpenVINO; compiled for a sensor's size when that comes first.

    Args:
        model: bytes of an ONNX file.
        threads: how many compute.
    """

    provider = OPENVINO

    def __init__(self, model: bytes, threads: int) -> None:
        self._requests: dict[tuple[int, ...], Any] = {}
        self._model = _core().read_model(model)
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several nodes would be pinned to the same core
        }

    def run(self, voxel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Session."""
        request = self._requests.get(voxel.shape)
        if request is None:
            self._model.reshape(list(voxel.shape))
            compiled = _core().compile_model(self._model, "CPU", self._options)
            request = compiled.create_infer_request()
            if len(self._requests) == MOST_SIZES:
                self._requests.clear()
            self._requests[voxel.shape] = request
        found = request.infer({"voxel": voxel}, share_inputs=True, share_outputs=True)
        return found["masks"], found["affine"]


@cache
def _core() -> Any:
    """OpenVINO itself, kept until the process ends.

    Its CPU plugin gives the thread that loads it a stack for signal handlers, and frees it when the
    plugin goes, on whichever thread that is: the next signal of the first thread was fatal. A
    process must not be forked after that: multiprocessing's "spawn" makes sound ones.
    It would report its use, and complain where there is no home to keep a number in.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino.Core()


def available(provider: str) -> str:
    """The provider that is asked for, or else the fastest there is; for "auto" the fastest."""
    have = set(onnxruntime.get_available_providers())
    wanted = FASTEST if provider == "auto" else (provider, *FASTEST[1:])
    for name in wanted:
        if name == OPENVINO and importlib.util.find_spec("openvino") is not None:
            return name
        if PROVIDERS.get(name) in have:
            return name
    return "cpu"


def check(session: onnxruntime.InferenceSession, path: Path, channels: int) -> None:
    """Refuse a model whose inputs and outputs are not those that its metadata promise.

    Raises:
        InputError: they are not.
    """
    try:
        inputs = {i.name: i.shape for i in session.get_inputs()}
        outputs = {o.name: o.shape for o in session.get_outputs()}
    except UnicodeDecodeError as error:
        raise InputError(f"Model {path} has names that are no text ({error}).") from error
    fits = list(inputs) == ["voxel"] and len(inputs["voxel"]) == 4
    fits = fits and inputs["voxel"][1] == channels and {"masks", "affine"} <= set(outputs)
    if not fits:
        raise InputError(
            f"Model {path} has inputs {inputs} and outputs {list(outputs)}, expected voxel "
            f"[1, {channels}, H, W] to masks and affine."
        )


def onnx_session(
    path: Path, provider: str, precision: str, threads: int
) -> onnxruntime.InferenceSession:
    """ONNX Runtime with a model, on that provider or, if it cannot be had, on the CPU.

    Raises:
        InputError: the file is too large, or no model.
    """
    if path.stat().st_size > LARGEST_MODEL:
        raise InputError(f"Model {path} is larger than {LARGEST_MODEL >> 20} MiB.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or min(4, len(os.sched_getaffinity(0)))
    # Threads that spin while they wait would take the cores from the node and the camera.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    provider = "cpu" if provider == OPENVINO else provider
    providers = [(PROVIDERS[provider], _provider_options(provider, precision))]
    if provider != "cpu":
        providers.append((PROVIDERS["cpu"], {}))
    try:  # from bytes, so that a model cannot name other files to be read
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises many kinds, all meaning this
        if "PROTOBUF" in str(error):
            why = "it is no ONNX file, or damaged: expected one that `evlayerseg export` wrote."
        else:
            why = re.sub(r"^\[ONNXRuntimeError\][ :\d]*\w+ : ", "", reason(error))
        raise InputError(f"Model {path} cannot be loaded: {why}") from error


def _provider_options(provider: str, precision: str) -> dict[str, str]:
    """What ONNX Runtime calls the provider's options."""
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
