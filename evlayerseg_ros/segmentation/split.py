"""Each moving object gets a label and a motion of its own.

The network knows one moving layer, and several objects are several pieces of its mask. The events
of each piece are moved until they are sharp. Pieces close to each other in one motion are one
object.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from evlayerseg_ros.motion.contrast import (
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
from evlayerseg_ros.segmentation.segmentation import Segmentation

EVENTS = 10_000  # looked at
MOST_OBJECTS = 8  # at once
SMALLEST = 0.0008  # of the image: smaller pieces are no objects
NEAR = 16.0  # px on a sensor 640 px wide: pieces farther apart are not one object
# Pieces close to each other are two objects if one is SHARPER times as sharp along its own motion
# as along the other's, and the two differ by ALIKE px over the window.
SHARPER, ALIKE = 1.05, 1.5
STEP = 4  # px between the places at which two windows' labels are compared


def split(found: Segmentation) -> Segmentation:
    """The same with a layer for each moving object.

    Args:
        found: a window's layers, their motions sharpened.

    Returns:
        Background, then the objects in the order of their events, most first.
    """
    pieces, layers, clumps = _pieces(found.labels, len(found.affine))
    if len(layers) < 3:
        return found
    part = replace(found, labels=pieces, affine=found.affine[layers]).thinned(EVENTS)
    owners = part.event_labels
    events = np.bincount(owners, minlength=len(layers))
    label = np.zeros(len(layers), np.uint8)
    objects: list[tuple[int, np.ndarray]] = []  # clump and motion of each
    for piece in sorted(range(1, len(layers)), key=lambda piece: -events[piece]):
        mine, motion = np.flatnonzero(owners == piece), part.affine[piece]
        if len(mine) >= FEWEST:
            motion = _sharpest(part, mine, motion)
        near = [i for i, (clump, _) in enumerate(objects) if clump == clumps[piece]]
        same = [i for i in near if _follow(part, mine, motion, objects[i][1])]
        label[piece] = 1 + (same[0] if same else len(objects))
        if not same:
            objects.append((clumps[piece], motion))
    affine = np.stack([found.affine[0], *(motion for _, motion in objects)])
    return replace(found, labels=_renumbered(pieces, label), affine=affine)


def _sharpest(part: Segmentation, mine: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float64 [2, 3], px/s: a motion like that given, in which the events at `mine` are sharpest.

    Once with its deformation and once without: that of objects in several motions, taken for one,
    says how they differ rather than how each deforms.
    """
    events = part.window.events
    middle = np.array([events.x[mine].mean(), events.y[mine].mean(), 1])
    shift = np.column_stack((np.zeros((2, 2)), motion @ middle))
    found = [each + climb(part, mine, each, SCALES, FREE, FIXED) for each in (motion, shift)]
    return max(found, key=lambda each: _contrast(part, carried_by(part, mine, each)))


def _contrast(part: Segmentation, at: np.ndarray) -> float:
    """How sharp events are where they are carried to."""
    return float(contrast(at, np.zeros(6), SCALES[-1], *frame_of(part)))


def _follow(part: Segmentation, mine: np.ndarray, own: np.ndarray, other: np.ndarray) -> bool:
    """Whether another motion fits the events at `mine` as well as their own (px/s)."""
    if len(mine) < FEWEST:
        return True
    here, there = (carried_by(part, mine, motion) for motion in (own, other))
    if way_apart(here, there) < ALIKE:
        return True
    return _contrast(part, here) < SHARPER * _contrast(part, there)


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
    return replace(found, labels=_renumbered(found.labels, numbers), affine=affine)


def _renumbered(labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """numbers[labels], uint8, ten times as fast."""
    table = np.zeros(256, np.uint8)
    table[: len(numbers)] = numbers
    return cv2.LUT(labels, table)


def _pieces(labels: np.ndarray, layers: int) -> tuple[np.ndarray, list[int], list[int]]:
    """Connected pieces of the moving layers: uint8 [H, W], 0 background; of each its layer and
    which of them it is close to (pieces of one number are).

    Of each layer the largest ones; what is smaller goes with the largest.
    """
    pieces, layer_of, clump_of = np.zeros_like(labels), [0], [0]
    side = 2 * round(NEAR / 2 * labels.shape[1] / 640) + 1
    for layer in range(1, layers):
        mask = (labels == layer).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        box = np.s_[y : y + height, x : x + width]
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask[box])
        area = stats[:, cv2.CC_STAT_AREA]
        large = 1 + np.argsort(-area[1:], kind="stable")[: MOST_OBJECTS // (layers - 1)]
        large = large[area[large] >= SMALLEST * labels.size]
        number = np.full(count, len(layer_of), np.uint8)
        number[0], number[large] = 0, len(layer_of) + np.arange(len(large))
        pieces[box] += number[parts]
        layer_of += [layer] * max(1, len(large))
        if len(large) < 2:
            clump_of.append(len(clump_of))
            continue
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        clumps = cv2.connectedComponents(cv2.dilate(mask[box], disc))[1]
        clump_of += [layer * labels.size + int(clumps[parts == k][0]) for k in large]
    return pieces, layer_of, clump_of
