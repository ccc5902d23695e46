"""What each step of the pipeline takes by itself, in this process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.measure import Row, measure, measure_in_turn, ratio, summary
from evlayerseg_ros.errors import InferenceError, InputError
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.outputs.outputs import OUTPUTS, Output
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.raw import read_raw
from evlayerseg_ros.segmentation.model_file import PROVIDERS
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

RAW_BLOCK = 1 << 16  # bytes of a RAW file that are decoded at once, about a packet


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        model, provider, threads, refine: as Segmenter.load takes them; provider "auto" measures
            each there is; refine is for the node, the network alone is measured both ways.
        paper: ONNX file of another network to compare with, or None.
        recordings: whose packets to decode; synthetic ones if there are none.
        rates: million events per second.
        sizes: of sensors, px.
        seconds: for each figure.
    """

    model: str = "default"
    provider: str = "auto"
    threads: int = 0
    refine: bool = False
    paper: Path | None = None
    recordings: tuple[Path, ...] = ()
    rates: tuple[float, ...] = (1.0, 5.0, 20.0, 50.0)
    sizes: tuple[tuple[int, int], ...] = ((346, 260), (640, 480), (1280, 720))
    seconds: float = 2.0


class Packets(NamedTuple):
    """Packets of one camera: (data, time base)."""

    name: str
    encoding: str
    width: int
    height: int
    data: Sequence[tuple[np.ndarray | bytes, int]]

    def decode(self, decoder: Decoder) -> int:
        """All of them from the beginning, as the node does; how many events."""
        decoder.reset()
        return sum(len(decoder.decode(data, base)) for data, base in self.data)


def size_name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


# -- decoding


def decode(settings: Settings) -> Iterator[Row]:
    """Decoding, one thread, packet by packet; and faery's reader of the same EVT 3.0 as a file."""
    for packets in recorded(settings) if settings.recordings else synthetic():
        decoder = Decoder(packets.encoding, packets.width, packets.height)
        with tempfile.TemporaryDirectory() as folder:
            actions: dict[str, Callable[[], int]]
            actions = {"evlayerseg": partial(packets.decode, decoder)}
            if packets.encoding == "evt3" and (read := _faery_reader()):
                path = Path(folder) / "same.raw"
                header = f"% evt 3.0\n% geometry {packets.width}x{packets.height}\n% end\n"
                path.write_bytes(header.encode() + b"".join(bytes(d) for d, _ in packets.data))
                actions["faery"] = partial(read, path)
            counts = [action() for action in actions.values()]
            times = measure_in_turn(list(actions.values()), settings.seconds)
        size = sum(len(data) for data, _ in packets.data)
        for by, events, each in zip(actions, counts, times, strict=True):
            yield {
                "stream": packets.name,
                "encoding": packets.encoding,
                "by": by,
                "packets": len(packets.data),
                "events": events,
                "bytes_per_event": size / events if events else None,
                **summary(each, events),
                **ratio(each, times[0]),
            }


def synthetic() -> Iterator[Packets]:
    """Streams of 5 and 50 Mev/s in every encoding."""
    width, height = 640, 480
    for rate in (5.0, 50.0):
        scene = list(scenes.packets(width, height, rate, round(100 / rate)))
        for encoding in ENCODINGS:
            data = [(encode(encoding, e, int(e.t[0])), int(e.t[0])) for e in scene]
            yield Packets(f"synthetic {rate:g} Mev/s", encoding, width, height, data)


def recorded(settings: Settings) -> Iterator[Packets]:
    """The packets of the recordings that are to be measured."""
    for path in settings.recordings:
        with open_recording(path) as recording:
            size = recording.width, recording.height
            if path.suffix.lower() == ".raw":
                encoding, raw = read_raw(path)
                blocks = np.split(raw, range(RAW_BLOCK, len(raw), RAW_BLOCK))
                yield Packets(path.name, encoding, *size, [(block, 0) for block in blocks])
                continue
            packets = list(recording)
        encodings = {packet.encoding for packet in packets}
        if encodings - set(ENCODINGS) or len(encodings) != 1:
            raise InputError(
                f"{path} holds no encoded packets: expected a bag of EventPackets, or RAW."
            )
        data = [(packet.data, packet.time_base) for packet in packets]
        yield Packets(path.name, encodings.pop(), *size, data)


def _faery_reader() -> Callable[[Path], int] | None:
    try:
        import faery
    except ImportError:
        return None
    return lambda path: sum(map(len, faery.events_stream_from_file(path)))


# -- voxel grid

_Fills = dict[str, Callable[[], np.ndarray]]


def voxel(settings: Settings) -> Iterator[Row]:
    """Windows of 33 ms to voxel grids: the model's, and at full resolution beside tonic's."""
    spec = Segmenter.load(settings.model, "cpu").info.voxel
    motions = np.zeros((spec.layers, 2, 3))
    motions[:, 0, 2] = 50 + 50 * np.arange(spec.layers)  # px/s to the right
    for size in settings.sizes:
        out = np.zeros(spec.shape(*size), np.float32)
        for rate in settings.rates:
            window = scenes.window(*size, rate)
            fill: _Fills = {"at rest": partial(voxel_grid, window, spec, out)}
            if spec.layers:
                fill["along motions"] = partial(voxel_grid, window, spec, out, motions)
            yield from _grids(fill, size, spec, window, settings.seconds)
    yield from _beside_tonic(settings)


def _beside_tonic(settings: Settings) -> Iterator[Row]:
    """The same grid by us and by tonic: each pixel a cell, polarity as +1 and -1."""
    size = (640, 480)
    window = scenes.window(*size, 5.0)
    spec = VoxelSpec(bins=5, split=False)
    out = np.zeros(spec.shape(*size), np.float32)
    fill: _Fills = {"at rest": partial(voxel_grid, window, spec, out)}
    try:
        from tonic.functional import to_voxel_grid_numpy
    except ImportError:
        pass
    else:
        events = window.events
        table = np.zeros(len(events), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
        for name in table.dtype.names or ():
            table[name] = getattr(events, name)
        fill["by tonic"] = lambda: to_voxel_grid_numpy(table, (*size, 2), spec.bins)
    yield from _grids(fill, size, spec, window, settings.seconds)


def _grids(
    fill: _Fills, size: tuple[int, int], spec: VoxelSpec, window: Window, seconds: float
) -> Iterator[Row]:
    """Several ways to fill one grid, in turn."""
    times = measure_in_turn(list(fill.values()), seconds)
    for how, each in zip(fill, times, strict=True):
        events = len(window.events)
        yield {
            "sensor": size_name(size),
            "grid": "x".join(map(str, spec.shape(*size))),
            "events": events,
            "how": how,
            **summary(each, events),
            **ratio(each, times[0]),
        }


# -- network


def inference(settings: Settings) -> Iterator[Row]:
    """The network: windows of two events, so that nothing else takes time but enlarging labels."""
    for size in settings.sizes:
        window = scenes.window(*size, 5.0)
        few = replace(window, events=window.events[np.array([0, -1])])
        yield from _segmented(settings, size, few)


def segmenter(settings: Settings) -> Iterator[Row]:
    """A Segmenter's whole work on a window of 33 ms: voxel grid, network, labels, motion."""
    for size in settings.sizes:
        for rate in settings.rates:
            yield from _segmented(settings, size, scenes.window(*size, rate))


def _segmented(settings: Settings, size: tuple[int, int], window: Window) -> Iterator[Row]:
    """A window by every model, on one provider after the other, in turn."""
    for provider in _providers(settings):
        ways = list(_ways(settings, provider, window))
        times = measure_in_turn([partial(way.segment, window) for way in ways], settings.seconds)
        for way, each in zip(ways, times, strict=True):
            yield {
                "model": way.segmenter.info.name,
                "provider": provider,
                "sensor": size_name(size),
                "events": len(window.events),
                "refine": way.refine,
                **summary(each),
                **ratio(each, times[0]),
            }


@dataclass
class _Way:
    """A Segmenter that refines its answer or does not."""

    segmenter: Segmenter
    refine: bool

    def segment(self, window: Window) -> Segmentation:
        self.segmenter.refine, self.segmenter.track = self.refine, True  # as the node does
        return self.segmenter(window)


def _ways(settings: Settings, provider: str, window: Window) -> Iterator[_Way]:
    """The model in every way that it has and that is asked for, then the one beside it."""
    ours = _load(settings.model, provider, settings.threads)
    if ours.info.voxel.layers:
        yield _Way(ours, True)
    yield _Way(ours, False)
    if settings.paper:
        other = _Way(_load(settings.paper, provider, settings.threads), False)
        with suppress(InferenceError):  # the paper's takes one size of sensor only
            other.segment(window)
            yield other


def _providers(settings: Settings) -> Iterator[str]:
    """Those asked for that can really be had."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    for name in PROVIDERS if settings.provider == "auto" else [settings.provider]:
        # One may be built in, but without a device or its libraries.
        built_in = PROVIDERS[name] in there
        if built_in and _load(settings.model, name, settings.threads).provider == name:
            yield name


@cache
def _load(model: str | Path, provider: str, threads: int) -> Segmenter:
    return Segmenter.load(model, provider, threads=threads)


# -- outputs


def outputs(settings: Settings) -> Iterator[Row]:
    """Each topic's data from a window at 5 Mev/s, label of each event included where needed."""
    for size in settings.sizes:
        done = boxed(scenes.window(*size, 5.0))
        for name, makers in {**{n: [m] for n, m in OUTPUTS.items()}, "all": _MAKERS}.items():
            times = measure(partial(_make, makers, done), settings.seconds)
            yield {"sensor": size_name(size), "topic": name, **summary(times)}


_MAKERS = list(OUTPUTS.values())


def _make(makers: list[Callable[[Window, Segmentation], Output]], done: Segmentation) -> None:
    done = replace(done)  # a fresh one, so that nothing is remembered from the run before
    for make in makers:
        make(done.window, done)


def boxed(window: Window) -> Segmentation:
    """The scene's own labels: the box covers a sixteenth of the sensor."""
    events = window.events
    width, height = events.width, events.height
    labels = np.zeros((height, width), np.uint8)
    labels[2 * height // 5 : 13 * height // 20, width // 5 : 9 * width // 20] = 1
    affine = np.zeros((2, 2, 3))
    affine[:, 0, 2] = 0.1 * width, 0.4 * width
    return Segmentation(window, labels, affine)


STAGES: dict[str, Callable[[Settings], Iterator[Row]]] = {
    stage.__name__: stage for stage in (decode, voxel, inference, segmenter, outputs)
}
"""What measures each section, by its name."""
