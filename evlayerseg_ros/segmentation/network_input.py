"""What the network reads: voxel grids along known motions, and what is known besides."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.motion.evidence import BLOCK, PLANE, Evidence
from evlayerseg_ros.segmentation.parallax import mover_or_static

EXTRAS = 6  # channels behind the voxel grids: see network_input
OLD_EXTRAS = 4  # of these, those of older weights: all but `mover_or_static`
SLOPE = 8.0  # logits that evidence adds for each unit of mean gain
LEARNT = 4.0  # logits that it adds at most while a network learns
TRUSTED = 8.0  # and at most at run time, to a network taught by labels: see trusted_score
AROUND = 7  # steps of the mask over which evidence is averaged, twice
GAIN = 0.25  # scale of the planes of evidence: gains of about 4 a step become 1


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of a window before the network looks.

    Attributes:
        evidence: of the motions that are proposed; its first motion is the background's.
        mask: float32 [h, w], at any resolution, 1 where something moved by itself in the window
            before, warped to this one's end; None: nothing is known.
        rests: whether the camera is known to rest.
        turn: float64 [2, 3], px/s, the motion that the camera's turn makes, if it is known.
    """

    evidence: Evidence
    mask: np.ndarray | None = None
    rests: bool = False
    turn: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))


def evidence_score(planes: np.ndarray, most: float = LEARNT) -> np.ndarray:
    """What planes of evidence say by themselves, logits, float32 [h, w].

    A fixed rule need not be learnt: the network's logits are added.

    Args:
        planes: float32 [2, h, w], see Evidence.
        most: bound of the logits: + for motions of their own, - for the background's.
    """
    own, ground = planes
    for _ in range(2):  # about a Gaussian
        own, ground = (
            cv2.blur(plane, (AROUND, AROUND), borderType=cv2.BORDER_CONSTANT)
            for plane in (own, ground)
        )
    return most * (own - ground) / np.maximum(own + ground, most / SLOPE)


def trusted_score(prior: Prior, by_labels: bool) -> np.ndarray:
    """`evidence_score` as it counts at run time, float32 [h, w].

    Simulated labels teach a network to rely on what simulated things look like. Real ones look
    otherwise, but move alike: so clear evidence counts twice. Where an object is expected, evidence
    against it counts once: what stops is still there. Before a camera at rest the network needs no
    more help.

    Args:
        prior: what the network is told; its mask has the same resolution.
        by_labels: whether the network was taught by them. One that learnt from evidence alone
            weighs it rightly.
    """
    most = TRUSTED if by_labels and not prior.rests else LEARNT
    score = evidence_score(prior.evidence.planes, most)
    if prior.mask is not None:
        np.maximum(score, -LEARNT, out=score, where=prior.mask > 0)
    return score


def network_input(
    window: Window, spec: VoxelSpec, prior: Prior | None, out: np.ndarray | None = None
) -> np.ndarray:
    """The network's input for a window.

    Channels: for each layer the voxel grid of the events along that layer's motion (the
    background's; and each event along the motion proposed where it goes, else along the strongest
    one); then how far the motion proposed at a place is that of a mover, and how far that of
    something near and at rest (see `mover_or_static`; older weights have neither); the gain for the
    proposed motions, the gain for the background's, the mask of the window before, and ones if the
    camera is known to rest.

    Args:
        window: the events.
        spec: the network's voxel grid.
        prior: what is known; None: nothing.
        out: float32 of `spec.shape`, overwritten; a new one if None.

    Returns:
        float32 [channels, rows, columns].
    """
    shape = spec.shape(window.events.width, window.events.height)
    if out is None:
        out = np.zeros(shape, np.float32)
    if spec.layers == 0 or prior is None:
        voxel_grid(window, spec, out)
        out[len(out) - spec.extras :] = 0
        return out
    evidence = prior.evidence
    motions = evidence.motions
    if len(motions) == 1:
        motions = np.repeat(motions, 2, 0)
    owners = evidence.owners(window.events, window.end) if len(motions) > 2 else None
    voxel_grid(window, spec, out, motions, owners)
    if spec.extras:
        if spec.extras == EXTRAS:
            kinds = mover_or_static(evidence.turned(-prior.turn), window.events.width)
            for kind, plane in zip(kinds, out[-EXTRAS:-OLD_EXTRAS]):
                _enlarge(kind, BLOCK, plane)
        gains, mask, rests = out[-OLD_EXTRAS:-2], out[-2], out[-1]
        for gain, plane in zip(evidence.planes, gains):
            _enlarge(gain * GAIN, PLANE, plane)
        mask[:] = 0
        if prior.mask is not None:
            events = window.events
            cell = spec.cell(events.width)
            size = round(events.width / cell), round(events.height / cell)
            mask[: size[1], : size[0]] = cv2.resize(prior.mask, size)[: len(mask), : mask.shape[1]]
        rests[:] = prior.rests
    return out


def _enlarge(small: np.ndarray, factor: int, out: np.ndarray) -> None:
    """Fills out, float32 [rows, columns], with a map enlarged by a factor; zero beyond it."""
    big = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    high, wide = (min(a, b) for a, b in zip(big.shape, out.shape))
    out[:] = 0
    out[:high, :wide] = big[:high, :wide]
