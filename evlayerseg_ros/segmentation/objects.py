"""What moves, as objects: pieces of the mask, each with a motion of its own."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.background import BACKGROUND_EVENTS, PLACE_EVENTS, spread_evenly
from evlayerseg_ros.motion.contrast import (
    BACKGROUND_SCALES,
    BACKGROUND_TIE,
    FEWEST_FOR_MOTION,
    FIXED,
    maximise_contrast,
    sharpness,
    way_apart,
)
from evlayerseg_ros.motion.evidence import BLOCK, SPAN, Evidence, subsample
from evlayerseg_ros.segmentation.config import PostprocessConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation

LARGE = 600  # events from which on an object may deform
STIFF = 0.003  # and what that costs, see motion/contrast.py
SMALL = 20  # events from which on it is judged whether an object moves by itself
SHORT = 6.0  # px of 640 over the window: slower motions are read from the last 133 ms
MARGIN = 12  # px of 640 around objects in which no event is taken for the background's


def outside(past: Events, end: int, labels: np.ndarray | None, motions: np.ndarray) -> Events:
    """The events that lie outside of all objects.

    Args:
        past: events before `end`.
        end: ns.
        labels: uint8 [h, w], where objects are at `end`, at any resolution; None: nowhere.
        motions: float64 [L, 2, 3], px/s, of each label.
    """
    some = subsample(past, BACKGROUND_EVENTS)
    if labels is None or not labels.any():
        return some
    side = 2 * round(MARGIN * labels.shape[1] / 640) + 1
    grown = cv2.dilate(labels, np.ones((side, side), np.uint8))
    grown = cv2.resize(grown, (past.width, past.height), interpolation=cv2.INTER_NEAREST)
    window = Window(some, end - SPAN, end, end)
    left = some[np.flatnonzero(Segmentation(window, grown, motions).event_labels == 0)]
    return left if len(left) > FEWEST_FOR_MOTION else some


def cut_objects(
    mask: np.ndarray, evidence: Evidence, start: np.ndarray, cell: float, config: PostprocessConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Cut what moves into objects: connected parts, and in these what follows different motions.

    Args:
        mask: uint8 [h, w], 1 where something moves.
        evidence: which of the proposed motions the events follow where.
        start: float64 [2, 3], px/s, the motion of a part for which none was proposed.
        cell: px of a step of the mask.
        config: the smallest part.

    Returns:
        uint8 [h, w], labels 1.., and float64 [L, 2, 3], px/s, the motion of each, the background's
        first.
    """
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    area = stats[:, cv2.CC_STAT_AREA]
    order = 1 + np.argsort(-area[1:], kind="stable")
    large = [k for k in order[: config.objects] if area[k] >= config.smallest * mask.size]
    labels, motions = np.zeros_like(mask), [evidence.motions[0]]
    step = evidence.cell * BLOCK / cell
    rows, columns = (
        np.minimum((np.arange(side) / step).astype(int), most - 1)
        for side, most in zip(mask.shape, evidence.choice.shape, strict=True)
    )
    choice = evidence.choice[np.ix_(rows, columns)]
    for part in large:
        here = parts == part
        shares = np.bincount(choice[here], minlength=len(evidence.motions)).astype(float)
        shares[0] = 0
        chosen = [k for k in np.argsort(-shares) if shares[k] > config.split_share * area[part]]
        if not chosen or not config.split:
            chosen = [int(shares.argmax())] if shares.any() else []
        if not chosen:
            labels[here] = len(motions)
            motions.append(start)
            continue
        nearest = _nearest(choice, here, chosen)
        for k in chosen:
            mine = here & (nearest == k)
            if mine.any():
                labels[mine] = len(motions)
                motions.append(evidence.motions[k])
    return labels, np.array(motions)


def _nearest(choice: np.ndarray, here: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Of each place the nearest of the chosen motions."""
    if len(chosen) == 1:
        return np.full(choice.shape, chosen[0])
    far = [
        cv2.distanceTransform((~(here & (choice == k))).astype(np.uint8), cv2.DIST_L2, 3)
        for k in chosen
    ]
    return np.array(chosen)[np.argmin(far, 0)]


def with_motions(
    found: Segmentation, config: PostprocessConfig, past: Events | None = None, first: bool = False
) -> Segmentation:
    """Each object's motion made sharp, and objects that move alike or with the background merged.

    Before a camera at rest nothing moves with the background.

    Args:
        found: objects with the motions that they start from.
        config: what counts as the same motion.
        past: events of at most 133 ms before the window's end, from which slow motions are read
            and over whose time they are compared; None: the window's.
        first: whether nothing is known from windows before. One window says little about the
            background's motion, so objects are compared with the sharpest one near it, too.

    Returns:
        The objects that are left, labels 1.. by falling number of events.
    """
    window = found.window
    short = _some_of(found, window.events, window.start, config)
    counts, slow = short.layer_events, _are_slow(short)
    long = short
    if past is not None and slow.any():
        # No longer than there are events: motions count as apart by the px that they go.
        long = _some_of(found, past, max(window.end - SPAN, int(past.t[0])), config)
    affine, scores = found.affine.copy(), {}
    grounds = [affine[0]] if config.merge and not found.rests else []
    if first and grounds:
        grounds.append(_sharpest_background(window, affine[0]))
    table, numbers = np.zeros(256, np.uint8), [0]
    members: dict[int, list[int]] = {}
    for label in sorted(range(1, len(affine)), key=lambda label: -counts[label]):
        if counts[label] < config.fewest:
            continue
        part = long if slow[label] else short
        if counts[label] < FEWEST_FOR_MOTION and not slow[label]:
            part = found  # small: all of its events are needed
        view, owners = part.window, part.event_labels
        mine = np.flatnonzero(owners == label)
        if len(mine) >= SMALL:
            affine[label] = _sharpest(view, mine, affine[label])
            if any(_moves_with(view, mine, affine[label], ground, config) for ground in grounds):
                continue
        for other in numbers[1:] if config.join else []:
            if not _touch(found.labels, label, other):
                continue
            theirs = np.flatnonzero(np.isin(owners, members[other]))
            joint = _joint_motion(view, (mine, affine[label]), (theirs, affine[other]), config)
            if joint is not None:
                table[label], affine[other] = table[other], joint
                members[other].append(label)
                break
        else:
            table[label], members[label] = len(numbers), [label]
            scores[len(numbers)] = found.scores.get(label, 1.0)
            numbers.append(label)
    return replace(
        found, labels=cv2.LUT(found.labels, table), affine=affine[numbers], scores=scores
    )


def _some_of(
    found: Segmentation, events: Events, start: int, config: PostprocessConfig
) -> Segmentation:
    """The same of some events from `start` (ns) to the window's end."""
    end = found.window.end
    return found.with_window(Window(subsample(events, config.events), start, end, end))


def _are_slow(part: Segmentation) -> np.ndarray:
    """bool [L]: whether a label goes so short a way by itself that one window shows it badly."""
    x, y = part.centroids.T  # nan of a label without events, which is not slow
    own = part.affine - part.affine[0]
    way = np.hypot(*(own[:, :, 0] * x[:, None] + own[:, :, 1] * y[:, None] + own[:, :, 2]).T)
    slow: np.ndarray = way * part.window.duration * 640 / part.labels.shape[1] < SHORT
    slow[0] = False
    return slow


def _sharpest(window: Window, mine: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float64 [2, 3], px/s: the motion near a given one that makes an object's events sharpest."""
    if len(mine) < FEWEST_FOR_MOTION:
        return motion
    return maximise_contrast(window, mine, motion, stiff=STIFF if len(mine) >= LARGE else FIXED)


def _sharpest_background(window: Window, motion: np.ndarray) -> np.ndarray:
    """float64 [2, 3], px/s: the motion near the background's that makes all events sharpest, each
    place with about as many."""
    even = replace(window, events=spread_evenly(window.events, PLACE_EVENTS))
    every = np.arange(len(even.events))
    return maximise_contrast(even, every, motion, BACKGROUND_SCALES, *BACKGROUND_TIE)


def _moves_with(
    window: Window, mine: np.ndarray, motion: np.ndarray, ground: np.ndarray,
    config: PostprocessConfig,
) -> bool:  # fmt: skip
    """Whether an object's events are hardly sharper along its motion than along a background's."""
    ratio = sharpness_ratio(window, mine, motion, ground, config, config.sharper)
    return ratio < config.sharper


def _joint_motion(
    window: Window,
    one: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
    config: PostprocessConfig,
) -> np.ndarray | None:
    """float64 [2, 3], px/s: the motion that explains two objects, each of events (int [N]) with a
    motion; None: none does."""
    joint = _sharpest(window, np.concatenate((other[0], one[0])), other[1])
    parts = one, other
    apart = [sharpness_ratio(window, few, own, joint, config, 1.0) for few, own in parts]
    return joint if max(apart) < config.distinct else None


def _touch(labels: np.ndarray, one: int, other: int) -> bool:
    """Whether two labels come close to each other."""
    step = max(1, labels.shape[1] // 160)
    a, b = ((labels[::step, ::step] == k).view(np.uint8) for k in (one, other))
    return bool((cv2.dilate(a, np.ones((5, 5), np.uint8)) & b).any())


def sharpness_ratio(
    window: Window,
    mine: np.ndarray,
    motion: np.ndarray,
    other: np.ndarray,
    config: PostprocessConfig,
    undecided: float,
) -> float:
    """How many times sharper one motion makes events than another: the one rule between motions.

    Args:
        window: the events.
        mine: int [N], indices of those that are judged.
        motion, other: float64 [2, 3], px/s.
        config: how far apart two motions must be to show in sharpness.
        undecided: the answer where they are too close for that.

    Returns:
        1 and less: the other motion explains them as well; 0 where the two are one.
    """
    way = way_apart(window, mine, motion, other) * 640 / window.events.width
    if way < config.one_motion:
        return 0.0
    if way < config.apart:
        return undecided
    return sharpness(window, mine, motion) / max(sharpness(window, mine, other), 1e-9)
