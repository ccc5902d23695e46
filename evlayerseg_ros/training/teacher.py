"""A teacher without labels: layers found by contrast maximisation alone, slow and unsteady.

The background's motion is the one that suits the events of most places. Relative to it a grid of
shifts is tried; an event votes for a shift in as far as more other events land where it lands than
under the background's motion. Where the votes of one shift gather, something moves on its own. No
network and no truth has a part in it, and of windows that it is not sure of it says nothing.

A network that learns from many such answers becomes steadier than its teacher, and may teach the
next one: what it finds at run time, sharpened, is better than what it says at first sight.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import cv2
import numba
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.contrast import carried_by, climb, contrast, frame_of, sharpen
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

EVENTS = 20_000  # of a window that are looked at
CELL = 3.0  # px in which two events count as landing on each other
BLOCK = 8  # px of the map in which votes gather
REACH, STEP = 48.0, 6.0  # px over the window: shifts that are tried, and from one to the next
TIE = (0.0, 0.003)  # what shift and deformation of the background cost, see sharpen.FREE
GATHER = 2.0  # blocks, standard deviation of the blur of the votes
SURE, UNSURE = 1.2, 1.05  # times sharper than along the background's motion, see Teacher
EMPTY = 0.25  # share of the windows without a candidate that are taken for empty
FEWEST = 300  # events of an object


class Teacher:
    """What a window's layers are, as far as events tell; None where that is not sure.

    Args:
        model: weights whose answers, refined, teach; "" lets contrast maximisation alone teach.
    """

    def __init__(self, model: str = "") -> None:
        self.model = model

    def __call__(self, window: Window, rng: np.random.Generator) -> Segmentation | None:
        """Background and moving layers of a window, or None.

        Where a candidate is clearly sharper along its own motion than along the background's (SURE
        times) it moves; where it is hardly so (UNSURE times) nothing does. Contrast maximisation
        misses much, so that most of what it calls empty is left out.
        """
        found = self._segmenter(window) if self.model else by_contrast(window)
        if found is None or not found.labels.any():
            empty = self.model or rng.random() < EMPTY
            return found if empty else None
        sharper = how_much_sharper(found.thinned(EVENTS))
        return found if sharper >= SURE else None

    @cached_property
    def _segmenter(self) -> Segmenter:
        return Segmenter.load(self.model, "cpu", threads=1, refine=True)


def by_contrast(window: Window) -> Segmentation | None:
    """Background and at most one moving layer by contrast maximisation; None of too few events."""
    events = window.events
    if len(events) < 2 * FEWEST or window.end <= window.start:
        return None
    some = window.thinned(EVENTS)
    found = Segmentation(
        some, np.zeros((events.height, events.width), np.uint8), np.zeros((2, 2, 3))
    )
    everything = np.arange(len(some.events))
    found.affine[:, :, 2] = _common_shift(found) / window.duration
    found.affine[0] += climb(found, everything, found.affine[0], (4.0, 2.0), *TIE)
    found.affine[1] = found.affine[0]
    found.affine[1, :, 2] += _best_shift(found) / window.duration
    votes = _compare(found)
    if (votes > 0).sum() > (votes < 0).sum():  # what is faster gains more; the background is wider
        found.affine[:] = found.affine[::-1].copy()
    for _ in range(2):
        found = replace(found, labels=_gather(found))
        if not found.labels.any():
            break
        found = replace(found, affine=sharpen(found))
    if how_much_sharper(found) < UNSURE:
        found = replace(found, labels=np.zeros_like(found.labels))
    return snap(replace(found, window=window))


def how_much_sharper(found: Segmentation) -> float:
    """How many times sharper layer 1 is along its own motion than the background's; 0 of none."""
    mine = np.flatnonzero(found.event_labels == 1)
    if len(mine) < FEWEST:
        return 0.0
    own, back = (
        contrast(carried_by(found, mine, motion), np.zeros(6), 2.0, *frame_of(found))
        for motion in found.affine[1::-1]
    )
    return own / max(back, 1e-9)


def _common_shift(found: Segmentation) -> np.ndarray:
    """float64 [2], px over the window: along which most events land where others do."""
    at = carried_by(found, np.arange(len(found.window.events)), np.zeros((2, 3)))
    height, width = found.labels.shape
    steps = np.arange(-REACH, REACH + 1, STEP) * width / 640 / 2
    shifts = [(dx, dy) for dx in steps for dy in steps]
    return np.array(max(shifts, key=lambda d: _landed(at, *d, CELL, width, height).sum()))


def _best_shift(found: Segmentation) -> np.ndarray:
    """float64 [2], px over the window relative to the background: where votes gather most."""
    at = carried_by(found, np.arange(len(found.window.events)), found.affine[0])
    height, width = found.labels.shape
    steps = np.arange(-REACH, REACH + 1, STEP) * width / 640
    best, most = np.zeros(2), 0.0
    rest = _landed(at, 0.0, 0.0, CELL, width, height)
    for dx in steps:
        for dy in steps:
            if np.hypot(dx, dy) < STEP / 2:
                continue
            votes = _votes(at, rest, dx, dy, CELL, BLOCK, width, height)
            votes = cv2.GaussianBlur(votes, (0, 0), GATHER)
            total = float(np.maximum(votes, 0).sum())
            if total > most:
                best, most = np.array([dx, dy]), total
    return best


def _compare(found: Segmentation) -> np.ndarray:
    """float32 [H / BLOCK, W / BLOCK]: votes for the second motion against the first."""
    height, width = found.labels.shape
    everything = np.arange(len(found.window.events))
    own, back = (carried_by(found, everything, motion) for motion in found.affine[::-1])
    rest = _landed(back, 0.0, 0.0, CELL, width, height)
    votes = _votes(own, rest, 0.0, 0.0, CELL, BLOCK, width, height)
    return cv2.GaussianBlur(votes, (0, 0), GATHER)


def _gather(found: Segmentation) -> np.ndarray:
    """uint8 [H, W]: 1 where votes for the moving layer's motion against the background's gather."""
    height, width = found.labels.shape
    votes = _compare(found)
    inside = (votes > 0.15 * votes.max()).astype(np.uint8) if votes.max() > 0 else votes > 0
    inside = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    totals = np.bincount(parts.ravel(), weights=votes.ravel(), minlength=len(stats))
    totals[0] = 0
    labels = np.zeros((height, width), np.uint8)
    if totals.max() > 0:
        part = (parts == totals.argmax()).astype(np.uint8)
        outer = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        cv2.drawContours(part, outer, -1, (1,), -1)
        smooth = cv2.resize(part.astype(np.float32), None, fx=BLOCK, fy=BLOCK)
        labels[:] = smooth[:height, :width] > 0.5
    return labels


@numba.njit(nogil=True, cache=True)
def _landed(at, dx, dy, cell, width, height):  # type: ignore[no-untyped-def]
    """float32 [N]: logarithm of how many events land where each one does, shifted by its age."""
    columns, rows = int(width / cell) + 1, int(height / cell) + 1
    count = np.zeros(columns * rows, np.int32)
    where = np.empty(len(at), np.int32)
    for i in range(len(at)):
        x, y = (at[i, 0] + at[i, 2] * dx) / cell, (at[i, 1] + at[i, 2] * dy) / cell
        inside = 0 <= x < columns and 0 <= y < rows
        where[i] = int(y) * columns + int(x) if inside else -1
        if inside:
            count[where[i]] += 1
    out = np.zeros(len(at), np.float32)
    for i in range(len(at)):
        if where[i] >= 0:
            out[i] = np.log(count[where[i]])
    return out


@numba.njit(nogil=True, cache=True)
def _votes(at, rest, dx, dy, cell, block, width, height):  # type: ignore[no-untyped-def]
    """float32 [H / block, W / block]: sum of what each event gains by the shift, where it lands."""
    gained = _landed(at, dx, dy, cell, width, height)
    out = np.zeros((-(-height // block), -(-width // block)), np.float32)
    for i in range(len(at)):
        x, y = at[i, 0] + at[i, 2] * dx, at[i, 1] + at[i, 2] * dy
        if 0 <= x < width and 0 <= y < height:
            out[int(y) // block, int(x) // block] += gained[i] - rest[i]
    return out
