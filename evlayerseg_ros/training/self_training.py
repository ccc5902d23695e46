"""A teacher with hindsight over runs of windows.

The Segmenter segments a run of windows twice, forwards and backwards in time (with polarities
exchanged). Late in a run an answer rests on more evidence: the events of 133 ms, tracks, what is
known of the camera. The answers of the windows around, of both directions, are carried along the
motions found to each window, where they vote. Something moves where most of the nearest answers say
so, and nothing moves where no answer says so. In between the teacher is silent. It is silent, too,
where events speak for a motion of their own that the network misses: it must not learn its own
misses. Right around an object only the nearest answers count, so that its outline is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.motion.evidence import BLOCK, gather_evidence
from evlayerseg_ros.motion.proposals import propose
from evlayerseg_ros.segmentation.network_input import Prior
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.simulation.depth_scenes import MOST_LAYERS
from evlayerseg_ros.training.recordings import Runs
from evlayerseg_ros.training.samples import Sample, past_of, taught_sample

WARM = 2  # first windows of a run, whose answers have no vote: they rest on little
# Windows to each side whose answers may say that something moves, or that nothing does.
NEAR, FAR = 1, 3
# Something moves from this share of the near votes on: misses are commoner than false alarms.
MOVES = 0.5
# Within so many cells of an object, what fewer than this share of the near votes call moving is
# outside it.
HALO, OUTSIDE = 12, 0.3
FEWEST = 50  # events of a window
EMPTY = 0.3  # share of the windows in which nothing moves that teach
SAME = 0.25  # a part of which this share lies in a known object belongs to that object
# From so many votes on (see Proposal) events speak for a motion of their own; set when votes still
# counted losses, and not measured since.
DOUBTFUL = 0.15
ACROSS = 320  # cells across for these votes


@dataclass(frozen=True)
class Lessons:
    """How to learn from recordings.

    Attributes:
        runs: of windows.
        teacher: gives their truth.
        mix: share of the clips that are simulated.
    """

    runs: Runs
    teacher: RunTeacher
    mix: float

    def is_recorded(self, seed: int, lane: int, clip: int) -> bool:
        """Whether a lane's clip comes from a recording, the same for the same seed."""
        return bool(np.random.default_rng([seed, lane, 3, clip]).random() >= self.mix)


class Layers(NamedTuple):
    """An answer carried to another instant: labels uint8 [H, W], motions float64 [L, 2, 3]."""

    labels: np.ndarray
    affine: np.ndarray


class Taught(NamedTuple):
    """What is known of a window with hindsight.

    Attributes:
        found: its layers, labels 0 to MOST_LAYERS - 1.
        sure: bool [H, W], where the labels are sure.
        prior: what the teacher's network was told of the window, without hindsight; None: nothing.
    """

    found: Segmentation
    sure: np.ndarray
    prior: Prior | None

    def teaches(self, rng: np.random.Generator) -> bool:
        """Whether to learn from it; of windows in which nothing moves some are enough."""
        events = self.found.window.events
        if len(events) < FEWEST or not self.sure[events.y, events.x].any():
            return False
        return bool(self.found.labels.any()) or rng.random() < EMPTY


class RunTeacher:
    """The Segmenter with hindsight.

    Args:
        model: its model file.
    """

    def __init__(self, model: Path) -> None:
        self.model = model

    def __call__(self, run: Sequence[Window]) -> list[Taught]:
        """What is known of each window of a run; nothing if the sensor's size changes in it.

        Raises:
            InputError: the file is no model of this package.
        """
        sides = {(w.events.width, w.events.height) for w in run}
        if len(sides) != 1:
            return []
        last = run[-1].end
        answers = self._answers(run)
        forth, priors = [found for found, _ in answers], [prior for _, prior in answers]
        reversed_run = [_reversed(window, last) for window in reversed(run)]
        back = [found for found, _ in self._answers(reversed_run)][::-1]
        events = Events.concatenate([window.events for window in run])
        return [
            Taught(*self._window(run, k, forth, back, events), priors[k]) for k in range(len(run))
        ]

    def samples(
        self, run: Sequence[Window], spec: VoxelSpec, rng: np.random.Generator
    ) -> list[Sample]:
        """Samples of the windows of a run, without those in which nothing is sure."""
        if not run:
            return []
        cell = spec.cell(run[0].events.width)
        events = Events.concatenate([window.events for window in run])
        samples = []
        for found, sure, prior in (one for one in self(run) if one.teaches(rng)):
            sample = taught_sample(events, found.window, found, cell, sure)
            same_cells = prior is not None and prior.evidence.cell == cell
            samples.append(replace(sample, prior=prior if same_cells else None))
        return samples

    @cached_property
    def _segmenter(self) -> Segmenter:
        return Segmenter.load(self.model, "cpu", threads=1, track=True)

    def _answers(self, run: Sequence[Window]) -> list[tuple[Segmentation, Prior | None]]:
        self._segmenter.forget()
        return [(self._segmenter(window), self._segmenter.prior) for window in run]

    def _window(
        self,
        run: Sequence[Window],
        k: int,
        forth: list[Segmentation],
        back: list[Segmentation],
        events: Events,
    ) -> tuple[Segmentation, np.ndarray]:
        """What the answers around window number `k` say together, and where that is sure.

        Args:
            run, k: the windows, and the number of one.
            forth: each window's answer, forwards.
            back: each window's answer, backwards, in reversed time.
            events: of the whole run.
        """
        window, last, count = run[k], run[-1].end, len(run)
        warm = min(WARM, count // 4)
        around = range(max(0, k - FAR), min(count, k + FAR + 1))
        near: list[Layers] = []
        anywhere = np.zeros(forth[k].labels.shape, bool)
        for j in sorted(around, key=lambda j: abs(j - k)):
            votes = []
            if j >= max(warm, k - 1):
                votes.append(Layers(forth[j].labels_at(window.end), forth[j].affine))
            if j <= min(count - warm - 1, k + 1):
                votes.append(Layers(back[j].labels_at(last - window.end), -back[j].affine))
            near += votes if abs(j - k) <= NEAR else []
            for vote in votes:
                anywhere |= vote.labels > 0
        share = np.mean([vote.labels > 0 for vote in near], 0)
        labels, affine = _layers(near, share >= MOVES)
        found = Segmentation(window, labels, affine)
        side = 1 + 2 * round(HALO * window.events.width / ACROSS)
        halo = cv2.dilate(labels, np.ones((side, side), np.uint8)) > 0
        # Before a camera at rest the Segmenter itself takes all but noise for moving.
        doubts = np.zeros_like(halo) if forth[k].rests else _doubts(found, events)
        rests = ~(anywhere | doubts) | (halo & (share < OUTSIDE))
        return found, (labels > 0) | rests


def _reversed(window: Window, last: int) -> Window:
    """The window with time reversed, counted backwards from `last` (ns)."""
    e = window.events
    events = Events(e.x[::-1], e.y[::-1], last - e.t[::-1], 1 - e.p[::-1], e.width, e.height)
    events = events[np.arange(len(events))]  # compiled loops want contiguous arrays
    return replace(window, events=events, start=last - window.end, end=last - window.start)


def _layers(votes: Sequence[Layers], moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The objects where something moves, each with the motion of the first vote that has it.

    Args:
        votes: answers, the nearest first.
        moving: bool [H, W].

    Returns:
        Labels uint8 [H, W], at most MOST_LAYERS - 1 objects, and float64 [L, 2, 3], px/s.
    """
    out = np.zeros(moving.shape, np.uint8)
    motions = [votes[0].affine[0]]
    for labels, affine in votes:
        left = moving & (out == 0)
        for label in np.unique(labels[left]):
            part = moving & (labels == label)
            shares = np.bincount(out[part], minlength=2)
            known = 1 + int(shares[1:].argmax())
            if label and shares[known] < SAME * shares.sum():
                known = len(motions)
                if known == MOST_LAYERS:
                    continue
                motions.append(affine[label])
            if label:
                out[part & left] = known
    return out, np.array(motions)


def _doubts(found: Segmentation, events: Events) -> np.ndarray:
    """bool [H, W]: where events speak for a motion of their own, whatever the network says."""
    window, ground = found.window, found.affine[0]
    height, width = found.labels.shape
    past = past_of(events, window.end)
    proposals = propose(past, window.end, ground)
    motions = [p.motion for p in proposals if p.votes > DOUBTFUL]
    if not motions:
        return np.zeros((height, width), bool)
    cell = width / ACROSS
    choice = gather_evidence(past, window.end, np.array([ground, *motions]), cell).choice
    size = round(choice.shape[1] * cell * BLOCK), round(choice.shape[0] * cell * BLOCK)
    places = cv2.dilate((choice > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    whole = cv2.resize(places, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(whole[:height, :width]) > 0
