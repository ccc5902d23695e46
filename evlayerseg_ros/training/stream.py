"""An endless stream of training samples, simulated while training runs; none is kept on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.simulation.depth_scenes import random_world
from evlayerseg_ros.simulation.planar_scenes import random_scene
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training.priors import random_told, told_in_run
from evlayerseg_ros.training.rehearsal import Rehearsal, run_of
from evlayerseg_ros.training.samples import Sample, clip_samples, to_tensors
from evlayerseg_ros.training.self_training import Lessons, RunTeacher

# Share of a run's samples with the prior that the run had; the others get a random one.
IN_RUN = 0.8
TRIES = 3  # runs of recordings that are tried for a clip; then one is simulated
HOPELESS = 12  # so many clips one after the other without a good run: training ends


class SceneStream(IterableDataset):
    """Endless training samples from freshly simulated scenes, the same for the same seed.

    Samples come in lanes, independent of each other; each worker process makes one lane. A scene
    costs more than a training step, so a lane keeps the windows of its latest clips and draws from
    them; it simulates a new clip once windows have been drawn `reuse` times on average. Each clip
    and each draw has a random generator of its own, so that a lane can go on from any draw.

    Args:
        bank: textures.
        spec: the network's voxel grid.
        seed: of everything random.
        lanes: the lane of each of this process's workers.
        start: how many draws of each lane to leave out.
        reuse: how often a window is drawn, on average.
        per_clip: windows of a clip.
        first: clips simulated before the first sample.
        pool: clips whose windows are kept.
        events: see to_tensors.
        teacher: its answers to runs of windows stand for the truth; None: the simulator's truth.
        worlds: share of the scenes that have depth (simulation/depth_scenes.py); the others are
            planes after the paper's recipe.
        lessons: recordings that some clips come from; None: all are simulated.
        rehearsal: also runs each simulated clip through the network and adds as many windows. Its
            weights change, so a lane that is resumed sees other windows then.
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
        teacher: RunTeacher | None = None,
        worlds: float = 0.7,
        lessons: Lessons | None = None,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self.bank, self.spec, self.seed, self.lanes, self.start = bank, spec, seed, lanes, start
        self.reuse, self.per_clip, self.first, self.pool = reuse, per_clip, first, pool
        self.events, self.teacher, self.worlds = events, teacher, worlds
        self.lessons, self.rehearsal = lessons, rehearsal
        self._runs: Iterator[list[Window]] | None = None
        self._fruitless = 0

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        lane = self.lanes[worker.id if worker else 0]
        clips: deque[list[Sample]] = deque(maxlen=self.pool)
        made: int | None = None
        for draw in count(self.start):
            newest = self.first + int(draw / (self.reuse * self.per_clip))
            first = max(0, newest - self.pool)
            for clip in range(first if made is None else made, newest):
                clips.append(self._clip(lane, clip))
            made = newest
            rng = np.random.default_rng([self.seed, lane, 1, draw])
            clip_drawn = clips[rng.integers(len(clips))]
            sample = clip_drawn[rng.integers(len(clip_drawn))]
            in_run = sample.prior is not None and rng.random() < IN_RUN
            told = told_in_run(sample, self.spec) if in_run else random_told(sample, self.spec, rng)
            yield to_tensors(sample, self.spec, rng, told, self.events)

    def _clip(self, lane: int, clip: int) -> list[Sample]:
        """The windows of a lane's clip."""
        rng = np.random.default_rng([self.seed, lane, 0, clip])
        found = self._recorded(self.lessons, lane, clip, rng) if self.lessons else []
        while not found:
            make = random_world if rng.random() < self.worlds else random_scene
            scene = make(rng, self.bank)
            events = simulate(scene, rng)[0]
            if self.teacher is not None:
                taught = self.teacher.samples(list(run_of(scene, events, rng)), self.spec, rng)
                found = [taught[k] for k in rng.permutation(len(taught))[: self.per_clip]]
                continue
            found = clip_samples(scene, events, rng, self.spec, self.per_clip)
            if self.rehearsal is not None:
                found += self.rehearsal(scene, events, rng, self.spec, self.per_clip)
        return found

    def _recorded(
        self, lessons: Lessons, lane: int, clip: int, rng: np.random.Generator
    ) -> list[Sample]:
        """The windows of a clip that comes from a recording; none if it is to be simulated."""
        if not lessons.is_recorded(self.seed, lane, clip):
            return []
        if self._runs is None:
            before = sum(lessons.is_recorded(self.seed, lane, k) for k in range(clip))
            self._runs = lessons.runs.drawn(lane, TRIES * before, tqdm.write)
        found: list[Sample] = []
        for run in islice(self._runs, TRIES):  # always as many, so that a lane can be resumed
            found = found or lessons.teacher.samples(run, self.spec, rng)
        self._fruitless = 0 if found else self._fruitless + 1
        if self._fruitless == HOPELESS:
            raise InputError(
                "The teacher is sure of nothing in these recordings: too few events, or nothing "
                "in them moves by itself."
            )
        return found


def example_inputs(photos: list[Path], spec: VoxelSpec) -> Iterator[np.ndarray]:
    """Inputs of a network as in training, float32 [1, C, rows, columns] each."""
    stream = SceneStream(TextureBank(photos), spec, reuse=1, per_clip=2, first=8)
    for tensors in islice(stream, 32):
        yield tensors["voxel"][None].numpy()
