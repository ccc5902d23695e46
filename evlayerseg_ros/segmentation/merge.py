"""Layers that do not move on their own go back into the background.

The network now and then takes a part of the background for an object. Carried along the
background's motion the events of such a layer are as sharp as along its own; those of an object
that moves on its own are sharper along its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evlayerseg_ros.motion.contrast import FEWEST, carried_by, contrast, frame_of, way_apart
from evlayerseg_ros.segmentation.segmentation import Segmentation

EVENTS = 30_000  # looked at
SCALE = 2.0  # px per pixel of the images of warped events
SHARPER = 1.02  # times along its own motion: less, and a layer is the background's
# px over the window between the two motions: less than TOGETHER is one motion; less than APART does
# not show in sharpness, and the network is trusted.
TOGETHER, APART = 0.75, 1.5
# Events per pixel of the background, as a share of the layer's, from which on it can be judged:
# before a camera that stands still all events are the objects'.
ALONE = 0.06


def merge(found: Segmentation) -> Segmentation:
    """The same without the layers that the background's motion explains as well.

    Args:
        found: a window's layers, their motions sharpened.
    """
    part = found.thinned(EVENTS)
    event_labels, frame = part.event_labels, frame_of(part)
    dense = part.density
    labels = found.labels
    for layer in range(1, len(found.affine)):
        mine = np.flatnonzero(event_labels == layer)
        if len(mine) < FEWEST or dense[0] < ALONE * dense[layer]:
            continue
        own, back = (carried_by(part, mine, found.affine[label]) for label in (layer, 0))
        way = way_apart(own, back)
        sharp, as_background = (contrast(at, np.zeros(6), SCALE, *frame) for at in (own, back))
        if way < TOGETHER or (way > APART and sharp < SHARPER * as_background):
            labels = np.where(labels == layer, np.uint8(0), labels)
    return found if labels is found.labels else replace(found, labels=labels)
