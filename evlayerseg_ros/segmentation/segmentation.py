"""What a window's segmentation is, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numba
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.warp import cell_at, warp_point


@dataclass(frozen=True, eq=False)
class MovingObject:
    """Something that moves by itself.

    Attributes:
        id: its label in the mask, the same from window to window while it is followed.
        motion: float64 [2, 3], its affine velocity at the window's end, px/s (see Segmentation).
        events: how many of the window's events are its own.
        place: (x, y), the mean of these, px; nan if there are none.
        box: (left, top, right, bottom) of its pixels at the window's end, px; right and bottom are
            just outside of it.
        score: 0 to 1, how sure it is.
    """

    id: int
    motion: np.ndarray
    events: int
    place: tuple[float, float]
    box: tuple[int, int, int, int]
    score: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The layers of one window.

    A layer's velocity is an affine field at the window's end: u = a[0,0] x + a[0,1] y + a[0,2] and
    v = a[1,0] x + a[1,1] y + a[1,2], px/s, for the pixel (x, y). What is at X at the window's end
    was at X - tau (u, v)(X) tau seconds before
    (docs/how-it-works.md, Affine motion).

    Attributes:
        window: what was segmented.
        labels: uint8 [H, W], label per pixel at window.end: 0 background (what moves with the
            camera), 1.. moving layers.
        affine: float64 [L, 2, 3], velocity of each label, px/s.
        margin: px around a mask in which events still belong to it: those of an edge fall on both
            of its sides.
        scores: of each label how sure it is, 0 to 1; 1 where it is missing.
        rests: whether the camera is known to rest. Then an event where an object is, is the
            object's, also if its motion would not take it there: limbs swing.
    """

    window: Window
    labels: np.ndarray
    affine: np.ndarray
    margin: int = 0
    scores: Mapping[int, float] = field(default_factory=dict)
    rests: bool = False

    def with_window(self, window: Window) -> Segmentation:
        """The same layers, for the events of another window."""
        other = replace(self, window=window)
        if self.labels.any():
            other.__dict__["_reach"] = self._reach  # of the same masks: found once
        return other

    def without(self, labels: set[int]) -> Segmentation:
        """The same with some labels taken for the background."""
        if not labels:
            return self
        table, gone = np.arange(256, dtype=np.uint8), [k for k in labels if k < len(self.affine)]
        table[gone] = 0
        affine = self.affine.copy()
        affine[gone] = affine[0]
        scores = {label: score for label, score in self.scores.items() if label not in labels}
        return replace(self, labels=cv2.LUT(self.labels, table), affine=affine, scores=scores)

    @cached_property
    def event_labels(self) -> np.ndarray:
        """uint8 [N]: label of each event: the front-most layer that carries it to its mask."""
        events = self.window.events
        out = np.zeros(len(events), np.uint8)
        if len(events) and self.labels.any():
            reach = self._reach
            _label_events(events.x, events.y, events.t, self.window.end, self.affine, reach, out)
            if self.rests:
                np.copyto(out, reach[events.y, events.x], where=out == 0)
        return out

    @cached_property
    def _reach(self) -> np.ndarray:
        """uint8 [H, W]: the labels, each grown by the margin."""
        if not self.margin:
            return self.labels
        side = 2 * self.margin + 1
        return cv2.dilate(self.labels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))

    @cached_property
    def _sums(self) -> np.ndarray:
        """float64 [L, 3]: number, sum of x and sum of y of each label's events."""
        events = self.window.events
        out = np.zeros((len(self.affine), 3))
        _sum_events(events.x, events.y, self.event_labels, out)
        return out

    @property
    def layer_events(self) -> np.ndarray:
        """int64 [L]: how many of the window's events each label holds."""
        return self._sums[:, 0].astype(np.int64)

    @property
    def centroids(self) -> np.ndarray:
        """float64 [L, 2]: mean (x, y) in px of each label's events; nan where there are none."""
        with np.errstate(invalid="ignore"):
            return self._sums[:, 1:] / self._sums[:, :1]

    @cached_property
    def objects(self) -> list[MovingObject]:
        """What moves by itself, by rising id; a label without pixels is not among it."""
        events = self.layer_events
        return objects_of(self.labels, self.affine, events, self.centroids, self.scores)

    def flow(self) -> np.ndarray:
        """float32 [H, W, 2]: affine flow field (u, v) in px/s, of each pixel's own layer."""
        return flow_of(self.labels, self.affine)

    def labels_at(self, t: int) -> np.ndarray:
        """The mask carried along the layers' motions to another instant.

        Args:
            t: sensor time in ns, usually within the window.

        Returns:
            uint8 [H, W]: at each pixel the front-most layer that moves from there into its own
            mask.
        """
        out = np.zeros_like(self.labels)
        if self.labels.any():
            _carry_labels((self.window.end - t) * 1e-9, self.affine, self.labels, out)
        return out

    def warp_events(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the events are at the window's end, moved with their layers: x, y float32 [N]."""
        events = self.window.events
        x, y = np.empty(len(events), np.float32), np.empty(len(events), np.float32)
        _warp(events.x, events.y, events.t, self.window.end, self.affine, self.event_labels, x, y)
        return x, y


def objects_of(
    labels: np.ndarray,
    affine: np.ndarray,
    events: np.ndarray,
    places: np.ndarray,
    scores: Mapping[int, float],
) -> list[MovingObject]:
    """See Segmentation.objects, for what of it came as topics.

    Args:
        labels: uint8 [H, W].
        affine, events, places: [L, 2, 3], [L] and [L, 2], of each label; see MovingObject.
        scores: of labels; 1 where it is missing.
    """
    found = []
    for label in range(1, len(affine)):
        left, top, width, height = cv2.boundingRect((labels == label).view(np.uint8))
        if width:
            place = float(places[label, 0]), float(places[label, 1])
            box = (left, top, left + width, top + height)
            score = scores.get(label, 1.0)
            found.append(MovingObject(label, affine[label], int(events[label]), place, box, score))
    return found


def flow_of(labels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """See Segmentation.flow, for what of it came as topics."""
    out = np.empty((*labels.shape, 2), np.float32)
    _paint_flow(labels, affine, out)
    return out


@numba.njit(nogil=True, cache=True, inline="always")
def _holds(labels, layer, u, v):  # type: ignore[no-untyped-def]
    """Whether the pixel at (u, v) has that label."""
    # Compared as numbers first: a wild motion may not fit an integer.
    inside = -0.5 <= u < labels.shape[1] - 0.5 and -0.5 <= v < labels.shape[0] - 0.5
    return inside and labels[np.uintp(v + 0.5), np.uintp(u + 0.5)] == layer


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _label_events(x, y, t, end, affine, labels, out):  # type: ignore[no-untyped-def]
    (rows, columns), pixels, where = labels.shape, labels.ravel(), np.empty(len(t), np.int32)
    for layer in range(len(affine) - 1, 0, -1):
        (a0, a1, a2), (b0, b1, b2) = affine[layer, 0], affine[layer, 1]
        for i in range(len(t)):
            u, v = warp_point(a0, a1, a2, b0, b1, b2, x[i], y[i], (end - t[i]) * 1e-9)
            where[i] = cell_at(u + 0.5, v + 0.5, rows, columns)
        for i in range(len(t)):
            if out[i] == 0 and where[i] >= 0 and pixels[np.uintp(where[i])] == layer:
                out[i] = layer


@numba.njit(nogil=True, cache=True)
def _carry_labels(tau, affine, labels, out):  # type: ignore[no-untyped-def]
    for layer in range(len(affine) - 1, 0, -1):
        (a0, a1, a2), (b0, b1, b2) = affine[layer, 0], affine[layer, 1]
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                if out[i, j] == 0:
                    u, v = warp_point(a0, a1, a2, b0, b1, b2, float(j), float(i), tau)
                    if _holds(labels, layer, u, v):
                        out[i, j] = layer


@numba.njit(nogil=True, cache=True)
def _sum_events(x, y, event_labels, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        label = event_labels[i]
        out[label, 0] += 1
        out[label, 1] += x[i]
        out[label, 2] += y[i]


@numba.njit(nogil=True, cache=True)
def _paint_flow(labels, affine, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            a = affine[labels[i, j]]
            out[i, j, 0] = a[0, 0] * j + a[0, 1] * i + a[0, 2]
            out[i, j, 1] = a[1, 0] * j + a[1, 1] * i + a[1, 2]


@numba.njit(nogil=True, cache=True)
def _warp(x, y, t, end, affine, event_labels, out_x, out_y):  # type: ignore[no-untyped-def]
    for i in range(len(t)):
        a = affine[event_labels[i]]
        out_x[i], out_y[i] = warp_point(
            a[0, 0], a[0, 1], a[0, 2], a[1, 0], a[1, 1], a[1, 2],
            float(x[i]), float(y[i]), (end - t[i]) * 1e-9,
        )  # fmt: skip
