"""How long each step of the pipeline takes by itself, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.decoding import decode
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.measure import Row, measure, measure_in_turn, ratio, summary
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.bench.settings import Settings, size_name
from evlayerseg_ros.errors import InferenceError
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.outputs.outputs import OUTPUTS, Output
from evlayerseg_ros.pipeline import Pipeline, Segmented
from evlayerseg_ros.segmentation.config import SegmenterConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.session import NAMES, available

PIPELINE_PACKETS = 64  # of 4 ms each: eight windows

# -- voxel grid

_Fills = dict[str, Callable[[], np.ndarray]]


def voxel(settings: Settings) -> Iterator[Row]:
    """Windows of 33 ms to voxel grids: at rest, and along the layers' motions."""
    spec = _load(settings.config.segmenter, "cpu").info.voxel
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
    for provider in providers(settings):
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


class _Way(NamedTuple):
    """A Segmenter, and whether it is to take a second look."""

    segmenter: Segmenter
    refine: bool

    def segment(self, window: Window) -> Segmentation:
        self.segmenter.refine = self.refine
        return self.segmenter(window)


def _ways(settings: Settings, provider: str, window: Window) -> Iterator[_Way]:
    """The model in every way that it has and that is asked for, then the one beside it."""
    config = settings.config.segmenter
    ours = _load(config, provider)
    if ours.info.voxel.layers:
        yield _Way(ours, True)
    yield _Way(ours, False)
    if settings.paper:
        other = _Way(_load(replace(config, model=str(settings.paper)), provider), False)
        with suppress(InferenceError):  # the paper's takes one size of sensor only
            other.segment(window)
            yield other


def providers(settings: Settings) -> Iterator[str]:
    """Those asked for that can really be had."""
    config = settings.config.segmenter
    for name in NAMES if config.provider == "auto" else [config.provider]:
        # One may be built in, but without a device or its libraries.
        if available(name) == name and _load(config, name).provider == name:
            yield name


@cache
def _load(config: SegmenterConfig, provider: str) -> Segmenter:
    return Segmenter.from_config(replace(config, provider=provider))


# -- pipeline


def pipeline(settings: Settings) -> Iterator[Row]:
    """Packets of EVT 3.0 to segmentations, as `replay` does: a window's share of the time."""
    segment = _load(settings.config.segmenter, available(settings.config.segmenter.provider))
    for size in settings.sizes:
        for rate in settings.rates:
            packets = [
                Packet("evt3", *size, 0, encode("evt3", events), int(events.t[0]), seq)
                for seq, events in enumerate(scenes.packets(*size, rate, PIPELINE_PACKETS))
            ]

            def run(packets: list[Packet] = packets) -> list[Segmented]:
                return list(Pipeline(settings.config, segment).run(packets))

            windows = len(run())
            times = measure(run, settings.seconds) / windows
            events = round(rate * 1e-3 * PACKET_NS * PIPELINE_PACKETS / windows)
            yield {
                "model": segment.info.name,
                "provider": segment.provider,
                "sensor": size_name(size),
                "windows": windows,
                **summary(times, events),
            }


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
    stage.__name__: stage for stage in (decode, voxel, inference, segmenter, pipeline, outputs)
}
"""What measures each section, by its name."""
