"""The metric of EV-LayerSegNet's authors, to the letter, so that figures compare with theirs.

What it does that ours does not, read off their public code (github.com/Fulmen67/event_segmentation:
eval_flow.py, dataloader/h5.py, dataloader/base.py, loss/flow.py; mode `gt_test`):

- The foreground is layer 0 of the network's output, as it comes: each pixel's winning layer, at no
  particular time, compared with the mask at the window's start.
- Only pixels whose voxel grid summed over its bins is positive count: more ON than OFF events.
  Where they balance, what is left by rounding in float32 decides, so that is repeated here.
- The sum is of the grid without hot pixels: from the sixth window of a sequence on, at most 100
  pixels that saw events in more than 80 % of its windows so far are taken out, also of the
  network's input (only of the paper's: one that goes on from window to window answers once).
- A window starts at the first event at or after the mask's time, however long after, where the time
  is the file name's, read as a float and multiplied by 1e9.
- The last mask of a sequence is never scored.
- Detected means IoU >= 0.5 and true positives >= false positives. IoU is 1 where both are empty.

Which layer is 0: Segmenter numbers the layers anew where the network's own order means nothing
(metadata `background: most_events`, as for the paper's network), so there the order is undone and
the network's own layer 0 taken. A network whose first layer is trained to be the background
(`background: first`) has no such layer; its foreground is what it calls moving, warped to the
mask's time, since its masks have one.

One thing differs: of several events at exactly the mask's time the first one begins the window,
where the authors' search takes any of them.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.pipeline import Segment
from evlayerseg_ros.segmentation.labels import most_events_first
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

_BINS = 5
_HOT_PIXELS = 100
_HOT_AFTER = 5  # windows
_HOT_RATE = 0.8


@dataclass(frozen=True)
class Layers:
    """How a network's layers are read by either metric.

    Attributes:
        segment: events in, layers out in the network's own order.
        free: whether that order means nothing, so that ours counts the layer with most events as
            the background while the paper's foreground is layer 0.
    """

    segment: Segment
    free: bool

    @classmethod
    def of(cls, segmenter: Segmenter) -> Layers:
        """Those of a model."""
        free = segmenter.info.background == "most_events"
        if free:  # a copy that leaves the network's order as it is
            segmenter = copy(segmenter)
            segmenter.info = replace(segmenter.info, background="first")
        return cls(segmenter, free)

    def ours(self, segmentation: Segmentation) -> Segmentation:
        """The same with the background first."""
        return most_events_first(segmentation) if self.free else segmentation

    def foreground(self, segmentation: Segmentation, t: int) -> np.ndarray:
        """bool [H, W]: what the paper's metric takes for moving at the mask's time t (ns)."""
        return segmentation.labels == 0 if self.free else segmentation.labels_at(t) > 0


def starts(mask_t: np.ndarray) -> np.ndarray:
    """Where windows start, int64 [M] ns, of masks at those times (int64 [M] ns).

    The authors look for the first event not before float(SECONDS) * 1e9.
    """
    return np.ceil(mask_t / 1e9 * 1e9).astype(np.int64)


class PaperMetric:
    """Scores the windows of one sequence, in order, as the authors' loader and metric do."""

    def __init__(self, layers: Layers, first: int) -> None:
        """Args: the network's layers, and the time of the recording's first event in ns."""
        self._layers = layers
        self._first = first
        self._windows = 0
        self._hits = np.zeros((0, 0), np.float32)

    def compared(
        self, segmentation: Segmentation, t: int, truth: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the metric compares in the next window: bool [H, W] found, bool [H, W] true.

        Args:
            segmentation: of the window, in the network's own order.
            t: the mask's time, ns.
            truth: bool [H, W], the mask.
        """
        window = segmentation.window
        hot = self._hot_pixels(window)
        if hot.any() and self._layers.free:
            events = window.events
            kept = replace(window, events=events[~hot[events.y, events.x]])
            segmentation = self._layers.segment(kept)
        counted = (summed_voxels(window, self._first) > 0) & ~hot
        return self._layers.foreground(segmentation, t) & counted, truth & counted

    def _hot_pixels(self, window: Window) -> np.ndarray:
        """bool [H, W]; counts the window in."""
        seen = window.events.seen()
        if not self._windows:
            self._hits = np.zeros(seen.shape, np.float32)
        self._windows += 1
        self._hits += seen
        hot = np.zeros(seen.shape, bool)
        if self._windows > _HOT_AFTER:
            rate = (self._hits / np.float32(self._windows)).ravel()
            hottest = np.argsort(-rate, kind="stable")[:_HOT_PIXELS]
            hot.ravel()[hottest[rate[hottest] > np.float32(_HOT_RATE)]] = True
        return hot


def summed_voxels(window: Window, first: int) -> np.ndarray:
    """The authors' voxel grid summed over its bins, float32 [H, W], rounding and all.

    Args:
        window: at least one event.
        first: time of the recording's first event, ns, from which they count.
    """
    events = window.events
    t = (events.t - first).astype(np.float64).astype(np.float32)
    span = t[-1] - t[0]
    t = (t - t[0]) / span if span else np.ones_like(t)
    t *= np.float32(_BINS - 1)
    polarity = events.p.astype(np.float32) * 2 - 1
    place = events.y.astype(np.int64) * events.width + events.x
    total = np.zeros(events.height * events.width, np.float32)
    for b in range(_BINS):
        image = np.zeros_like(total)
        weight = np.maximum(np.float32(0), np.float32(1) - np.abs(t - np.float32(b)))
        np.add.at(image, place, polarity * weight)  # one by one, in order, in float32
        total += image
    return total.reshape(events.height, events.width)
