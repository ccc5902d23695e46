"""Everything that is slow only once, done while the node configures and not when events come."""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.segmentation.objects import with_motions
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

LENGTH = 33_000_000  # ns of a window
POINTS, FIRINGS = 400, 25  # that drift, and events of each one in a window


def warm_up(segmenter: Segmenter, width: int, height: int) -> None:
    """Runs each compiled loop and the network once, on a few events.

    Args:
        segmenter: whose network to run; it forgets what it saw.
        width, height: of the sensor in px; 0 takes a common one.
    """
    width, height = width or 640, height or 480
    for encoding in ENCODINGS:
        Decoder(encoding, width, height).decode(np.empty(0, np.uint8))
    for start in (0, LENGTH):
        window = _drifting(start, width, height)
        found = segmenter(window)
    segmenter.forget()
    # Whatever it found: the loops for what moves have to be there.
    labels = np.zeros_like(found.labels)
    labels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    affine = np.zeros((2, 2, 3))
    affine[1, 0, 2] = width
    moving = snap(with_motions(Segmentation(window, labels, affine, 1), segmenter.postprocess))
    for segmentation in (found, moving, Segmentation(window, labels, affine)):
        for make in OUTPUTS.values():
            make(window, segmentation)


def _drifting(start: int, width: int, height: int) -> Window:
    """Points all over that drift to the right, those in the middle faster and down."""
    rng = np.random.default_rng(0)
    points = rng.random((POINTS, 2)) * (width, height)
    inside = np.all(np.abs(points / (width, height) - 0.5) < 0.2, axis=1, keepdims=True)
    speeds = np.where(inside, (0.5, 0.9), (0.2, 0.0)) * width  # px/s
    t = np.repeat(np.linspace(start, start + LENGTH, FIRINGS).astype(np.int64), POINTS)
    at = np.tile(points, (FIRINGS, 1)) + np.tile(speeds, (FIRINGS, 1)) * t[:, None] * 1e-9
    x, y = (at % (width, height)).astype(np.int64).T
    events = Events.from_arrays(x, y, t, np.arange(len(t)) % 2, width, height)
    return Window(events, start, start + LENGTH, start + LENGTH)
