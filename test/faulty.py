"""Sound packets, files and models, and what can happen to their bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.bench.scenes import packets as scene
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.codecs import ENCODINGS
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.segmentation.model_file import METADATA_KEY, ModelInfo

SIZE = (320, 240)
WORD = {"evt3": 2, "evt2": 4, "evt21": 8, "libcaer": 8, "libcaer_cmp": 2, "mono": 8}
Fault = Callable[[np.random.Generator, bytes], bytes]


def _sound() -> dict[str, list[bytes]]:
    chunks = list(scene(*SIZE, 0.05, 12))
    return {
        encoding: [encode(encoding, e, base).tobytes() for e, base in zip(chunks, bases())]
        for encoding in ENCODINGS
    }


def bases() -> list[int]:
    """Time bases of the sound packets, ns."""
    return [PACKET_NS * k for k in range(1, 13)]


PACKETS = _sound()
"""For each encoding 12 packets of about 200 events each, on a sensor of SIZE."""


def evt3_packet(first_us: int, n: int = 10, step_us: int = 400) -> np.ndarray:
    """n events as EVT3, from first_us on."""
    words = []
    for us in range(first_us, first_us + n * step_us, step_us):
        words += [0x8000 | (us >> 12) & 0xFFF, 0x6000 | us & 0xFFF, 2, 0x2801]
    return np.array(words, "<u2").view(np.uint8)


def _flip(rng: np.random.Generator, data: bytes) -> bytes:
    bits = np.frombuffer(data, np.uint8).copy()
    if len(bits):
        at = rng.integers(0, len(bits), rng.integers(1, 9))
        bits[at] ^= (1 << rng.integers(0, 8, len(at))).astype(np.uint8)
    return bits.tobytes()


def _cut(rng: np.random.Generator, data: bytes) -> bytes:
    a, b = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[a:b]


def _repeat(rng: np.random.Generator, data: bytes) -> bytes:
    part = _cut(rng, data)[:500]
    at = int(rng.integers(0, len(data) + 1))
    return data[:at] + part * int(rng.integers(1, 4)) + data[at:]


def _reorder(rng: np.random.Generator, data: bytes) -> bytes:
    a, b = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[b:] + data[a:b] + data[:a]


def _noise(rng: np.random.Generator, data: bytes) -> bytes:
    return rng.bytes(int(rng.integers(0, 600)))


def _overwrite(rng: np.random.Generator, data: bytes) -> bytes:
    """Extreme values where a length, a size or a time may stand."""
    at = int(rng.integers(0, len(data) + 1))
    value = (b"\xff", b"\0", b"\x7f", b"\x80")[rng.integers(4)] * int(rng.integers(1, 9))
    return data[:at] + value + data[at + len(value) :]


def _swap(rng: np.random.Generator, data: bytes) -> bytes:
    return np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()


FAULTS: dict[str, Fault] = {
    "none": lambda rng, data: data,
    "flip": _flip,
    "cut": _cut,
    "repeat": _repeat,
    "reorder": _reorder,
    "noise": _noise,
    "overwrite": _overwrite,
    "swap": _swap,
    "empty": lambda rng, data: b"",
}
"""What can happen to bytes on their way, by name."""


def tiny_model(
    path: Path,
    layers: int = 2,
    info: ModelInfo | None = None,
    masks: str = "masks",
    channels: int | None = None,
    bad_affine: bool = False,
    elements: int = 0,
) -> Path:
    """An ONNX file in the package's form: masks by a 1x1 convolution, a constant affine.

    Args:
        path: where to write it.
        layers: of masks and affine.
        info: its metadata; None writes what fits.
        masks: what the first output is called.
        channels: of its input; None takes those of the metadata.
        bad_affine: give [1, L, 6] instead of [1, L, 2, 3].
        elements: of an unused float constant, to make the file large.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    info = info or tiny_info(layers)
    channels = info.voxel.channels if channels is None else channels
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(size=(layers, channels, 1, 1)).astype(np.float32),
        "a": rng.normal(size=(1, layers, 6) if bad_affine else (1, layers, 2, 3)),
        "z": np.zeros((1,), np.float32),
        **({"ballast": np.zeros(elements, np.float32)} if elements else {}),
    }
    nodes = [
        helper.make_node("Conv", ["voxel", "w"], [masks]),
        helper.make_node("Add", ["a", "z"], ["affine"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("voxel", TensorProto.FLOAT, [1, channels, "h", "w"])],
        [
            helper.make_tensor_value_info(masks, TensorProto.FLOAT, None),
            helper.make_tensor_value_info("affine", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, str(path))
    return path


def tiny_info(layers: int = 2, **changed: object) -> ModelInfo:
    """Metadata of a small model; `changed` are fields of its VoxelSpec."""
    values = {"bins": 3, "split": False, "width": 160, "multiple": 8, **changed}
    return ModelInfo("tiny", "layernet", VoxelSpec(**values), layers, "first", "none")  # type: ignore[arg-type]


def some_events(n: int = 500) -> Events:
    """n events in 50 ms on a sensor of SIZE, in the order of their times, in whole us."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 50_000, n)) * 1000
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    return Events.from_arrays(x, y, t, rng.integers(0, 2, n), *SIZE)
