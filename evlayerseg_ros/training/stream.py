"""An endless stream of training windows, simulated while training runs; nothing is kept on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.training.batched import simulate_batch
from evlayerseg_ros.training.samples import Sample, clip_samples, random_known, to_tensors
from evlayerseg_ros.training.scenes import random_scene
from evlayerseg_ros.training.simulator import Scene, simulate
from evlayerseg_ros.training.teacher import Teacher
from evlayerseg_ros.training.textures import TextureBank


class SceneStream(IterableDataset):
    """Endless training samples from freshly simulated scenes, the same for the same seed.

    Samples come in lanes that know nothing of each other; a worker process makes one. A lane keeps
    the windows of its latest clips and draws from them, simulating a new clip each time that every
    window has been drawn `reuse` times on average: a scene costs more than a training step. Each
    clip and each draw has a random generator of its own, so that a lane can go on from any draw.

    Args:
        bank: textures.
        spec: the network's voxel grid.
        seed: of everything random.
        lanes: those of this process's workers, one each.
        start: draws that each lane has already given.
        reuse: how often a window is drawn, on average.
        per_clip: windows of a clip.
        first: clips simulated before the first sample.
        pool: clips whose windows are kept.
        events: as to_tensors.
        teacher: whose answers stand for the truth; None: the simulator's own.
        together: clips that are simulated at once, on a GPU where there is one; 1: each by itself,
            which a CPU does faster.
    """

    def __init__(
        self,
        bank: TextureBank,
        spec: VoxelSpec,
        seed: int = 0,
        lanes: Sequence[int] = (0,),
        start: int = 0,
        reuse: float = 3,
        per_clip: int = 4,
        first: int = 24,
        pool: int = 100,
        events: int = 0,
        teacher: Teacher | None = None,
        together: int = 1,
    ) -> None:
        self.bank, self.spec, self.seed, self.lanes, self.start = bank, spec, seed, lanes, start
        self.reuse, self.per_clip, self.first, self.pool = reuse, per_clip, first, pool
        self.events, self.teacher, self.together = events, teacher, together

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        lane = self.lanes[worker.id if worker else 0]
        clips: deque[list[Sample]] = deque(maxlen=self.pool)
        made: int | None = None
        for draw in count(self.start):
            newest = self.first + int(draw / (self.reuse * self.per_clip))
            newest = -(-newest // self.together) * self.together
            # Always the same clips together, wherever a lane begins.
            first = max(0, newest - self.pool) // self.together * self.together
            for clip in range(first if made is None else made, newest, self.together):
                clips.extend(self._clips(lane, range(clip, clip + self.together)))
            made = newest
            rng = np.random.default_rng([self.seed, lane, 1, draw])
            clip_drawn = clips[rng.integers(len(clips))]
            sample = clip_drawn[rng.integers(len(clip_drawn))]
            known = random_known(sample, self.spec, rng)
            yield to_tensors(sample, self.spec, rng, known, self.events)

    def _clips(self, lane: int, clips: range) -> list[list[Sample]]:
        """The windows of some of a lane's clips."""
        rngs = [np.random.default_rng([self.seed, lane, 0, clip]) for clip in clips]
        found: list[list[Sample]] = [[] for _ in clips]
        while missing := [i for i, samples in enumerate(found) if not samples]:
            those = [rngs[i] for i in missing]
            scenes = [random_scene(rng, self.bank) for rng in those]
            made = zip(missing, scenes, self._simulate(scenes, those), strict=True)
            for i, scene, events in made:
                found[i] = clip_samples(
                    scene, events, rngs[i], self.spec, self.per_clip, self.teacher
                )
        return found

    def _simulate(self, scenes: list[Scene], rngs: list[np.random.Generator]) -> list[Events]:
        """The events of each scene."""
        if self.together == 1:
            return [simulate(scene, rng)[0] for scene, rng in zip(scenes, rngs, strict=True)]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return [events for events, _ in simulate_batch(scenes, rngs, device)]


def example_inputs(photos: list[Path], spec: VoxelSpec, inputs: int = 32) -> Iterator[np.ndarray]:
    """Some of a network's inputs as in training: float32 [1, C, rows, columns] each."""
    stream = SceneStream(TextureBank(photos), spec, reuse=1, per_clip=2, first=8)
    for tensors in islice(stream, inputs):
        yield tensors["voxel"][None].numpy()
