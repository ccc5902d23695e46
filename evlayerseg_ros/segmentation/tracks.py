"""Objects followed from window to window, and the ids that they keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from evlayerseg_ros.segmentation.config import PostprocessConfig
from evlayerseg_ros.segmentation.segmentation import Segmentation

MOST_IDS = 254  # labels of a mask
LASTING = 60_000_000  # ns, two windows: what was seen for so long is a track


@dataclass
class Track:
    """An object that is followed.

    Attributes:
        id: its label.
        mask: uint8 [h, w], where it was, at a coarse resolution.
        motion: float64 [2, 3], px/s of the sensor's pixels.
        end: ns, when that was.
        first, seen: ns, when it was first and last found.
    """

    id: int
    mask: np.ndarray
    motion: np.ndarray
    end: int
    first: int
    seen: int


@dataclass
class Tracks:
    """The objects that are followed, and their ids.

    Attributes:
        config: when two things are one, and how long something is remembered.
        tracks: those followed, in no order.
    """

    config: PostprocessConfig
    tracks: list[Track] = field(default_factory=list)

    def turn_by(self, change: np.ndarray) -> None:
        """Take a change of the camera's turn (float64 [2, 3], px/s), which moves everything."""
        if change.any():
            self.tracks = [replace(track, motion=track.motion + change) for track in self.tracks]

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
        shared, alike = np.zeros((2, count - 1, len(there)))
        for i in range(1, count):
            for j, mask in enumerate(there):
                both, one, other = (np.count_nonzero(a) for a in (here[i] & mask, here[i], mask))
                shared[i - 1, j] = both / max(min(one, other), 1)
                alike[i - 1, j] = both / max(one + other - both, 1)
        ids = np.zeros(count, np.uint8)
        # A part that was joined to an object lies in it as well as the object's own track.
        rows, columns = linear_sum_assignment(-alike) if alike.size else ([], [])
        kept = dict(zip(rows, columns, strict=True))
        used = {track.id for track in self.tracks}
        for i in range(1, count):
            j = kept.get(i - 1, -1)
            if j >= 0 and shared[i - 1, j] > self.config.overlap:
                old = self.tracks[j]
                self.tracks[j] = Track(old.id, here[i], found.affine[i], end, old.first, end)
                ids[i] = old.id
            else:
                ids[i] = min(set(range(1, MOST_IDS + 1)) - used)
                used.add(int(ids[i]))
                self.tracks.append(Track(int(ids[i]), here[i], found.affine[i], end, end, end))
        # What is lost is remembered, unless another object is there now.
        lost = {k for k in range(len(there)) if shared[:, k].max(initial=0) > self.config.overlap}
        self.tracks = [
            t
            for k, t in enumerate(self.tracks)
            if t.id in ids or (k not in lost and t.first < end and end - t.seen <= self._memory(t))
        ]
        return ids

    def _memory(self, track: Track) -> int:
        """How long (ns) a lost track is kept; a short-lived one only as long as it was seen."""
        seen = track.seen - track.first
        return round(self.config.memory_ms * 1e6) if seen >= LASTING else seen


def _warped(track: Track, end: int, cell: float) -> np.ndarray:
    """A track's mask at `end`; for at most 0.2 s along its motion."""
    tau = min((end - track.end) * 1e-9, 0.2)
    matrix = np.eye(2, 3)
    matrix[:, :2] += track.motion[:, :2] * tau
    matrix[:, 2] += track.motion[:, 2] * tau / cell
    return cv2.warpAffine(track.mask, matrix, track.mask.shape[::-1], flags=cv2.INTER_NEAREST)


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
