"""Contrast maximisation, where the motion is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.contrast import (
    BACKGROUND_SCALES,
    BACKGROUND_TIE,
    contrast,
    contrast_slope,
    maximise_contrast,
    sharpness,
    warp_some,
    way_apart,
)
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


def owners(window: Window, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the background's and of the object's events."""
    label = Segmentation(window, labels, np.stack((CAMERA, OBJECT)) / SECONDS).event_labels
    return np.flatnonzero(label == 0), np.flatnonzero(label == 1)


@pytest.mark.parametrize("seed", range(3))
def test_motions_that_are_some_px_off_are_found(seed: int) -> None:
    window, labels = scene(np.random.default_rng(seed))
    back, mine = owners(window, labels)
    off = np.array([[0.004, 0, 1.5], [0, -0.004, -2.0]]), np.array([[0, 0, 4.0], [0, 0, -3.0]])
    camera, thing = (CAMERA + off[0]) / SECONDS, (OBJECT + off[1]) / SECONDS
    assert end_point_error(camera, CAMERA, slice(H), slice(W)) > 2
    better = maximise_contrast(window, back, camera, BACKGROUND_SCALES, *BACKGROUND_TIE)
    assert end_point_error(better, CAMERA, slice(H), slice(W)) < 0.5
    assert end_point_error(thing, OBJECT, *BOX) == pytest.approx(5)
    better = maximise_contrast(window, mine, thing)
    assert end_point_error(better, OBJECT, *BOX) < 1
    np.testing.assert_array_equal(better[:, :2], 0)  # an object is only shifted


def test_the_right_motion_is_sharper_than_others() -> None:
    window, labels = scene(np.random.default_rng(2))
    _, mine = owners(window, labels)
    right = sharpness(window, mine, OBJECT / SECONDS)
    for other in (CAMERA, FLAT, OBJECT + np.array([[0, 0, 3], [0, 0, 0]])):
        assert right > 1.2 * sharpness(window, mine, other / SECONDS)


def test_how_far_two_motions_are_apart() -> None:
    window, _ = scene(np.random.default_rng(2))
    every = np.arange(len(window.events))
    moved = OBJECT + np.array([[0, 0, 3], [0, 0, 4]])
    assert way_apart(window, every, OBJECT / SECONDS, moved / SECONDS) == pytest.approx(5, rel=1e-3)
    assert way_apart(window, every, OBJECT / SECONDS, OBJECT / SECONDS) == 0


def test_events_are_carried_to_the_window_s_end() -> None:
    window, labels = scene(np.random.default_rng(2))
    _, mine = owners(window, labels)
    at = warp_some(window, mine, OBJECT / SECONDS)
    age = (window.end - window.events.t[mine]) / (window.end - window.start)
    np.testing.assert_allclose(at[:, 2], age, atol=1e-6)
    want = np.column_stack((window.events.x[mine], window.events.y[mine])) + age[:, None] * (-12, 9)
    assert np.abs(at[:, :2] - want).max() <= 0.501  # somewhere in the pixel


def test_noise_is_as_sharp_moved_as_at_rest() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.integers(20, W - 20, 20_000), rng.integers(20, H - 20, 20_000)
    t = np.sort(rng.integers(0, END, 20_000))
    window = Window(Events.from_arrays(x, y, t, t % 2, W, H), 0, END, END)
    sharp = [sharpness(window, np.arange(20_000), way / SECONDS) for way in (FLAT, CAMERA)]
    assert sharp[1] / sharp[0] == pytest.approx(1, abs=0.02)


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
    motion = np.full((2, 3), wild)
    assert maximise_contrast(window, np.arange(2000), motion).shape == (2, 3)
    assert maximise_contrast(window, np.arange(0), np.zeros((2, 3))).shape == (2, 3)
    assert sharpness(window, np.arange(2000), motion) >= 0
