"""Masks snapped to the outline that events draw, against polygons whose outline is known."""

import cv2
import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.segmentation.outline import refine_outlines
from evlayerseg_ros.segmentation.segmentation import Segmentation

MS = 1_000_000
SIZE = 640, 480
STAR = np.array(
    [
        [
            (240 + r * np.sin(a), 250 - r * np.cos(a))
            for a, r in [(k * np.pi / 5, 90 - 50 * (k % 2))]
        ]
        for k in range(10)
    ]
)
SPEED = np.array([400.0, -150.0])  # px/s of the star; the background's events stand still


def filled(outline: np.ndarray, grown: int = 0) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    return cv2.dilate(mask, disc)


def scene(background: int) -> Window:
    """30 ms of a star's outline (ON events) and of that many events of background edges (OFF)."""
    rng = np.random.default_rng(3)
    corners = STAR.reshape(-1, 2)
    side, along, age = rng.integers(0, 10, 20_000), rng.random((20_000, 1)), rng.random(20_000)
    edge = corners[side] + along * (np.roll(corners, -1, 0)[side] - corners[side])
    edge -= 0.03 * age[:, None] * SPEED
    back = rng.integers(0, (*SIZE, 10**6), (background, 3))
    back[:, 0] -= back[:, 0] % 40  # upright bars
    x, y = np.vstack((edge, back[:, :2])).round().astype(int).T
    t = np.append(1 - age, back[:, 2] * 1e-6) * 30 * MS
    order = np.argsort(t)
    on = np.arange(len(x)) < len(edge)
    events = Events.from_arrays(x[order], y[order], t[order].astype(np.int64), on[order], *SIZE)
    return Window(events, 0, 30 * MS, 30 * MS)


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return (found & truth).sum() / (found | truth).sum()


def motions(layers: int = 2) -> np.ndarray:
    affine = np.zeros((layers, 2, 3))
    affine[1:, :, 2] = SPEED
    return affine


@pytest.mark.parametrize("grown", [3, 6, 9])
def test_a_fat_mask_becomes_the_star_that_the_events_draw(grown: int) -> None:
    star, fat = filled(STAR), filled(STAR, grown)
    found = refine_outlines(Segmentation(scene(60_000), fat, motions(), margin=2))
    assert iou(found.labels, star) > max(0.93, iou(fat, star))
    assert (found.event_labels == 1)[found.window.events.p == 1].mean() > 0.95


def test_other_layers_stay_what_they_are() -> None:
    labels = filled(STAR, 6)
    labels[:60, :60] = 2  # without an outline: something of it stays
    found = refine_outlines(Segmentation(scene(60_000), labels, motions(3))).labels
    assert iou(found == 1, filled(STAR) > 0) > 0.9
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize("speed", [0.0, 1e3, 1e9, 1e300, np.inf, np.nan])
def test_any_motion_gives_labels(speed: float) -> None:
    labels = filled(STAR, 6)
    with np.errstate(all="ignore"):
        found = refine_outlines(Segmentation(scene(1000), labels, motions() * speed)).labels
    assert found.shape == labels.shape and found.dtype == np.uint8 and found.max() <= 1


def test_an_object_at_the_image_s_border_and_one_that_fills_it() -> None:
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[100:200, :80] = 1
    assert refine_outlines(Segmentation(scene(1000), labels, motions())).labels.any()
    labels[:] = 1
    assert refine_outlines(Segmentation(scene(1000), labels, motions())).labels.all()
    labels[:] = 0
    assert not refine_outlines(Segmentation(scene(1000), labels, motions())).labels.any()
