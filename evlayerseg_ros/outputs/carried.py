"""A segmentation carried along its motions to another instant."""

from __future__ import annotations

from dataclasses import replace

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.segmentation.segmentation import Segmentation

CARRIED = ("mask", "detections")
"""The outputs that a carried segmentation makes; the others are of a window's events."""


def carried(segmentation: Segmentation, stamp: int) -> Segmentation:
    """Where the layers are at another instant, if each goes on as it moved at the window's end.

    Args:
        segmentation: of a window.
        stamp: ROS time of the instant, ns; before or after the window's end.

    Returns:
        The layers at that instant, without events: enough for the outputs in CARRIED.
    """
    window = segmentation.window
    t = window.end + stamp - window.stamp
    none = Events.empty(window.events.width, window.events.height)
    instant = Window(none, t, t, stamp)
    return replace(segmentation, window=instant, labels=segmentation.labels_at(t))
