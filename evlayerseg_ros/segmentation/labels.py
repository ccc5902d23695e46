"""From the network's cells to the sensor's pixels."""

from __future__ import annotations

import cv2
import numpy as np

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.motion.evidence import motion_at
from evlayerseg_ros.segmentation.segmentation import Segmentation

SAME = 1.0  # px over the window, of 640: motions closer than that are proposed once


def upsample_labels(
    labels: np.ndarray, score: np.ndarray, cell: float, height: int, width: int
) -> np.ndarray:
    """Labels at the sensor's resolution.

    Args:
        labels: uint8 [h, w], of objects on a coarse map.
        score: float32 [h, w], above zero where something moves.
        cell: px per step of the map.
        height, width: of the sensor, px.

    Returns:
        uint8 [height, width]: where the bilinearly interpolated score is above zero, the nearest
        label.
    """
    size = max(width, round(score.shape[1] * cell)), max(height, round(score.shape[0] * cell))
    moving = cv2.resize(score, size, interpolation=cv2.INTER_LINEAR)[:height, :width] > 0
    grown = cv2.dilate(labels, np.ones((3, 3), np.uint8))
    grown[labels > 0] = labels[labels > 0]
    nearest = cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST)[:height, :width]
    return nearest * moving


def cells_to_px(affine: np.ndarray, cell: float) -> np.ndarray:
    """Affine displacement [..., 2, 3] in cells at cell coordinates as px at pixel coordinates.

    Pixel x lies at (x - (cell - 1) / 2) / cell, since the first cell's centre is (cell - 1) / 2.
    """
    out = affine.copy()
    out[..., 2] = affine[..., 2] * cell - affine[..., :2].sum(-1) * (cell - 1) / 2
    return out


def most_events_first(result: Segmentation) -> Segmentation:
    """The same with the layer that holds most events as label 0, the others in their order."""
    counts = np.bincount(
        result.labels[result.window.events.y, result.window.events.x],
        minlength=len(result.affine),
    )
    order = np.argsort(np.arange(len(counts)) != counts.argmax(), kind="stable")
    rank = np.empty(len(order), np.uint8)
    rank[order] = np.arange(len(order))
    return Segmentation(result.window, rank[result.labels], result.affine[order])


def distinct(motions: list[np.ndarray], window: Window) -> list[np.ndarray]:
    """Those motions (px/s) that are not, over the window, about the same as one before them."""
    events = window.events
    kept: list[np.ndarray] = []
    for motion in motions:
        way = [
            np.hypot(*motion_at(motion - other, events.width / 2, events.height / 2))
            for other in kept
        ]
        if all(w * window.duration * 640 / events.width > SAME for w in way):
            kept.append(motion)
    return kept
