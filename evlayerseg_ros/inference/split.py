"""Objects that move in different ways get labels of their own.

The network knows one moving layer, and several objects are several pieces of its mask. Each piece's
events are moved until they are sharp; pieces that this moves alike stay one layer.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from evlayerseg_ros.inference.segmentation import Segmentation
from evlayerseg_ros.inference.sharpen import (
    FEWEST,
    FIXED,
    FREE,
    SCALES,
    carried_by,
    climb,
    contrast,
    frame_of,
    way_apart,
)

EVENTS = 30_000  # looked at
MOST = 8  # moving layers
SMALLEST = 0.0008  # of the image: smaller pieces have no motion of their own
# What moves on its own is SHARPER times as sharp along its own motion as along another's, and the
# two differ by ALIKE px over the window.
SHARPER, ALIKE = 1.05, 1.5
STEP = 4  # px between the places at which two windows' labels are compared


def split(found: Segmentation) -> Segmentation:
    """The same with a layer for each motion that moving masks hold.

    Args:
        found: a window's layers, their motions sharpened.

    Returns:
        Background, then the moving layers in the order of their events, most first.
    """
    pieces, layers = _pieces(found.labels, len(found.affine))
    affine = found.affine[layers]
    if len(affine) < 3:
        return found
    part = replace(found, labels=pieces, affine=affine).thinned(EVENTS)
    owners = part.event_labels
    events = np.bincount(owners, minlength=len(affine))
    motions, label = [found.affine[0]], np.zeros(len(affine), np.uint8)
    for piece in sorted(range(1, len(affine)), key=lambda piece: -events[piece]):
        mine = np.flatnonzero(owners == piece)
        label[piece] = _label_of(part, mine, part.affine[piece], motions)
    return replace(found, labels=label[pieces], affine=np.stack(motions))


def keep_numbers(found: Segmentation, before: np.ndarray) -> Segmentation:
    """The same with each moving layer under the number that it had before.

    Args:
        found: a window's layers.
        before: uint8 [H, W], labels of the window before.

    Returns:
        Those that overlap most keep a label of `before`; others get the lowest that is free. A
        label that no pixel has moves like the background.
    """
    layers = len(found.affine)
    if layers == 2 and before.max() <= 1:
        return found
    both = found.labels[::STEP, ::STEP] * np.int64(256) + before[::STEP, ::STEP]
    shared = np.bincount(both.ravel(), minlength=layers * 256).reshape(layers, 256)
    numbers = np.zeros(layers, np.uint8)
    shared[0] = shared[:, 0] = 0
    while shared.any():
        mine, number = divmod(int(shared.argmax()), 256)
        numbers[mine] = number
        shared[mine] = shared[:, number] = 0
    for layer in range(1, layers):
        if not numbers[layer] and (found.labels == layer).any():
            numbers[layer] = min({*range(1, 256)} - {*numbers.tolist()})
    affine = np.repeat(found.affine[:1], max(2, int(numbers.max()) + 1), 0)
    affine[numbers[1:]] = found.affine[1:]
    affine[0] = found.affine[0]
    return replace(found, labels=numbers[found.labels], affine=affine)


def _pieces(labels: np.ndarray, layers: int) -> tuple[np.ndarray, list[int]]:
    """Connected pieces of the moving layers: uint8 [H, W], 0 background; the layer of each.

    Of each layer the largest ones; what is smaller goes with the largest.
    """
    pieces, owner = np.zeros_like(labels), [0]
    for layer in range(1, layers):
        mask = (labels == layer).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        box = np.s_[y : y + height, x : x + width]
        if not width:
            continue
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask[box])
        area = stats[:, cv2.CC_STAT_AREA]
        large = 1 + np.argsort(-area[1:], kind="stable")[: MOST // (layers - 1)]
        large = large[area[large] >= SMALLEST * labels.size]
        number = np.full(count, len(owner), np.uint8)
        number[0], number[large] = 0, len(owner) + np.arange(len(large))
        pieces[box] += number[parts]
        owner += [layer] * max(1, len(large))
    return pieces, owner


def _label_of(
    part: Segmentation, mine: np.ndarray, motion: np.ndarray, motions: list[np.ndarray]
) -> int:
    """Which of `motions`, background first, the events at `mine` follow; maybe one that is added.

    Args:
        part: the pieces.
        mine: indices of a piece's events.
        motion: float64 [2, 3], px/s, of its layer.
        motions: those of the labels so far; a new one is put at the end.
    """
    if len(mine) >= FEWEST:
        motion = motion + climb(part, mine, motion, SCALES, FREE, FIXED)
    elif len(motions) > 1:
        return 1
    frame = frame_of(part)
    own = carried_by(part, mine, motion)
    for label, other in enumerate(motions[1:], 1):
        there = carried_by(part, mine, other)
        if way_apart(own, there) < ALIKE or contrast(
            own, np.zeros(6), SCALES[-1], *frame
        ) < SHARPER * contrast(there, np.zeros(6), SCALES[-1], *frame):
            return label
    motions.append(motion)
    return len(motions) - 1
