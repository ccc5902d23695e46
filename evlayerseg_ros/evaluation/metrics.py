"""The measures of a segmentation: overlap, detection, deblurring and flow error."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.outputs.pictures import image_of_warped_events


def iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two bool arrays of one shape.

    1 where both are empty: nothing was there and nothing was claimed.
    """
    union = int(np.count_nonzero(predicted | truth))
    return int(np.count_nonzero(predicted & truth)) / union if union else 1.0


def detected(predicted: np.ndarray, truth: np.ndarray) -> bool:
    """Whether an object counts as found: IoU >= 0.5 and true positives >= false positives.

    Args:
        predicted, truth: bool arrays of one shape.
    """
    true_positives = np.count_nonzero(predicted & truth)
    false_positives = np.count_nonzero(predicted & ~truth)
    return bool(iou(predicted, truth) >= 0.5 and true_positives >= false_positives)


def precision_and_recall(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The share of what is found that is right, and the share of what is there that is found.

    Args:
        predicted, truth: bool arrays of one shape.

    Returns:
        (precision, recall); NaN where nothing is found, or nothing is there.
    """
    right = int(np.count_nonzero(predicted & truth))
    claimed, there = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    return right / claimed if claimed else float("nan"), right / there if there else float("nan")


def object_iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean IoU over the true objects, each with a moving layer of its own.

    Layers are assigned so that the sum of IoUs is largest; an object without a layer counts 0.

    Args:
        predicted, truth: uint8 arrays of one shape, labels; 0 is the background.

    Returns:
        NaN where there are fewer than two objects: `iou` says it all.
    """
    objects = [truth == label for label in np.unique(truth) if label]
    if len(objects) < 2:
        return float("nan")
    layers = [predicted == label for label in np.unique(predicted) if label]
    overlaps = np.array([[iou(layer, thing) for layer in layers] for thing in objects])
    if not layers:
        return 0.0
    return float(overlaps[linear_sum_assignment(overlaps, maximize=True)].sum() / len(objects))


def event_scores(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """IoU and accuracy of events as moving or background.

    Args:
        predicted, truth: uint8 [N], labels; 0 is the background, anything else moves.

    Returns:
        (IoU of the moving events, share of events on the right side); the share of none is NaN.
    """
    ours, theirs = predicted > 0, truth > 0
    accuracy = float(np.mean(ours == theirs)) if len(ours) else float("nan")
    return iou(ours, theirs), accuracy


def flow_warp_loss(events: Events, x: np.ndarray, y: np.ndarray) -> float:
    """FWL (Stoffregen et al., ECCV 2020): how much sharper the events are once warped.

    The variance of the image of warped events over that of the image of events as they came.
    Above 1 the motion sharpens; NaN without events.

    Args:
        events: N events.
        x, y: float32 [N], where each was warped to, px.
    """
    size = events.width, events.height
    before = image_of_warped_events(events.x, events.y, *size).var(dtype=np.float64)
    after = image_of_warped_events(x, y, *size).var(dtype=np.float64)
    return float(after / before) if before > 0 else float("nan")


def squared_timestamp_ratio(events: Events, x: np.ndarray, y: np.ndarray) -> float:
    """RSAT (Hagenaars et al., NeurIPS 2021): average-timestamp loss after warping over that before.

    The loss is the sum over pixels and polarities of the squared mean time (0 at the first event,
    1 at the last), divided by the number of pixels hit. Below 1 the motion sharpens; NaN where
    time does not advance.

    Args:
        events: N events.
        x, y: float32 [N], where each was warped to at the last event's time, px.
    """
    if not len(events) or events.t[-1] == events.t[0]:
        return float("nan")
    time = ((events.t - events.t[0]) / (events.t[-1] - events.t[0])).astype(np.float32)
    before = _timestamp_loss(events, events.x, events.y, time)
    return _timestamp_loss(events, x, y, time) / before if before > 0 else float("nan")


def flow_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean end-point error, in the flow's unit; NaN without any.

    Args:
        predicted, truth: float [..., 2], (u, v).
    """
    if not predicted.size:
        return float("nan")
    return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def affine_velocity(affine: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Velocity of points under affine motions: float64 [N, 2], px/s.

    Args:
        affine: float [N, 2, 3] or [2, 3], px/s.
        x, y: float [N], px.
    """
    u = affine[..., 0, 0] * x + affine[..., 0, 1] * y + affine[..., 0, 2]
    v = affine[..., 1, 0] * x + affine[..., 1, 1] * y + affine[..., 1, 2]
    return np.stack([u, v], axis=-1)


def _timestamp_loss(events: Events, x: np.ndarray, y: np.ndarray, time: np.ndarray) -> float:
    total = 0.0
    hit = np.zeros((events.height, events.width), bool)
    for polarity in (0, 1):
        ours = events.p == polarity
        args = x[ours], y[ours], events.width, events.height
        counts = image_of_warped_events(*args)
        times = image_of_warped_events(*args, weights=time[ours])
        here = counts > 0
        total += float(np.square(times[here] / counts[here], dtype=np.float64).sum())
        hit |= here
    return total / max(int(np.count_nonzero(hit)), 1)
