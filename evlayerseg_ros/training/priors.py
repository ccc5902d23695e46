"""What the network is told of a training window: right, inexact or wrong, as at run time.

At run time contrast and the windows before propose motions, and the window before leaves a mask.
All of it may be missing or wrong. So it is here, and the network learns how far to trust it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evlayerseg_ros.events.voxel import VoxelSpec
from evlayerseg_ros.motion.evidence import gather_evidence, motion_at
from evlayerseg_ros.motion.proposals import propose, propose_locally
from evlayerseg_ros.segmentation.network_input import Prior
from evlayerseg_ros.segmentation.search import Found

if TYPE_CHECKING:
    from evlayerseg_ros.training.samples import Sample

RESTS = 0.4  # px of 640 over the window: a camera that moves less counts as resting


@dataclass(frozen=True)
class Told:
    """What the network is told, and the motion that it is thereby told of each layer.

    Attributes:
        prior: what the network reads.
        of_layer: float [MOST_LAYERS, 2, 3], px over the window, of each layer where it is seen.
    """

    prior: Prior
    of_layer: np.ndarray


def random_told(sample: Sample, spec: VoxelSpec, rng: np.random.Generator) -> Told | None:
    """What the network is told of a training window; None: nothing at all.

    Args:
        sample: a window and its truth.
        spec: the network's voxel grid.
        rng: source of everything random.
    """
    if not spec.layers or rng.random() < 0.1:
        return None
    events, truth = sample.window.events, sample.displacement
    middle = np.array([events.width, events.height]) / 2
    centres = _centres(sample, spec.cell(events.width), middle)
    ground = truth[0] + _error(rng, 6, middle)
    way = np.abs(motion_at(truth[0], *middle)).max() * 640 / events.width
    rests = way < RESTS and rng.random() < 0.7
    if rests:
        ground = np.zeros((2, 3))
    motions = [ground]
    if rng.random() < 0.8:
        motions += _proposals(sample, rng, ground, centres)
    if len(motions) > 1 and rng.random() < 0.03:  # the object taken for the background
        motions[0], motions[1] = motions[1], motions[0]
        rests = False
    evidence = gather_evidence(
        sample.past,
        sample.window.end,
        np.array(motions) / sample.window.duration,
        spec.cell(events.width),
    )
    told = evidence.motions * sample.window.duration
    return Told(Prior(evidence, _mask(sample, rng), rests), _of_layers(sample, told, centres))


def told_in_run(sample: Sample, spec: VoxelSpec) -> Told:
    """What a network was told of a window in a run (training/rehearsal.py).

    Args:
        sample: a window with a prior.
        spec: the network's voxel grid.
    """
    assert sample.prior is not None
    events = sample.window.events
    middle = np.array([events.width, events.height]) / 2
    centres = _centres(sample, spec.cell(events.width), middle)
    motions = sample.prior.evidence.motions * sample.window.duration
    return Told(sample.prior, _of_layers(sample, motions, centres))


def _centres(sample: Sample, cell: float, middle: np.ndarray) -> dict[int, np.ndarray]:
    """The layers that are seen, each with the centre of what is seen of it, px."""
    seen = np.flatnonzero(np.bincount(sample.layers.ravel(), minlength=len(sample.label_of)) > 12)
    found = {}
    for layer in seen.tolist():
        rows, columns = np.nonzero(sample.layers == layer)
        found[layer] = np.array([columns.mean(), rows.mean()]) * cell if layer else middle
    return found


def _proposals(
    sample: Sample, rng: np.random.Generator, ground: np.ndarray, centres: dict[int, np.ndarray]
) -> list[np.ndarray]:
    """Motions as they are proposed at run time.

    Tracks give most movers' motions, inexactly, and now and then that of something at rest at
    another depth; the search by contrast gives what it finds, right or wrong.
    """
    found = []
    for layer, centre in centres.items():
        likely = 0.6 if sample.label_of[layer] else 0.25 if layer else 0.0
        if rng.random() < likely:
            found.append(sample.displacement[layer] + _error(rng, 8, centre))
    rng.shuffle(found)
    if rng.random() < 0.8:
        duration = sample.window.duration
        seen = sample.past, sample.window.end, ground / duration
        kinds = [[p.motion * duration for p in look(*seen)] for look in (propose, propose_locally)]
        found += Found(ground, *map(tuple, kinds)).proposed
    return found[:6]


def _of_layers(sample: Sample, told: np.ndarray, centres: dict[int, np.ndarray]) -> np.ndarray:
    """float [MOST_LAYERS, 2, 3]: the motion that each layer is shown to the network along."""
    out = np.repeat(told[:1], len(sample.label_of), 0)
    for layer, centre in centres.items():
        if sample.label_of[layer] and len(told) > 1:
            away = motion_at(told[1:] - sample.displacement[layer], *centre)
            out[layer] = told[1 + np.linalg.norm(away, axis=1).argmin()]
    return out


def _mask(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """The mask that the window before left, float32, a value for each cell; None: there is none."""
    if rng.random() < 0.35:
        return None
    mask = np.zeros(sample.layers.shape, np.uint8)
    for label in np.unique(sample.label_of[sample.label_of > 0]):
        if rng.random() < 0.85:
            mask |= np.isin(sample.layers, np.flatnonzero(sample.label_of == label)).view(np.uint8)
    if rng.random() < 0.15:  # something at rest that was taken for a mover
        mask |= (sample.layers == rng.integers(1, len(sample.label_of))).view(np.uint8)
    if rng.random() < 0.12:  # a false alarm
        rows, columns = mask.shape
        size = tuple(np.exp(rng.uniform(1.5, np.log(columns / 3), 2)).astype(int).tolist())
        spot = int(rng.integers(columns)), int(rng.integers(rows))
        cv2.ellipse(mask, spot, size, float(rng.uniform(0, 180)), 0, 360, (1,), -1)
    by = int(rng.integers(-3, 5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(by) + 1,) * 2)
    mask = cv2.erode(mask, disc) if by < 0 else cv2.dilate(mask, disc)
    matrix = np.array([[1, 0, rng.normal(0, 3)], [0, 1, rng.normal(0, 3)]])
    return cv2.warpAffine(mask.astype(np.float32), matrix, mask.shape[::-1])


def _error(rng: np.random.Generator, largest: float, centre: np.ndarray) -> np.ndarray:
    """float [2, 3]: a displacement of up to about `largest` px of 640 at a centre, else further."""
    scale = largest * rng.random() ** 3 * centre[0] / 320
    linear = rng.normal(0, scale / 200, (2, 2))
    shift = rng.normal(0, scale, (2, 1))
    return np.hstack((linear, shift - (linear @ centre)[:, None]))
