"""Runs of windows as the node sees them, in which the network is told its own answers before.

At run time a network is told what came of its answer before: a mask that was too large spoils the
background's motion, and that the next mask. Random errors (priors.py) are not like that. So some
training windows come from runs of the real Segmenter, with the weights of some steps ago, and the
network learns to recover from its own errors (dataset aggregation: Ross et al., AISTATS 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.segmentation.segmenter import WINDOW_EVENTS, Segmenter
from evlayerseg_ros.simulation.simulator import Scene
from evlayerseg_ros.training.samples import Sample, true_sample

DURATION = 0.033  # s of a window, the node's
FEWEST = 200  # events of a window, at least


def run_of(scene: Scene, events: Events, rng: np.random.Generator) -> Iterator[Window]:
    """Windows of a clip that follow each other, mostly as long as the node's.

    Args:
        scene: what was simulated.
        events: all events of the scene.
        rng: source of everything random.
    """
    lasts = DURATION if rng.random() < 0.7 else float(np.exp(rng.uniform(-4.2, -2.5)))
    ends = np.arange(lasts, scene.duration, lasts) + rng.uniform(0, 0.5) * lasts
    for end in (ends * 1e9).astype(int).tolist():
        begin = max(end - int(lasts * 1e9), 0)
        first, last = np.searchsorted(events.t, (begin, end))
        if last - first >= FEWEST:
            part = subsample(events[first:last], WINDOW_EVENTS)
            yield Window(part[np.arange(len(part))], begin, end, end)


class Rehearsal:
    """Runs of windows through the Segmenter.

    Args:
        model: an ONNX file, which may be replaced at any time; without it nothing is rehearsed.
    """

    def __init__(self, model: Path) -> None:
        self.model = model
        self._written = 0.0
        self._segmenter: Segmenter | None = None

    def __call__(
        self, scene: Scene, events: Events, rng: np.random.Generator, spec: VoxelSpec, windows: int
    ) -> list[Sample]:
        """Windows of a run from the clip's start, each with what the network was told of it.

        Args:
            scene: what was simulated.
            events: all events of the scene.
            rng: source of everything random.
            spec: the network's voxel grid.
            windows: keep at most so many.
        """
        segmenter = self._newest()
        if segmenter is None or not len(events):
            return []
        segmenter.forget()
        cell, found = spec.cell(scene.sensor.width), []
        for window in run_of(scene, events, rng):
            segmenter(window)
            if segmenter.prior is not None:
                sample = true_sample(scene, events, window, cell)
                found.append(replace(sample, prior=segmenter.prior))
        kept = rng.permutation(len(found))[:windows]
        return [found[k] for k in sorted(kept.tolist())]

    def _newest(self) -> Segmenter | None:
        """The Segmenter with the weights last written, None if there are none yet."""
        if self.model.exists() and self.model.stat().st_mtime != self._written:
            self._written = self.model.stat().st_mtime
            self._segmenter = Segmenter.load(self.model, "cpu", threads=1, track=True)
        return self._segmenter
