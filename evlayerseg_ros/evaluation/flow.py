"""Errors of motion: how far things moved in a window, and how far the method says they did."""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.evaluation.datasets import Truth
from evlayerseg_ros.evaluation.metrics import affine_velocity
from evlayerseg_ros.segmentation.segmentation import Segmentation

_STEPS = 8  # of Runge-Kutta through a window


def over_window(truth: Truth, segmentation: Segmentation, labels: np.ndarray) -> dict[str, float]:
    """End-point errors in px over the window, of the background and of what moves.

    Every event stands for the point of its true layer that made it. How far that point moves from
    the window's start to its end by the layer's true motion is compared with what the method says:
    the motion that it gives the layer, where the point is at the end, times the window's duration.
    To the background it gives label 0's motion. To a moving layer it gives that of the moving label
    which most of the layer's events have, or label 0's if none has one: a layer that is missed is
    said to move with the background.

    Args:
        truth: with the motions of the layers.
        segmentation: of the window.
        labels: uint8 [N], true layer of each of the window's events.

    Returns:
        flow_error_background: mean over the events of layer 0. flow_error_object: mean over all
        other events. object_shift: how far these move against the background, px over the window,
        mean. NaN where there are none.
    """
    window = segmentation.window
    t, maps = paths(truth, window.start, window.end)
    back_to_start = np.linalg.inv(maps[-1, 0])
    errors: dict[bool, list[np.ndarray]] = {False: [], True: []}
    shifts: list[np.ndarray] = []
    for layer in np.unique(labels):
        ours = np.flatnonzero(labels == layer)
        events = window.events[ours]
        begin, end = _ends(events.x, events.y, events.t, t, maps[:, layer])
        label = _label_of(segmentation.event_labels[ours]) if layer else 0
        found = affine_velocity(segmentation.affine[label], end[:, 0], end[:, 1]) * window.duration
        errors[bool(layer)].append(np.linalg.norm(found - (end - begin), axis=1))
        if layer:
            warped = end @ back_to_start[:2, :2].T + back_to_start[:2, 2]
            shifts.append(np.linalg.norm(begin - warped, axis=1))
    return {
        "flow_error_background": _mean(errors[False]),
        "flow_error_object": _mean(errors[True]),
        "object_shift": _mean(shifts),
    }


def paths(truth: Truth, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the points of each layer are through a window.

    Args:
        truth: with the motions of the layers.
        start, end: of the window, ns.

    Returns:
        (times, float64 [S + 1], ns; affine maps, float64 [S + 1, L, 3, 3], from a layer's points
        at the start, px, to where they are at each time).
    """
    t = np.linspace(start, end, 2 * _STEPS + 1)
    known = truth.affine_at(t)
    velocity = np.zeros((*known.shape[:2], 3, 3))
    velocity[:, :, :2] = known
    step = (end - start) * 1e-9 / _STEPS
    maps = [np.broadcast_to(np.eye(3), velocity.shape[1:])]
    for first, middle, last in zip(velocity[:-1:2], velocity[1::2], velocity[2::2], strict=True):
        now = maps[-1]
        k1 = first @ now
        k2 = middle @ (now + step / 2 * k1)
        k3 = middle @ (now + step / 2 * k2)
        k4 = last @ (now + step * k3)
        maps.append(now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return t[::2], np.stack(maps)


def _ends(
    x: np.ndarray, y: np.ndarray, when: np.ndarray, t: np.ndarray, maps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where points seen at (x, y), px, at `when`, ns, were at t[0] and are at t[-1]: [N, 2], px."""
    place = np.clip(np.interp(when, t, np.arange(len(t))), 0, len(t) - 1)
    before = np.minimum(place.astype(np.int64), len(t) - 2)
    part = (place - before)[:, None, None]
    through = (1 - part) * maps[before] + part * maps[before + 1]
    seen = np.stack([x, y, np.ones(len(x))], axis=1)[..., None]
    begin = np.linalg.solve(through, seen)[..., 0]
    return begin[:, :2], begin @ maps[-1, :2].T


def _label_of(event_labels: np.ndarray) -> int:
    """The moving label that most of these events have; 0 if none has one."""
    moving = event_labels[event_labels > 0]
    return int(np.bincount(moving).argmax()) if len(moving) else 0


def _mean(parts: list[np.ndarray]) -> float:
    values = np.concatenate([np.empty(0), *parts])
    return float(values.mean()) if len(values) else float("nan")
