"""Everything that is slow only once, done while the node configures and not when events come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from evlayerseg_ros.events.codecs import ENCODINGS, Decoder
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.events.voxel import voxel_grid
from evlayerseg_ros.motion.contrast import sharpen
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.segmentation.outline import snap
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter

# s that it takes where everything has been compiled before.
USUAL = 4.0


@contextmanager
def told_if_slow(tell: Callable[[str], object]) -> Iterator[None]:
    """Says that the node compiles, if what is done inside takes long."""
    sentence = "Compiling, as at the first start after an installation: up to some minutes."
    timer = threading.Timer(USUAL, tell, [sentence])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def warm_up(segmenter: Segmenter, width: int, height: int) -> None:
    """Runs each compiled loop and the network once, on a few events.

    Args:
        segmenter: whose network to run.
        width, height: of the sensor in px; 0 takes a common one.
    """
    width, height = width or 640, height or 480
    for encoding in ENCODINGS:
        Decoder(encoding, width, height).decode(np.empty(0, np.uint8))
    n = 100
    events = Events.from_arrays(
        np.arange(n) % width, np.arange(n) % height, np.arange(n) * 100_000, np.arange(n) % 2,
        width, height,
    )  # fmt: skip
    window = Window(events, 0, int(events.t[-1]), int(events.t[-1]))
    found = segmenter(window)
    # Whatever it found: the loops for what moves, and for what does not, have to be there.
    still = np.zeros_like(found.affine)
    labels = np.ones_like(found.labels)
    labels[:, : n // 2] = 0  # events of both, or there is no outline to be drawn
    moving = Segmentation(window, labels, still)
    for segmentation in (moving, Segmentation(window, np.zeros_like(found.labels), still)):
        sharpen(segmentation)
        snap(segmentation)
    if segmenter.info.voxel.layers:
        voxel_grid(window, segmenter.info.voxel, None, still + 1)
    for segmentation in (found, moving):
        for make in OUTPUTS.values():
            make(window, segmentation)
