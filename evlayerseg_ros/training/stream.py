"""An endless stream of training windows, simulated while training runs; nothing is kept on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.training.scenes import random_scene
from evlayerseg_ros.training.simulator import Scene, simulate
from evlayerseg_ros.training.textures import TextureBank

GRID = (240, 320)  # rows and columns of the voxel grids of a batch; larger sensors are cropped
MOST_OBJECTS = 3
FEWEST, MOST = 4_000, 100_000  # events of a window


@dataclass(frozen=True)
class Sample:
    """A window and its truth.

    Attributes:
        window: the events.
        labels: uint8 [rows, columns], front-most simulated layer at each cell at the window's end.
        displacement: float32 [1 + MOST_OBJECTS, 2, 3], of each layer over the window, in px (zeros
            where there is no such layer); see model/affine.py for the convention.
    """

    window: Window
    labels: np.ndarray
    displacement: np.ndarray


def cut_sample(scene: Scene, events: Events, cell: int, start: int, count: int) -> Sample:
    """The window of `count` events from the index `start`, with its truth at cells of `cell` px."""
    # Copied: a slice would keep the whole clip in memory.
    part = events[np.arange(start, min(start + count, len(events)))]
    begin, end = int(part.t[0]), int(part.t[-1])
    displacement = np.zeros((1 + MOST_OBJECTS, 2, 3), np.float32)
    for layer in range(len(scene.layers)):
        displacement[layer] = scene.displacement(layer, begin * 1e-9, end * 1e-9)
    return Sample(Window(part, begin, end, end), scene.labels(end * 1e-9, cell), displacement)


def clip_samples(
    scene: Scene, rng: np.random.Generator, spec: VoxelSpec, count: int
) -> list[Sample]:
    """Up to `count` random windows of one simulated clip; none if it made too few events."""
    events, _ = simulate(scene, rng)
    if len(events) < FEWEST * 1.5:
        return []
    cell = spec.cell(scene.sensor.width)
    samples = []
    for _ in range(count):
        size = int(np.exp(rng.uniform(np.log(FEWEST), np.log(min(MOST, len(events) * 0.9)))))
        if rng.random() < 0.4:  # the length that most users and the paper's figures take
            size = min(50_000, int(len(events) * 0.9))
        start = int(rng.integers(0, len(events) - size))
        samples.append(cut_sample(scene, events, cell, start, size))
    return samples


def to_tensors(
    sample: Sample,
    spec: VoxelSpec,
    rng: np.random.Generator | None,
    known: np.ndarray | None = None,
) -> dict[str, torch.Tensor]:
    """What a training step reads; with `rng`, randomly flipped and cropped.

    Args:
        sample: a window and its truth.
        spec: the network's voxel grid.
        rng: source of everything random; None takes the middle of the image as it is.
        known: float [spec.layers, 2, 3], displacement in px that the network is told of each layer;
            None: nothing.

    Returns:
        voxel float32 [C, rows, columns], labels uint8 [rows, columns] (simulated layers),
        displacement float32 [1 + MOST_OBJECTS, 2, 3] in cells at a place in cells, beyond what the
        network was told.
    """
    cell = spec.cell(sample.window.events.width)
    window, displacement = sample.window, sample.displacement.copy()
    motions = None
    if known is not None and spec.layers:
        motions = known / window.duration
        displacement -= known[np.minimum(np.arange(len(displacement)), spec.layers - 1)]
    voxel = voxel_grid(window, spec, None, motions)
    labels = sample.labels
    rows, columns = min(voxel.shape[1], labels.shape[0]), min(voxel.shape[2], labels.shape[1])
    top, left = (rows - GRID[0]) // 2, (columns - GRID[1]) // 2
    if rng is not None:
        top, left = (
            int(rng.integers(0, rows - GRID[0] + 1)),
            int(rng.integers(0, columns - GRID[1] + 1)),
        )
    voxel = voxel[:, top : top + GRID[0], left : left + GRID[1]]
    labels = labels[top : top + GRID[0], left : left + GRID[1]]
    origin = np.array([left, top]) * cell + (cell - 1) / 2
    displacement[:, :, 2] = (displacement[:, :, 2] + displacement[:, :, :2] @ origin) / cell
    if rng is not None:
        voxel, labels, displacement = _flip(voxel, labels, displacement, spec, rng)
    return {
        "voxel": torch.from_numpy(np.ascontiguousarray(voxel)),
        "labels": torch.from_numpy(np.ascontiguousarray(labels)),
        "displacement": torch.from_numpy(displacement),
    }


def _flip(
    voxel: np.ndarray, labels: np.ndarray, affine: np.ndarray, spec: VoxelSpec,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Flips in x, y and polarity, each half of the time (the paper's augmentations)."""
    for axis in (0, 1):  # x, y
        if rng.random() < 0.5:
            voxel, labels = np.flip(voxel, 2 - axis), np.flip(labels, 1 - axis)
            last = labels.shape[1 - axis] - 1
            affine[:, :, 2] += affine[:, :, axis] * last
            affine[:, :, axis] *= -1
            affine[:, axis] *= -1
    if rng.random() < 0.5:
        on_off = voxel.reshape(-1, 2 if spec.split else 1, spec.bins, *voxel.shape[1:])
        voxel = (on_off[:, ::-1] if spec.split else -on_off).reshape(voxel.shape)
    return voxel, labels, affine


def random_known(sample: Sample, spec: VoxelSpec, rng: np.random.Generator) -> np.ndarray | None:
    """What the network may be told of the layers' motions: nothing, or the truth with an error.

    Errors go from those of a good answer to those of a useless one, so that the network learns both
    to begin and to go on from whatever it said, or from what was true a window ago.

    Returns:
        float [spec.layers, 2, 3], displacement in px, or None.
    """
    if not spec.layers or rng.random() < 0.35:
        return None
    events = sample.window.events
    middle = np.array([events.width, events.height]) / 2
    objects = np.flatnonzero(sample.displacement[1:].any((1, 2))) + 1
    known = np.zeros((spec.layers, 2, 3))
    known[0] = sample.displacement[0] + _random_affine(rng, (0.2, 6), middle)
    for layer in range(1, spec.layers):
        if len(objects) == 0 or rng.random() < 0.12:  # nothing found, or something else
            known[layer] = known[0]
            known[layer] += _random_affine(rng, (0.2, 30), middle)
            continue
        one = int(rng.choice(objects))
        rows, columns = np.nonzero(sample.labels == one)
        cell = spec.cell(events.width)
        centre = np.array([columns.mean(), rows.mean()]) * cell if len(rows) else middle
        known[layer] = sample.displacement[one] + _random_affine(rng, (0.3, 15), centre)
    return known


def _random_affine(
    rng: np.random.Generator, size: tuple[float, float], centre: np.ndarray
) -> np.ndarray:
    """float [2, 3]: displacement in px of a random size at a centre, changing away from it."""
    scale = np.exp(rng.uniform(*np.log(size)))
    linear = rng.normal(0, scale / 200, (2, 2))
    shift = rng.normal(0, scale, (2, 1))
    return np.hstack((linear, shift - (linear @ centre)[:, None]))


class SceneStream(IterableDataset):
    """Endless training samples from freshly simulated scenes.

    Each worker keeps a pool of the latest windows and draws from it, simulating a new clip each
    time that every window has been drawn `reuse` times on average: a scene costs more than a
    training step.

    Args:
        bank: textures.
        spec: the network's voxel grid.
        seed: of everything random.
        reuse: how often a window is drawn, on average.
        per_clip: windows of a clip.
        pool: windows kept.
        first: clips simulated before the first sample.
    """

    def __init__(
        self,
        bank: TextureBank,
        spec: VoxelSpec,
        seed: int = 0,
        reuse: float = 3,
        per_clip: int = 4,
        pool: int = 3000,
        first: int = 64,
    ) -> None:
        self.bank, self.spec, self.seed = bank, spec, seed
        self.reuse, self.per_clip, self.pool, self.first = reuse, per_clip, pool, first

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        pool: deque[Sample] = deque(maxlen=self.pool)
        clips, drawn = 0, 0
        while True:
            while clips < self.first or drawn > clips * self.reuse * self.per_clip:
                pool.extend(
                    clip_samples(random_scene(rng, self.bank), rng, self.spec, self.per_clip)
                )
                clips += 1
                if clips == self.first:
                    drawn = int(clips * self.reuse * self.per_clip)
            sample = pool[rng.integers(len(pool))]
            yield to_tensors(sample, self.spec, rng, random_known(sample, self.spec, rng))
            drawn += 1
