"""A teacher without labels: layers found by contrast maximisation alone, slow and unsteady.

The background's motion is the one that most places agree on, or rest. Beside it motions are
proposed by votes of events; where the events gain by one of these, something moves on its own. No
network and no truth has a part in it, and of windows that it is not sure of it says nothing.

A network that learns from many such answers becomes steadier than its teacher, and may teach the
next one.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.background import background_motion
from evlayerseg_ros.motion.camera import CameraState
from evlayerseg_ros.motion.evidence import PLANE, gather_evidence
from evlayerseg_ros.motion.proposals import propose
from evlayerseg_ros.segmentation.config import PostprocessConfig
from evlayerseg_ros.segmentation.labels import upsample_labels
from evlayerseg_ros.segmentation.objects import explains, pieces, with_motions
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

EVENTS = 20_000  # of a window by which it is judged how sure an answer is
ACROSS = 320  # cells across the sensor in which events count as landing on each other
GATHER = 2.0  # steps of the planes of evidence, standard deviation of the blur of gains
SURE, UNSURE = 1.2, 1.05  # times sharper than along the background's motion, see Teacher
EMPTY = 0.25  # share of the windows without a candidate that are taken for empty
FEWEST = 300  # events of an object
STAGES = PostprocessConfig(sharper=UNSURE, fewest=FEWEST, smallest=0.001)


class Teacher:
    """What a window's layers are, as far as events tell; None where that is not sure.

    Args:
        model: weights whose answers, refined, teach; "" lets contrast maximisation alone teach.
    """

    def __init__(self, model: str = "") -> None:
        self.model = model

    def __call__(
        self, window: Window, rng: np.random.Generator, past: Events | None = None
    ) -> Segmentation | None:
        """Background and moving layers of a window, or None.

        Where each candidate is clearly sharper along its own motion than along the background's
        (SURE times) it moves; where it is hardly so (UNSURE times) nothing does. Contrast
        maximisation misses much, so that most of what it calls empty is left out. It looks at
        `past`, the events of the last 133 ms, where they are given.
        """
        found = self._segmenter(window) if self.model else by_contrast(window, past)
        if found is None or not found.labels.any():
            empty = self.model or rng.random() < EMPTY
            return found if empty else None
        return found if how_much_sharper(found) >= SURE else None

    @cached_property
    def _segmenter(self) -> Segmenter:
        return Segmenter.load(self.model, "cpu", threads=1, refine=True)


def by_contrast(window: Window, past: Events | None = None) -> Segmentation | None:
    """Background and moving layers by contrast maximisation; None of too few events.

    Args:
        window: the events.
        past: those of the last 133 ms before its end; None: its own alone.
    """
    events, end = window.events, window.end
    if len(events) < 2 * FEWEST or end <= window.start:
        return None
    past = events if past is None else past
    ground = np.zeros((2, 3))
    if not CameraState().update(events, end):
        ground = background_motion(past, end, ground, False)
    proposed = [proposal.motion for proposal in propose(past, end, ground)]
    evidence = gather_evidence(past, end, np.array([ground, *proposed]), events.width / ACROSS)
    step = evidence.cell * PLANE
    score = cv2.GaussianBlur(evidence.planes[0] - evidence.planes[1], (0, 0), GATHER)
    labels, affine = pieces((score > 0).astype(np.uint8), evidence, ground, step, STAGES)
    full = upsample_labels(labels, score, step, events.height, events.width)
    return snap(with_motions(Segmentation(window, full, affine), STAGES))


def how_much_sharper(found: Segmentation) -> float:
    """How many times sharper each object is along its own motion than along the background's: of
    the least sharp one; 0 of one with few events."""
    some = found.thinned(EVENTS)
    ratios = []
    for one in some.objects:
        mine = np.flatnonzero(some.event_labels == one.id)
        if len(mine) < FEWEST:
            return 0.0
        ratios.append(explains(some.window, mine, one.motion, some.affine[0], STAGES, UNSURE))
    return min(ratios, default=0.0)
