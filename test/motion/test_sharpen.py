"""Contrast maximisation, where the motion is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.contrast import (
    carried_by,
    contrast,
    contrast_slope,
    frame_of,
    settle,
    sharpen,
)
from evlayerseg_ros.segmentation.merge import merge
from evlayerseg_ros.segmentation.segmentation import Segmentation

W, H = 320, 240
END = 50_000_000  # ns
SECONDS = END * 1e-9
# Displacement (px) over the window as a field at its end: a slow zoom and turn, and an object.
CAMERA = np.array([[0.01, -0.02, 6.0], [0.02, 0.01, -4.0]])
OBJECT = np.array([[0, 0, -12.0], [0, 0, 9.0]])
BOX = np.s_[80:160, 120:200]
FLAT = np.zeros((2, 3))


def scene(rng: np.random.Generator, camera: np.ndarray = CAMERA) -> tuple[Window, np.ndarray]:
    """A window of points that fire all the time, and labels at its end."""
    labels = np.zeros((H, W), np.uint8)
    labels[BOX] = 1
    places = rng.uniform((0, 0), (W, H), (400, 2))
    behind = labels[places[:, 1].astype(int), places[:, 0].astype(int)] == 0
    inside = rng.uniform((120, 80), (200, 160), (60, 2))
    xyt = []
    for points, motion in ((places[behind], camera), (inside, OBJECT)):
        age = rng.uniform(0, 1, (len(points), 30))
        way = points @ motion[:, :2].T + motion[:, 2]
        at = points[:, None] - age[..., None] * way[:, None]
        xyt.append(np.column_stack((np.round(at.reshape(-1, 2)), (1 - age.ravel()) * END)))
    x, y, t = np.concatenate(xyt).astype(np.int64).T
    keep = np.flatnonzero((x >= 0) & (x < W) & (y >= 0) & (y < H))
    keep = keep[np.argsort(t[keep], kind="stable")]
    events = Events.from_arrays(x[keep], y[keep], t[keep], np.ones(len(keep)), W, H)
    return Window(events, 0, END, END), labels


def end_point_error(motion: np.ndarray, truth: np.ndarray, rows: slice, columns: slice) -> float:
    y, x = np.mgrid[rows, columns]
    difference = motion * SECONDS - truth
    ways = difference[:, 0, None, None] * x + difference[:, 1, None, None] * y
    return float(np.hypot(*(ways + difference[:, 2, None, None])).mean())


@pytest.mark.parametrize("seed", range(3))
def test_motions_that_are_some_px_off_are_found(seed: int) -> None:
    window, labels = scene(np.random.default_rng(seed))
    off = np.array([[0.004, 0, 1.5], [0, -0.004, -2.0]]), np.array([[0, 0, 4.0], [0, 0, -3.0]])
    found = np.stack((CAMERA + off[0], OBJECT + off[1])) / SECONDS
    better = sharpen(Segmentation(window, labels, found))
    assert end_point_error(found[0], CAMERA, slice(H), slice(W)) > 2
    assert end_point_error(better[0], CAMERA, slice(H), slice(W)) < 0.5
    assert end_point_error(found[1], OBJECT, *BOX) == pytest.approx(5)
    assert end_point_error(better[1], OBJECT, *BOX) < 1


def test_events_of_an_object_beyond_its_mask_do_not_move_the_background() -> None:
    window, labels = scene(np.random.default_rng(0))
    labels[:84] = labels[156:] = labels[:, :124] = labels[:, 196:] = 0  # 4 px of the box missed
    found = np.stack((CAMERA, OBJECT)) / SECONDS
    better = sharpen(Segmentation(window, labels, found))
    assert end_point_error(better[0], CAMERA, slice(H), slice(W)) < 0.5


def test_a_background_that_stands_still_is_told_so() -> None:
    window, labels = scene(np.random.default_rng(1), FLAT)
    found = np.stack((CAMERA, OBJECT)) / SECONDS
    better = sharpen(Segmentation(window, labels, found))
    settled = settle(Segmentation(window, labels, better)).affine
    np.testing.assert_array_equal(settled[0], FLAT)
    np.testing.assert_array_equal(settled[1], better[1])


def test_a_background_that_moves_is_left_moving() -> None:
    window, labels = scene(np.random.default_rng(1), CAMERA)
    found = np.stack((CAMERA, OBJECT)) / SECONDS
    np.testing.assert_array_equal(settle(Segmentation(window, labels, found)).affine, found)


def test_noise_is_as_sharp_moved_as_at_rest() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.integers(20, W - 20, 20_000), rng.integers(20, H - 20, 20_000)
    t = np.sort(rng.integers(0, int(SECONDS * 1e9), 20_000))
    window = Window(Events.from_arrays(x, y, t, t % 2, W, H), 0, int(SECONDS * 1e9), 0)
    found = Segmentation(window, np.zeros((H, W), np.uint8), np.zeros((2, 2, 3)))
    sharp = [
        contrast(carried_by(found, np.arange(20_000), way / SECONDS), np.zeros(6), 2.0,
                 *frame_of(found))
        for way in (FLAT, CAMERA)
    ]  # fmt: skip
    assert sharp[1] / sharp[0] == pytest.approx(1, abs=0.02)


def test_only_what_moves_on_its_own_is_a_layer() -> None:
    window, labels = scene(np.random.default_rng(2))
    found = Segmentation(window, labels, np.stack((CAMERA, OBJECT)) / SECONDS)
    assert merge(found) is found
    # A part of the background, said to move by some px more; of 1 px sharpness tells nothing.
    labels = np.roll(labels, 100, axis=1)
    for pixels, is_background in ((0.5, True), (1.0, False), (2.0, True)):
        off = CAMERA + np.array([[0, 0, pixels], [0, 0, 0]])
        taken = Segmentation(window, labels, np.stack((CAMERA, off)) / SECONDS)
        assert merge(taken).labels.any() != is_background


def test_what_moves_before_a_camera_at_rest_is_kept() -> None:
    window, labels = scene(np.random.default_rng(2))
    mine = Segmentation(window, labels, np.stack((CAMERA, OBJECT)) / SECONDS).event_labels == 1
    alone = Window(window.events[np.flatnonzero(mine)], 0, END, END)
    slow = OBJECT * 0.9  # sharp along neither
    found = Segmentation(alone, labels, np.stack((FLAT, slow)) / SECONDS)
    assert merge(found) is found


def test_a_background_of_a_few_noise_events_is_at_rest() -> None:
    window, labels = scene(np.random.default_rng(2))
    mine = Segmentation(window, labels, np.stack((CAMERA, OBJECT)) / SECONDS).event_labels == 1
    noise = np.flatnonzero(~mine)[::200]
    alone = Window(window.events[np.sort(np.append(noise, np.flatnonzero(mine)))], 0, END, END)
    assert len(noise) > 20
    told = np.stack((CAMERA, OBJECT)) / SECONDS  # as it was before the camera stopped
    assert not sharpen(Segmentation(alone, labels, told))[0].any()


@pytest.mark.parametrize("scale", [2.0, 8.0])
def test_the_slope_is_that_of_the_contrast(scale: float) -> None:
    rng = np.random.default_rng(3)
    age = rng.random(20_000)  # of an edge that turns and was carried too far
    x, y = rng.normal(160, 3, 20_000) + 20 * age, rng.uniform(60, 180, 20_000)
    at = np.column_stack((x + 0.1 * y, y - 0.1 * x, age))
    image = np.empty(W * H, np.float32)

    def at_scale(measure: Callable[..., Any], moved: np.ndarray) -> Any:
        return measure(at.astype(np.float32), moved, scale, W, H, image)

    here = np.array([2.0, 1.0, -1.0, -3.0, 0.5, 1.5])
    at_scale(contrast, here)
    slope = at_scale(contrast_slope, here)
    for i in range(6):
        step = np.zeros(6)
        step[i] = 0.02
        above, below = (at_scale(contrast, here + way) for way in (step, -step))
        by_difference = (above - below) / 0.04
        assert slope[i] == pytest.approx(by_difference, rel=0.02, abs=0.02 * np.abs(slope).max())


@pytest.mark.parametrize("wild", [np.nan, np.inf, -1e30, 1e12])
def test_a_motion_that_is_none_is_survived(wild: float) -> None:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 10**7, 2000))
    x, y, p = rng.integers(0, 64, 2000), rng.integers(0, 48, 2000), rng.integers(0, 2, 2000)
    events = Events.from_arrays(x, y, t, p, 64, 48)
    window = Window(events, 0, 10**7, 10**7)
    for label in (0, 1):
        found = Segmentation(window, np.full((48, 64), label, np.uint8), np.full((2, 2, 3), wild))
        assert sharpen(found).shape == (2, 2, 3)
        assert merge(found).labels.shape == (48, 64)
