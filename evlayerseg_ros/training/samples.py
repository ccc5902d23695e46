"""Training samples: a window with its truth, and the tensors that a training step reads of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.motion.evidence import EVIDENCE_EVENTS, SPAN, subsample, thin_where_dense
from evlayerseg_ros.segmentation.network_input import Prior, network_input
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.simulation.depth_scenes import MOST_LAYERS
from evlayerseg_ros.simulation.simulator import Scene
from evlayerseg_ros.training.priors import Told

FEWEST, MOST = 2_500, 100_000  # events of a window
LONGEST = 0.12  # s of a window


@dataclass(frozen=True)
class Sample:
    """A window and its truth.

    Attributes:
        window: the events.
        past: events of the last SPAN ns before the window's end, at most EVIDENCE_EVENTS of them.
        layers: uint8 [rows, columns], the front-most layer at each cell at the window's end.
        label_of: uint8 [MOST_LAYERS], of each layer the object that it is a part of, 0 for none.
        displacement: float32 [MOST_LAYERS, 2, 3], of each layer over the window, in px (zeros where
            there is no such layer); see network/affine.py for the convention.
        sure: bool [rows, columns], where the truth is known; None: everywhere.
        prior: what the network was told of the window in a run of windows; None: it was in none.
    """

    window: Window
    past: Events
    layers: np.ndarray
    label_of: np.ndarray
    displacement: np.ndarray
    sure: np.ndarray | None = None
    prior: Prior | None = None


def cut_window(events: Events, start: int, count: int) -> Window:
    """The window of `count` events from index `start` on."""
    # Copied: a slice would keep the whole clip in memory.
    part = events[np.arange(start, min(start + count, len(events)))]
    begin, end = int(part.t[0]), int(part.t[-1])
    return Window(part, begin, end, end)


def true_sample(scene: Scene, events: Events, window: Window, cell: float) -> Sample:
    """A window with the simulator's truth.

    Args:
        scene: what was simulated.
        events: all events of the scene.
        window: a part of them.
        cell: side of a cell, px.
    """
    begin, end = window.start * 1e-9, window.end * 1e-9
    displacement = np.zeros((MOST_LAYERS, 2, 3), np.float32)
    label_of = np.zeros(MOST_LAYERS, np.uint8)
    label_of[: len(scene.layers)] = scene.label_of
    for layer in range(len(scene.layers)):
        displacement[layer] = scene.displacement(layer, begin, end)
    past = past_of(events, window.end)
    return Sample(window, past, scene.layers_at(end, cell), label_of, displacement)


def past_of(events: Events, end: int) -> Events:
    """The events of the last SPAN ns before `end`, thinned as for gathering evidence."""
    first, last = np.searchsorted(events.t, (end - SPAN, end), side="right")
    past = thin_where_dense(events[first:last], EVIDENCE_EVENTS)
    return past[np.arange(len(past))]  # copied, as in cut_window


def taught_sample(
    events: Events,
    window: Window,
    found: Segmentation,
    cell: float,
    sure: np.ndarray | None = None,
) -> Sample:
    """A window with a teacher's answer for its truth.

    Args:
        events: up to the window's end or beyond.
        window: a part of them.
        found: the teacher's answer, at most MOST_LAYERS labels.
        cell: side of a cell, px.
        sure: bool [H, W], where the teacher is sure; None: everywhere.
    """
    rows, columns = (
        np.clip(((np.arange(int(np.ceil(side / cell))) + 0.5) * cell).astype(int), 0, side - 1)
        for side in found.labels.shape
    )
    displacement = np.zeros((MOST_LAYERS, 2, 3), np.float32)
    for layer in range(min(len(found.affine), MOST_LAYERS)):
        if layer == 0 or (found.labels == layer).any():
            displacement[layer] = found.affine[layer] * window.duration
    places = np.ix_(rows, columns)
    labels = found.labels[places]
    known = None if sure is None else sure[places]
    label_of = np.arange(MOST_LAYERS, dtype=np.uint8)
    return Sample(window, past_of(events, window.end), labels, label_of, displacement, known)


def clip_samples(
    scene: Scene,
    events: Events,
    rng: np.random.Generator,
    spec: VoxelSpec,
    windows: int,
) -> list[Sample]:
    """Up to `windows` random windows of a scene's events; none if there are too few events.

    Half of them last 33 ms, as the node's do; the others hold a random number of events.
    """
    if len(events) < FEWEST * 1.5:
        return []
    cell = spec.cell(scene.sensor.width)
    samples = []
    for _ in range(windows):
        if rng.random() < 0.5:
            begin = rng.uniform(0, max(scene.duration - 0.033, 0)) * 1e9
            start, end = np.searchsorted(events.t, (begin, begin + 33e6))
            size = end - start
        else:
            size = int(np.exp(rng.uniform(np.log(FEWEST), np.log(min(MOST, len(events) * 0.9)))))
            start = int(rng.integers(0, len(events) - size))
        if size < FEWEST / 2:
            continue
        window = cut_window(subsample(events[int(start) : int(start + size)], MOST), 0, MOST)
        if 0 < window.duration < LONGEST:
            samples.append(true_sample(scene, events, window, cell))
    return samples


def to_tensors(
    sample: Sample,
    spec: VoxelSpec,
    rng: np.random.Generator | None,
    told: Told | None = None,
    events: int = 0,
) -> dict[str, torch.Tensor]:
    """What a training step reads, with as many cells as a 640x480 sensor has.

    Args:
        sample: a window and its truth.
        spec: the network's voxel grid.
        rng: source of everything random, which crops and flips; None: the middle of the image as
            it is.
        told: what the network is told; None: nothing.
        events: how many events to draw for a loss that reads events; 0: none.

    Returns:
        voxel: float32 [C, rows, columns]. layers: uint8 [rows, columns]. moving, seen, sure: bool
        [rows, columns], whether something moves there, there are events, the truth is known.
        single: bool, whether just one layer moves. displacement: float32 [MOST_LAYERS, 2, 3], of
        positions in cells, in cells, less what the network is told of each layer. events: float32
        [events, 4]: x, y (cells), t (0 to 1), p (1 or 0).
    """
    window, cell = sample.window, spec.cell(sample.window.events.width)
    affine = sample.displacement.copy()
    if told is not None:
        affine -= told.of_layer
    size = spec.shape(640, 480)[1:]
    top, left = _corner(sample.layers, size, rng)
    grid = network_input(window, spec, None if told is None else told.prior)
    voxel = _part(grid, top, left, size)
    sure = np.ones_like(sample.layers) if sample.sure is None else sample.sure
    maps = _part(np.stack((sample.layers, sure.astype(np.uint8))), top, left, size)
    corner = np.array([left, top])
    affine[:, :, 2] += affine[:, :, :2] @ (corner * cell + (cell - 1) / 2)
    affine[:, :, 2] /= cell
    points = _points(window, events, cell, corner, size, rng)
    if rng is not None:
        voxel, maps = _flip(voxel, maps, affine, points, spec, rng)
    layers = maps[0]
    return {
        "voxel": torch.from_numpy(np.ascontiguousarray(voxel)),
        "layers": torch.from_numpy(np.ascontiguousarray(layers)),
        "moving": torch.from_numpy(sample.label_of[layers] > 0),
        "sure": torch.from_numpy(maps[1] > 0),
        "seen": torch.from_numpy(np.abs(voxel[: len(voxel) - spec.extras]).sum(0) > 0),
        "single": torch.tensor(np.count_nonzero(sample.label_of[np.unique(layers)]) == 1),
        "displacement": torch.from_numpy(affine),
        "events": torch.from_numpy(points),
    }


def _corner(
    labels: np.ndarray, size: tuple[int, int], rng: np.random.Generator | None
) -> tuple[int, int]:
    """Top and left of a part of that many rows and columns: random, or of the middle one."""
    room = [max(0, have - want) for have, want in zip(labels.shape, size, strict=True)]
    if rng is None:
        return room[0] // 2, room[1] // 2
    return int(rng.integers(0, room[0] + 1)), int(rng.integers(0, room[1] + 1))


def _part(image: np.ndarray, top: int, left: int, size: tuple[int, int]) -> np.ndarray:
    """The part [..., rows, columns] of that size from a corner on, padded with zeros."""
    part = image[..., top : top + size[0], left : left + size[1]]
    missing = [(0, want - have) for want, have in zip(size, part.shape[-2:], strict=True)]
    return np.pad(part, [(0, 0)] * (part.ndim - 2) + missing)


def _points(
    window: Window, events: int, cell: float, corner: np.ndarray, size: tuple[int, int],
    rng: np.random.Generator | None,
) -> np.ndarray:  # fmt: skip
    """float32 [events, 4], in cells: random ones of the events in the part."""
    rng = rng or np.random.default_rng(0)
    every = window.events
    column, row = every.x // cell - corner[0], every.y // cell - corner[1]
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    candidates = np.flatnonzero(inside) if inside.any() else np.arange(len(every))
    some = every[np.sort(rng.choice(candidates, events))]
    x, y = ((place - (cell - 1) / 2) / cell for place in (some.x, some.y))
    t = (some.t - window.start) / (window.end - window.start)
    return np.stack((x - corner[0], y - corner[1], t, some.p), 1).astype(np.float32)


def _flip(
    voxel: np.ndarray, maps: np.ndarray, affine: np.ndarray, points: np.ndarray,
    spec: VoxelSpec, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Flips x, y and polarity, each half of the time (the paper's augmentations).

    Now and then all events become ON events, as a sensor without polarities gives them. Motions
    and events are changed in place; the new voxel grid and maps [.., rows, columns] are returned.
    """
    for axis in (0, 1):  # x, y
        if rng.random() < 0.5:
            voxel, maps = np.flip(voxel, 2 - axis), np.flip(maps, -1 - axis)
            last = maps.shape[-1 - axis] - 1
            affine[:, :, 2] += affine[:, :, axis] * last
            affine[:, :, axis] *= -1
            affine[:, axis] *= -1
            points[:, axis] = last - points[:, axis]
    grids = len(voxel) - spec.extras
    if rng.random() < 0.5:
        on_off = voxel[:grids].reshape(-1, 2 if spec.split else 1, spec.bins, *voxel.shape[1:])
        turned = (on_off[:, ::-1] if spec.split else -on_off).reshape(grids, *voxel.shape[1:])
        voxel = np.concatenate((turned, voxel[grids:]))
        points[:, 3] = 1 - points[:, 3]
    if spec.split and rng.random() < 0.06:
        on_off = voxel[:grids].reshape(-1, 2, spec.bins, *voxel.shape[1:])
        both = np.stack((on_off.sum(1), 0 * on_off[:, 0]), 1).reshape(grids, *voxel.shape[1:])
        voxel = np.concatenate((both, voxel[grids:]))
        points[:, 3] = 1
    return voxel, maps
