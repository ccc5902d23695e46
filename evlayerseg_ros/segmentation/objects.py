"""What moves, as objects: pieces of the mask, each with a motion, and the ids that they keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.background import MOST
from evlayerseg_ros.motion.contrast import FEWEST, maximise_contrast, sharpness, way_apart
from evlayerseg_ros.motion.evidence import BLOCK, SPAN, Evidence, subsample
from evlayerseg_ros.segmentation.config import PostprocessConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation

MOST_IDS = 254  # labels of a mask
MARGIN = 12  # px of 640 around objects in which no event is taken for the background's


@dataclass
class Track:
    """An object that is followed.

    Attributes:
        id: its label.
        mask: uint8 [h, w], where it was, at a coarse resolution.
        motion: float64 [2, 3], px/s of the sensor's pixels.
        end: ns, when that was.
        seen: ns, when it was last found.
        windows: in how many windows it was found.
    """

    id: int
    mask: np.ndarray
    motion: np.ndarray
    end: int
    seen: int
    windows: int = 1


@dataclass
class Tracks:
    """The objects that are followed, and their ids.

    Attributes:
        config: when two things are one, and how long something is remembered.
        tracks: those followed, in no order.
    """

    config: PostprocessConfig
    tracks: list[Track] = field(default_factory=list)

    def now(self, end: int, cell: float) -> list[np.ndarray]:
        """uint8 [h, w] each: where the tracks' masks are at `end`, moved along their motions."""
        return [_warped(track, end, cell) for track in self.tracks]

    def labels_now(self, end: int, cell: float) -> tuple[np.ndarray | None, np.ndarray]:
        """Where the objects are at `end`: uint8 [h, w] of labels 1.., None of no objects; and each
        label's motion, float64 [L, 2, 3], px/s, label 0 at rest."""
        labels = None
        for label, mask in enumerate(self.now(end, cell), 1):
            labels = np.maximum(mask * np.uint8(label), 0 if labels is None else labels)
        return labels, np.array([np.zeros((2, 3)), *(track.motion for track in self.tracks)])

    def assign(self, found: Segmentation, coarse: np.ndarray, cell: float) -> np.ndarray:
        """Find each object's track, and remember what was found.

        Args:
            found: the objects, labels 1.. in any order.
            coarse: uint8 [h, w], the same labels at the resolution of `Track.mask`.
            cell: px of a step of it.

        Returns:
            uint8 [L]: the id of each label; 0 stays 0.
        """
        end = found.window.end
        count = len(found.affine)
        here = [(coarse == label).view(np.uint8) for label in range(count)]
        there = self.now(end, cell)
        cost = np.ones((count - 1, len(there)))
        for i in range(1, count):
            for j, mask in enumerate(there):
                both = np.count_nonzero(here[i] & mask)
                cost[i - 1, j] = 1 - both / max(min(here[i].sum(), mask.sum()), 1)
        ids = np.zeros(count, np.uint8)
        rows, columns = linear_sum_assignment(cost) if cost.size else ([], [])
        kept = dict(zip(rows, columns, strict=True))
        used = {track.id for track in self.tracks}
        for i in range(1, count):
            j = kept.get(i - 1, -1)
            if j >= 0 and cost[i - 1, j] < 1 - self.config.overlap:
                old = self.tracks[j]
                self.tracks[j] = Track(old.id, here[i], found.affine[i], end, end, old.windows + 1)
                ids[i] = old.id
            else:
                ids[i] = min(set(range(1, MOST_IDS + 1)) - used)
                used.add(int(ids[i]))
                self.tracks.append(Track(int(ids[i]), here[i], found.affine[i], end, end))
        oldest = end - round(self.config.memory_ms * 1e6)
        self.tracks = [
            t for t in self.tracks if t.seen == end or (t.seen > oldest and t.windows > 2)
        ]
        return ids


def _warped(track: Track, end: int, cell: float) -> np.ndarray:
    """A track's mask at `end`; for at most 0.2 s along its motion."""
    tau = min((end - track.end) * 1e-9, 0.2)
    matrix = np.eye(2, 3)
    matrix[:, :2] += track.motion[:, :2] * tau
    matrix[:, 2] += track.motion[:, 2] * tau / cell
    return cv2.warpAffine(track.mask, matrix, track.mask.shape[::-1], flags=cv2.INTER_NEAREST)


def outside(past: Events, end: int, labels: np.ndarray | None, motions: np.ndarray) -> Events:
    """The events that lie outside of all objects.

    Args:
        past: events before `end`.
        end: ns.
        labels: uint8 [h, w], where objects are at `end`, at any resolution; None: nowhere.
        motions: float64 [L, 2, 3], px/s, of each label.
    """
    some = subsample(past, MOST)
    if labels is None or not labels.any():
        return some
    side = 2 * round(MARGIN * labels.shape[1] / 640) + 1
    grown = cv2.dilate(labels, np.ones((side, side), np.uint8))
    grown = cv2.resize(grown, (past.width, past.height), interpolation=cv2.INTER_NEAREST)
    window = Window(some, end - SPAN, end, end)
    left = some[np.flatnonzero(Segmentation(window, grown, motions).event_labels == 0)]
    return left if len(left) > FEWEST else some


def pieces(
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


def with_motions(found: Segmentation, config: PostprocessConfig) -> Segmentation:
    """Each object's motion made sharp, and objects that move alike or with the background merged.

    Before a camera at rest nothing moves with the background.

    Args:
        found: objects with the motions that they start from.
        config: what counts as the same motion.

    Returns:
        The objects that are left, labels 1.. by falling number of events.
    """
    window = replace(found.window, events=subsample(found.window.events, config.events))
    part = replace(found, window=window)
    owners = part.event_labels
    counts = np.bincount(owners, minlength=len(found.affine))
    affine, scores = found.affine.copy(), {}
    table, numbers = np.zeros(256, np.uint8), [0]
    for label in sorted(range(1, len(affine)), key=lambda label: -counts[label]):
        mine = np.flatnonzero(owners == label)
        if len(mine) < config.fewest:
            continue
        if len(mine) >= FEWEST:
            affine[label] = maximise_contrast(window, mine, affine[label])
            ratio = explains(window, mine, affine[label], affine[0], config)
            if config.merge and not found.rests and ratio < config.sharper:
                continue
            sure = found.scores.get(label, 1.0) >= config.sure
            judged = config.parallax and not (found.rests or sure)
            if judged and is_parallax(window, mine, affine, label, config):
                continue
        alike = [
            other
            for other in numbers[1:]
            if config.join
            and _touch(found.labels, label, other)
            and explains(window, mine, affine[label], affine[other], config) < config.distinct
        ]
        if alike:
            table[label] = table[alike[0]]
            continue
        table[label] = len(numbers)
        scores[len(numbers)] = found.scores.get(label, 1.0)
        numbers.append(label)
    return replace(
        found, labels=cv2.LUT(found.labels, table), affine=affine[numbers], scores=scores
    )


def is_parallax(
    window: Window, mine: np.ndarray, affine: np.ndarray, label: int, config: PostprocessConfig
) -> bool:
    """Whether a layer moves as something at rest at another depth may: along the background.

    What rests moves along the epipolar lines; of a camera that slides past a background these are
    the directions of the background's own motion.
    """
    x, y = window.events.x[mine].mean(), window.events.y[mine].mean()
    ground, own = (motion @ np.array([x, y, 1]) for motion in (affine[0], affine[label]))
    more = own - ground
    both = np.hypot(*ground) * np.hypot(*more)
    if np.hypot(*ground) * window.duration * 640 / window.events.width < config.apart:
        return False
    return abs(ground[0] * more[1] - ground[1] * more[0]) < np.sin(np.deg2rad(config.along)) * both


def _touch(labels: np.ndarray, one: int, other: int) -> bool:
    """Whether two labels come close to each other."""
    step = max(1, labels.shape[1] // 160)
    a, b = ((labels[::step, ::step] == k).view(np.uint8) for k in (one, other))
    return bool((cv2.dilate(a, np.ones((5, 5), np.uint8)) & b).any())


def explains(
    window: Window,
    mine: np.ndarray,
    motion: np.ndarray,
    other: np.ndarray,
    config: PostprocessConfig,
) -> float:
    """How many times sharper one motion makes events than another: the one rule between motions.

    Args:
        window: the events.
        mine: int [N], indices of those that are judged.
        motion, other: float64 [2, 3], px/s.
        config: how far apart two motions must be to show in sharpness.

    Returns:
        1 and less: the other motion explains them as well; 0 where the two are one. Where they are
        too close to be told apart, `config.sharper`, which is in favour of the first.
    """
    way = way_apart(window, mine, motion, other) * 640 / window.events.width
    if way < config.one_motion:
        return 0.0
    if way < config.apart:
        return config.sharper
    return sharpness(window, mine, motion) / max(sharpness(window, mine, other), 1e-9)


def renumbered(found: Segmentation, ids: np.ndarray) -> Segmentation:
    """The same with each label under its id; an id that no object has moves as the background.

    Args:
        found: objects, labels 1...
        ids: uint8 [L], the id of each label.
    """
    table = np.zeros(256, np.uint8)
    table[: len(ids)] = ids
    affine = np.repeat(found.affine[:1], int(ids.max(initial=0)) + 1, 0)
    affine[ids] = found.affine
    affine[0] = found.affine[0]
    scores = {int(ids[label]): score for label, score in found.scores.items()}
    return replace(found, labels=cv2.LUT(found.labels, table), affine=affine, scores=scores)
