"""The topics of the node as plain data, made one by one; shared by the live node and replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.outputs import annotate, pictures
from evlayerseg_ros.segmentation.segmentation import Segmentation

LAYER_DTYPE = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("label", "<u4"),
        ("events", "<u4"),
        ("a_ux", "<f4"),
        ("a_uy", "<f4"),
        ("a_u0", "<f4"),
        ("a_vx", "<f4"),
        ("a_vy", "<f4"),
        ("a_v0", "<f4"),
    ]
)
"""One layer as a point: centroid, px; u = a_ux x + a_uy y + a_u0 and v likewise, px/s."""

_AFFINE = ["a_ux", "a_uy", "a_u0", "a_vx", "a_vy", "a_v0"]


DETECTION_DTYPE = np.dtype(
    [
        ("id", "<u4"),
        ("left", "<i4"),
        ("top", "<i4"),
        ("right", "<i4"),
        ("bottom", "<i4"),
        ("score", "<f4"),
    ]
)
"""One moving object: its label in the mask; its box, px, right and bottom just outside; 0 to 1."""


@dataclass(frozen=True, eq=False)
class Image:
    """A picture: `data` is contiguous, [H, W] (mono8), [H, W, 3] (rgb8) or [H, W, 2] (32FC2)."""

    encoding: str
    data: np.ndarray


@dataclass(frozen=True, eq=False)
class Points:
    """A table: `data` is a structured array [n]; its dtype names the fields."""

    data: np.ndarray


@dataclass(frozen=True, eq=False)
class Detections:
    """What moves by itself: `data` is [n] of DETECTION_DTYPE, by rising id."""

    data: np.ndarray


Output = Image | Points | Packet | Detections

LABEL_NAMES = {0: "background", **{label: f"moving {label}" for label in range(1, 255)}}
"""What the numbers in the mask are. 255, the largest, means unlabelled to vision_msgs: not used."""


def mask(window: Window, segmentation: Segmentation) -> Image:
    """Label per pixel at the window's end."""
    return Image("mono8", np.ascontiguousarray(segmentation.labels))


def mask_overlay(window: Window, segmentation: Segmentation) -> Image:
    """The events coloured by label, on the dimmed mask."""
    return Image(
        "rgb8",
        pictures.overlay(window.events, segmentation.event_labels, segmentation.labels),
    )


def flow(window: Window, segmentation: Segmentation) -> Image:
    """Affine flow per pixel, px/s."""
    return Image("32FC2", np.ascontiguousarray(segmentation.flow(), np.float32))


def flow_color(window: Window, segmentation: Segmentation) -> Image:
    """The flow on the colour wheel; white is at rest, full colour a round speed (see annotate)."""
    field = segmentation.flow()
    return Image("rgb8", pictures.flow_wheel(field, annotate.full_speed(field, window.duration)))


def layers(window: Window, segmentation: Segmentation) -> Points:
    """One point a layer, the background first; a layer without events has a NaN centroid."""
    table = np.zeros(len(segmentation.affine), LAYER_DTYPE)
    table["x"], table["y"] = segmentation.centroids.T
    table["label"] = np.arange(len(table))
    table["events"] = segmentation.layer_events
    for i, name in enumerate(_AFFINE):
        table[name] = segmentation.affine.reshape(-1, 6)[:, i]
    return Points(table)


def affine_in(layers: np.ndarray) -> np.ndarray:
    """float64 [L, 2, 3], px/s: the motions in what `layers` made."""
    return structured_to_unstructured(layers[_AFFINE], np.float64).reshape(-1, 2, 3)


def sharpened_events(window: Window, segmentation: Segmentation) -> Image:
    """The image of the events carried along their layers' motions to the window's end."""
    x, y = segmentation.warp_events()
    counts = pictures.image_of_warped_events(x, y, window.events.width, window.events.height)
    return Image("mono8", pictures.to_gray(counts))


def moving_events(window: Window, segmentation: Segmentation) -> Packet:
    """Only the events of moving layers; their times stay sensor time.

    The stamp is the window's, as of all outputs, and not that of the time base, as a camera's is.
    Of windows longer than the packet's 32 bits of ns, the last 4.29 s; none before time 0.
    """
    recent = window.events.t > max(window.end - (1 << 32), -1)
    moving = window.events[(segmentation.event_labels > 0) & recent]
    time_base = int(moving.t[0]) if len(moving) else max(window.start, 0)
    data = encode_mono(moving, time_base)
    return Packet("mono", moving.width, moving.height, time_base, data, window.stamp)


def detections(window: Window, segmentation: Segmentation) -> Detections:
    """A box, an id and a score for each moving object."""
    rows = [(thing.id, *thing.box, thing.score) for thing in segmentation.objects]
    return Detections(np.array(rows, DETECTION_DTYPE))


OUTPUTS: dict[str, Callable[[Window, Segmentation], Output]] = {
    make.__name__: make
    for make in (
        mask,
        mask_overlay,
        flow,
        flow_color,
        layers,
        sharpened_events,
        moving_events,
        detections,
    )
}
"""What makes each topic, by the topic's name."""

CARRIED = ("mask", "detections")
"""The topics that a carried segmentation makes; the others are of a window's events."""


def carried(segmentation: Segmentation, stamp: int) -> Segmentation:
    """Where the layers are at another instant, if each goes on as it moved at the window's end.

    Args:
        segmentation: of a window.
        stamp: ROS time of the instant, ns; before or after the window's end.

    Returns:
        The layers at that instant, without events: enough for the topics in CARRIED.
    """
    window = segmentation.window
    t = window.end + stamp - window.stamp
    none = Events.empty(window.events.width, window.events.height)
    return replace(segmentation, window=Window(none, t, t, stamp), labels=segmentation.labels_at(t))
