"""Training samples: a simulated window with its truth, and what a training step reads of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.split import MOST_OBJECTS
from evlayerseg_ros.simulation.simulator import Scene
from evlayerseg_ros.training.teacher import Teacher

FEWEST, MOST = 4_000, 100_000  # events of a window


@dataclass(frozen=True)
class Sample:
    """A window and its truth.

    Attributes:
        window: the events.
        labels: uint8 [rows, columns], front-most simulated layer at each cell at the window's end.
        displacement: float32 [1 + MOST_OBJECTS, 2, 3], of each layer over the window, in px (zeros
            where there is no such layer); see network/affine.py for the convention.
    """

    window: Window
    labels: np.ndarray
    displacement: np.ndarray


def cut_window(events: Events, start: int, count: int) -> Window:
    """The window of `count` events from the index `start`."""
    # Copied: a slice would keep the whole clip in memory.
    part = events[np.arange(start, min(start + count, len(events)))]
    begin, end = int(part.t[0]), int(part.t[-1])
    return Window(part, begin, end, end)


def true_sample(scene: Scene, window: Window, cell: int) -> Sample:
    """A window with the simulator's truth at cells of `cell` px."""
    begin, end = window.start * 1e-9, window.end * 1e-9
    displacement = np.zeros((1 + MOST_OBJECTS, 2, 3), np.float32)
    for layer in range(len(scene.layers)):
        displacement[layer] = scene.displacement(layer, begin, end)
    return Sample(window, scene.labels(end, cell), displacement)


def taught_sample(window: Window, found: Segmentation, cell: int) -> Sample:
    """A window with what a teacher found in it for its truth, at cells of `cell` px."""
    size = found.labels.shape
    rows, columns = (
        np.minimum(np.arange(-(-side // cell)) * cell + cell // 2, side - 1) for side in size
    )
    displacement = np.zeros((1 + MOST_OBJECTS, 2, 3), np.float32)
    for layer in range(min(len(found.affine), 1 + MOST_OBJECTS)):
        if layer == 0 or (found.labels == layer).any():
            displacement[layer] = found.affine[layer] * window.duration
    return Sample(window, found.labels[np.ix_(rows, columns)], displacement)


def clip_samples(
    scene: Scene,
    events: Events,
    rng: np.random.Generator,
    spec: VoxelSpec,
    windows: int,
    teacher: Teacher | None = None,
) -> list[Sample]:
    """Up to `windows` random windows of a scene's events; none if there are too few.

    With a teacher, its answers stand for the truth, and windows that it is not sure of are left
    out.
    """
    if len(events) < FEWEST * 1.5:
        return []
    cell = spec.cell(scene.sensor.width)
    samples = []
    for _ in range(windows):
        size = int(np.exp(rng.uniform(np.log(FEWEST), np.log(min(MOST, len(events) * 0.9)))))
        if rng.random() < 0.4:  # the length that most users and the paper's figures take
            size = min(50_000, int(len(events) * 0.9))
        start = int(rng.integers(0, len(events) - size))
        if events.t[start + size - 1] <= events.t[start]:  # a burst has no time in which to move
            continue
        window = cut_window(events, start, size)
        if teacher is None:
            samples.append(true_sample(scene, window, cell))
        elif found := teacher(window, rng):
            samples.append(taught_sample(window, found, cell))
    return samples


def to_tensors(
    sample: Sample,
    spec: VoxelSpec,
    rng: np.random.Generator | None,
    known: np.ndarray | None = None,
    events: int = 0,
) -> dict[str, torch.Tensor]:
    """What a training step reads, as large as of a 640x480 sensor.

    With `rng` randomly flipped and cropped.

    Args:
        sample: a window and its truth.
        spec: the network's voxel grid.
        rng: source of everything random; None takes the middle of the image as it is.
        known: float [spec.layers, 2, 3], displacement in px that the network is told of each layer;
            None: nothing.
        events: how many events to draw for an objective that looks at events; 0: none.

    Returns:
        voxel float32 [C, rows, columns]; labels uint8 [rows, columns], simulated layers;
        displacement float32 [1 + MOST_OBJECTS, 2, 3] in cells at a place in cells, beyond what the
        network was told; events float32 [events, 4]: x, y (cells), t (0 to 1), p (1 or 0).
    """
    window, cell = sample.window, spec.cell(sample.window.events.width)
    told = np.zeros((max(1, spec.layers), 2, 3)) if known is None else known
    motions = told / window.duration if spec.layers else None
    layer = np.minimum(np.arange(1 + MOST_OBJECTS), len(told) - 1)
    affine = (sample.displacement - told[layer]).astype(np.float32)
    size = spec.shape(640, 480)[1:]
    top, left = _corner(sample.labels, size, rng)
    voxel = _part(voxel_grid(window, spec, None, motions), top, left, size)
    labels = _part(sample.labels, top, left, size)
    corner = np.array([left, top])
    affine[:, :, 2] += affine[:, :, :2] @ (corner * cell + (cell - 1) / 2)
    affine[:, :, 2] /= cell
    points = _points(window, events, cell, corner, size, rng)
    if rng is not None:
        voxel, labels = _flip(voxel, labels, affine, points, spec, rng)
    return {
        "voxel": torch.from_numpy(np.ascontiguousarray(voxel)),
        "labels": torch.from_numpy(np.ascontiguousarray(labels)),
        "displacement": torch.from_numpy(affine),
        "events": torch.from_numpy(points),
    }


def _corner(
    labels: np.ndarray, size: tuple[int, int], rng: np.random.Generator | None
) -> tuple[int, int]:
    """Top and left of a part of that many rows and columns: random, or in the middle."""
    room = [max(0, have - want) for have, want in zip(labels.shape, size, strict=True)]
    if rng is None:
        return room[0] // 2, room[1] // 2
    return int(rng.integers(0, room[0] + 1)), int(rng.integers(0, room[1] + 1))


def _part(image: np.ndarray, top: int, left: int, size: tuple[int, int]) -> np.ndarray:
    """[..., rows, columns] of that size from a corner on, filled up with zeros."""
    part = image[..., top : top + size[0], left : left + size[1]]
    missing = [(0, want - have) for want, have in zip(size, part.shape[-2:], strict=True)]
    return np.pad(part, [(0, 0)] * (part.ndim - 2) + missing)


def _points(
    window: Window, events: int, cell: int, corner: np.ndarray, size: tuple[int, int],
    rng: np.random.Generator | None,
) -> np.ndarray:  # fmt: skip
    """float32 [events, 4]: that many of the events in the part, drawn at random, in cells."""
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
    voxel: np.ndarray, labels: np.ndarray, affine: np.ndarray, points: np.ndarray,
    spec: VoxelSpec, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Flips in x, y and polarity, each half of the time (the paper's augmentations).

    Motions and events are changed in place; the flipped voxel grid and labels are returned.
    """
    for axis in (0, 1):  # x, y
        if rng.random() < 0.5:
            voxel, labels = np.flip(voxel, 2 - axis), np.flip(labels, 1 - axis)
            last = labels.shape[1 - axis] - 1
            affine[:, :, 2] += affine[:, :, axis] * last
            affine[:, :, axis] *= -1
            affine[:, axis] *= -1
            points[:, axis] = last - points[:, axis]
    if rng.random() < 0.5:
        on_off = voxel.reshape(-1, 2 if spec.split else 1, spec.bins, *voxel.shape[1:])
        voxel = (on_off[:, ::-1] if spec.split else -on_off).reshape(voxel.shape)
        points[:, 3] = 1 - points[:, 3]
    return voxel, labels


def random_known(sample: Sample, spec: VoxelSpec, rng: np.random.Generator) -> np.ndarray | None:
    """What the network may be told of the layers' motions: nothing, or the truth with an error.

    Errors go from those of a good answer to those of a useless one, so that the network learns both
    to begin and to go on from whatever it said, or from what was true a window ago.

    Args:
        sample: a window and its truth.
        spec: the network's voxel grid.
        rng: source of everything random.

    Returns:
        float [spec.layers, 2, 3], displacement in px, or None.
    """
    if not spec.layers or rng.random() < 0.25:
        return None
    events = sample.window.events
    middle = np.array([events.width, events.height]) / 2
    objects = np.flatnonzero(sample.displacement[1:].any((1, 2))) + 1
    known = np.zeros((spec.layers, 2, 3))
    known[0] = sample.displacement[0] + _random_affine(rng, 10, middle)
    for layer in range(1, spec.layers):
        if len(objects) == 0 or rng.random() < 0.18:  # nothing found, or something else
            known[layer] = known[0]
            known[layer] += _random_affine(rng, 30, middle)
            continue
        one = int(rng.choice(objects))
        rows, columns = np.nonzero(sample.labels == one)
        cell = spec.cell(events.width)
        centre = np.array([columns.mean(), rows.mean()]) * cell if len(rows) else middle
        known[layer] = sample.displacement[one] + _random_affine(rng, 20, centre)
    return known


def _random_affine(rng: np.random.Generator, largest: float, centre: np.ndarray) -> np.ndarray:
    """float [2, 3]: displacement of up to about `largest` px at a centre, changing away from it."""
    scale = largest * rng.random() ** 3
    linear = rng.normal(0, scale / 200, (2, 2))
    shift = rng.normal(0, scale, (2, 1))
    return np.hstack((linear, shift - (linear @ centre)[:, None]))
