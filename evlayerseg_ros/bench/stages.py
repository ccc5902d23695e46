"""What each step of the pipeline takes by itself, in this process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.measure import Row, measure, summary
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.inference.outputs import OUTPUTS, Output
from evlayerseg_ros.inference.segmentation import Segmentation
from evlayerseg_ros.inference.segmenter import PROVIDERS, Segmenter
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.vendor import read_raw

RAW_BLOCK = 1 << 16  # bytes of a RAW file that are decoded at once, about a packet


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        model, provider, threads: as Segmenter.load takes them; provider "auto" measures each there
            is.
        paper: ONNX file of another network to compare with, or None.
        recordings: whose packets to decode; synthetic ones if there are none.
        rates: million events per second.
        sizes: of sensors, px.
        seconds: for each figure.
    """

    model: str = "default"
    provider: str = "auto"
    threads: int = 0
    paper: Path | None = None
    recordings: tuple[Path, ...] = ()
    rates: tuple[float, ...] = (1.0, 5.0, 20.0, 50.0)
    sizes: tuple[tuple[int, int], ...] = ((346, 260), (640, 480), (1280, 720))
    seconds: float = 2.0


class _Packets(NamedTuple):
    """Packets of one camera: (data, time base)."""

    name: str
    encoding: str
    width: int
    height: int
    data: list[tuple[np.ndarray, int]]

    def decode(self) -> int:
        """All of them, as the node does; how many events."""
        decoder = Decoder(self.encoding, self.width, self.height)
        return sum(len(decoder.decode(data, base)) for data, base in self.data)


def size_name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


# -- decoding


def decode(settings: Settings) -> Iterator[Row]:
    """Decoding, one thread, packet by packet; and faery's reader of the same EVT 3.0 as a file."""
    for packets in _recorded(settings) if settings.recordings else _synthetic():
        events = packets.decode()
        times = measure(packets.decode, settings.seconds)
        size = sum(len(data) for data, _ in packets.data)
        about = {"events": events, "bytes_per_event": size / events} if events else {}
        what = {"stream": packets.name, "encoding": packets.encoding}
        yield {**what, "by": "evlayerseg", **about, **summary(times, events)}
        if packets.encoding == "evt3" and (read := _faery_reader()):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "same.raw"
                header = f"% evt 3.0\n% geometry {packets.width}x{packets.height}\n% end\n"
                path.write_bytes(header.encode() + b"".join(d.tobytes() for d, _ in packets.data))
                events = read(path)
                times = measure(partial(read, path), settings.seconds)
            yield {**what, "by": "faery", "events": events, **summary(times, events)}


def _synthetic() -> Iterator[_Packets]:
    width, height = 640, 480
    for rate in (5.0, 50.0):
        scene = list(scenes.packets(width, height, rate, round(100 / rate)))
        for encoding in ENCODINGS:
            data = [(encode(encoding, e, int(e.t[0])), int(e.t[0])) for e in scene]
            yield _Packets(f"synthetic {rate:g} Mev/s", encoding, width, height, data)


def _recorded(settings: Settings) -> Iterator[_Packets]:
    for path in settings.recordings:
        with open_recording(path) as recording:
            size = recording.width, recording.height
            if path.suffix.lower() == ".raw":
                encoding, raw = read_raw(path)
                blocks = np.split(raw, range(RAW_BLOCK, len(raw), RAW_BLOCK))
                yield _Packets(path.name, encoding, *size, [(block, 0) for block in blocks])
                continue
            packets = list(recording)
        encodings = {packet.encoding for packet in packets}
        if encodings - set(ENCODINGS) or len(encodings) != 1:
            raise InputError(
                f"{path} holds no encoded packets: expected a bag of EventPackets, or RAW."
            )
        data = [(packet.data, packet.time_base) for packet in packets]
        yield _Packets(path.name, encodings.pop(), *size, data)


def _faery_reader() -> Callable[[Path], int] | None:
    try:
        import faery
    except ImportError:
        return None
    return lambda path: sum(map(len, faery.events_stream_from_file(path)))


# -- voxel grid


def voxel(settings: Settings) -> Iterator[Row]:
    """Windows of 33 ms to voxel grids: the model's, and at full resolution beside tonic's."""
    spec = Segmenter.load(settings.model, "cpu").info.voxel
    for size in settings.sizes:
        for rate in settings.rates:
            window = scenes.window(*size, rate)
            out = np.zeros(spec.shape(*size), np.float32)
            times = measure(partial(voxel_grid, window, spec, out), settings.seconds)
            yield _voxel_row("evlayerseg", size, spec, window, times)
    yield from _beside_tonic(settings)


def _beside_tonic(settings: Settings) -> Iterator[Row]:
    """The same grid by tonic and by us: each pixel a cell, polarity as +1 and -1."""
    size = (640, 480)
    window = scenes.window(*size, 5.0)
    spec = VoxelSpec(bins=5, split=False)
    out = np.zeros(spec.shape(*size), np.float32)
    times = measure(partial(voxel_grid, window, spec, out), settings.seconds)
    yield _voxel_row("evlayerseg", size, spec, window, times)
    try:
        from tonic.functional import to_voxel_grid_numpy
    except ImportError:
        return
    events = window.events
    table = np.zeros(len(events), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    for name in table.dtype.names or ():
        table[name] = getattr(events, name)
    times = measure(lambda: to_voxel_grid_numpy(table, (*size, 2), spec.bins), settings.seconds)
    yield _voxel_row("tonic", size, spec, window, times)


def _voxel_row(
    by: str, size: tuple[int, int], spec: VoxelSpec, window: Window, times: np.ndarray
) -> Row:
    events = len(window.events)
    return {
        "sensor": size_name(size),
        "grid": "x".join(map(str, spec.shape(*size))),
        "by": by,
        "events": events,
        **summary(times, events),
    }


# -- network


@dataclass
class _Model:
    """A model on a provider that can really be had."""

    segmenter: Segmenter

    @property
    def session(self) -> Any:
        """The Segmenter's own: the network alone, set up as it is in use."""
        return self.segmenter._session

    def takes(self, size: tuple[int, int]) -> bool:
        """Whether the network takes a sensor of that size; the paper's takes only its own."""
        wanted = self.session.get_inputs()[0].shape[1:]
        shape = self.segmenter.info.voxel.shape(*size)
        return all(not isinstance(w, int) or w == s for w, s in zip(wanted, shape, strict=True))

    def about(self, size: tuple[int, int]) -> Row:
        return {
            "model": self.segmenter.info.name,
            "provider": self.segmenter.provider,
            "sensor": size_name(size),
        }


def _models(settings: Settings) -> Iterator[_Model]:
    import onnxruntime

    there = onnxruntime.get_available_providers()
    asked = PROVIDERS if settings.provider == "auto" else (settings.provider,)
    models = (settings.model, settings.paper) if settings.paper else (settings.model,)
    for model in models:
        for provider in asked:
            if PROVIDERS[provider] not in there:
                continue
            segmenter = Segmenter.load(model, provider, threads=settings.threads)
            if segmenter.provider != provider:
                continue  # built in, but without a device or its libraries
            yield _Model(segmenter)


def inference(settings: Settings) -> Iterator[Row]:
    """The network alone, from voxel grid to scores."""
    for model in _models(settings):
        for size in filter(model.takes, settings.sizes):
            grid = voxel_grid(scenes.window(*size, 5.0), model.segmenter.info.voxel)
            feed = {model.session.get_inputs()[0].name: grid[None]}
            times = measure(partial(model.session.run, None, feed), settings.seconds)
            yield {**model.about(size), "grid": "x".join(map(str, grid.shape)), **summary(times)}


def segmenter(settings: Settings) -> Iterator[Row]:
    """A Segmenter's whole work on a window of 33 ms: voxel grid, network, labels, motion."""
    for model in _models(settings):
        for size in filter(model.takes, settings.sizes):
            for rate in settings.rates:
                window = scenes.window(*size, rate)
                times = measure(partial(model.segmenter, window), settings.seconds)
                yield {**model.about(size), "events": len(window.events), **summary(times)}


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
