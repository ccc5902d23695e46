"""Everything that is slow only once, done while the node configures and not when events come."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import numpy as np

from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.outputs.outputs import OUTPUTS, carried
from evlayerseg_ros.segmentation.network_input import Prior
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.turn import Turn
from evlayerseg_ros.surroundings import give_back_memory

WINDOWS = 3  # of a scene: the second begins with the motions of the first
LENGTH = 33_000_000  # ns, of a window
EVENTS = 20_000  # of a window


def warm_up(segmenter: Segmenter, width: int, height: int) -> None:
    """Runs each compiled loop and the network, on scenes made for it; leaves no trace in it.

    Args:
        segmenter: whose network to run.
        width, height: of the sensor in px; 0 takes a common one.
    """
    width, height = width or 640, height or 480
    for encoding in ENCODINGS:
        Decoder(encoding, width, height).decode(np.empty(0, np.uint8))
    before = segmenter.refine, segmenter.track
    segmenter.refine, segmenter.track = True, True
    for speed in (0.0, 0.3):  # a camera at rest, and one that pans
        turn = np.array(((0, 0, speed * width), (0, 0, 0)))
        for segment in (segmenter, finding_the_box(segmenter)):
            segment.forget()
            for window in _scene(width, height, speed):
                found = segment(window, turn)
            for make in OUTPUTS.values():
                make(window, found)
            carried(found, window.stamp)
    segmenter.refine, segmenter.track = before
    segmenter.forget()
    segmenter.turn = Turn()
    give_back_memory()


def finding_the_box(segmenter: Segmenter) -> Segmenter:
    """A copy whose network always finds the box, so that loops for moving objects compile."""
    sure = copy(segmenter)
    run = sure._run

    def answer(window: Window, prior: Prior | None) -> tuple[np.ndarray, np.ndarray]:
        masks, affine = (array.copy() for array in run(window, prior))
        rows, columns = masks.shape[2:]
        masks[0, 0], masks[0, 1:] = 1, 0
        box = np.s_[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3]
        masks[0, 0][box], masks[0, 1][box] = 0, 1
        return masks, affine

    sure._run = answer  # type: ignore[method-assign]
    return sure


def _scene(width: int, height: int, speed: float) -> Iterator[Window]:
    """Windows of dots that drift, at `speed` of the width in a second, and a box of dots on them
    that overtakes them."""
    rng = np.random.default_rng(0)
    size = np.array([width, height])
    dots = rng.random((400, 2))
    boxed = np.arange(len(dots)) % 4 == 0
    dots[boxed] = (1 + dots[boxed]) / 3
    velocity = np.where(boxed, 0.8, speed)
    for k in range(WINDOWS):
        t = np.sort(rng.integers(k * LENGTH, (k + 1) * LENGTH, EVENTS))
        dot = rng.integers(0, len(dots), EVENTS)
        place = dots[dot] * size
        place[:, 0] += velocity[dot] * width * (t - k * LENGTH) * 1e-9
        x, y = place.astype(np.int64).T
        events = Events.from_arrays(x % width, y, t, rng.integers(0, 2, EVENTS), width, height)
        yield Window(events, k * LENGTH, int(t[-1]), int(t[-1]))
