"""Measures where the ground truth has the object of each event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import flow, metrics
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.segmentation.segmentation import Segmentation

JUDGED = 50  # an object is judged in windows with so many of its events
FOUND = 0.3  # with this IoU it counts as found
_NAN = float("nan")

Objects = dict[int, tuple[int, float]]
"""By true object judged in a window: the label found for it, and their IoU."""


def of_window(truth: Truth, segmentation: Segmentation) -> tuple[dict[str, float], Objects]:
    """The measures of a window by its events, and its objects; none without true labels.

    Raises:
        InputError: the truth has fewer labels than the recording has events.
    """
    if truth.event_labels is None:
        return {}, {}
    events, first = segmentation.window.events, segmentation.window.first
    labels = truth.event_labels[first : first + len(events)]
    if len(labels) != len(events):
        raise InputError(
            f"The ground truth has labels for {len(truth.event_labels)} events but the "
            f"recording has more."
        )
    measures, found = of_labels(segmentation.event_labels, labels)
    if truth.affine is not None:
        # The motion found holds at the window's end: each event's is taken where it is warped to.
        motions = truth.affine_at(events.t)[np.arange(len(events)), labels]
        true = metrics.affine_velocity(motions, events.x, events.y)
        affine = segmentation.affine[segmentation.event_labels]
        velocity = metrics.affine_velocity(affine, *segmentation.warp_events())
        measures["flow_error"] = metrics.flow_error(velocity, true)
        measures.update(flow.over_window(truth, segmentation, labels))
    return measures, found


def of_labels(found: np.ndarray, true: np.ndarray) -> tuple[dict[str, float], Objects]:
    """The measures of labels of a window's events, and its objects.

    Args:
        found, true: uint8 [N], labels; 0 is the background, anything else moves.
    """
    iou, accuracy = metrics.event_scores(found, true)
    measures = {"event_iou": _NAN, "event_accuracy": accuracy}
    if true.any():
        measures |= {"event_iou": iou, "event_dr": float(iou >= 0.5)}
    elif len(true):
        measures["event_false_alarms"] = float(np.mean(found > 0))
    judged = objects(found, true)
    if judged:
        measures["object_iou"] = float(np.mean([value for _, value in judged.values()]))
    return measures, judged


def objects(found: np.ndarray, true: np.ndarray) -> Objects:
    """For each object with JUDGED events or more its best label, and their IoU of events, 0 to 1.

    The best label is the moving one that most of its events have; (0, 0.0) if none has one.

    Args:
        found, true: uint8 [N], labels found and true; 0 is the background.
    """
    shared = np.zeros((256, 256), np.int64)  # by object and label
    np.add.at(shared, (true, found), 1)
    sizes, claims = shared.sum(1), shared.sum(0)
    judged: Objects = {}
    for thing in (np.flatnonzero(sizes[1:] >= JUDGED) + 1).tolist():
        label = int(shared[thing, 1:].argmax()) + 1
        both = int(shared[thing, label])
        union = int(sizes[thing] + claims[label]) - both
        judged[thing] = (label, both / union) if both else (0, 0.0)
    return judged


def of_ids(windows: Sequence[Objects]) -> dict[str, float]:
    """How steady the objects' labels are through a sequence.

    Args:
        windows: the objects of each window, in order.

    Returns:
        id_switches: how often an object is found under another label than the last time, sum over
        objects. id_kept: the share of its windows in which an object is found under its most
        frequent label, mean over objects. NaN without any object.
    """
    switches, kept = 0, []
    for thing in {thing for window in windows for thing in window}:
        judged = [window[thing] for window in windows if thing in window]
        ids = [label for label, iou in judged if iou >= FOUND]
        switches += sum(a != b for a, b in pairwise(ids))
        kept.append(max(Counter(ids).values(), default=0) / len(judged))
    if not kept:
        return {"id_switches": _NAN, "id_kept": _NAN}
    return {"id_switches": float(switches), "id_kept": float(np.mean(kept))}
