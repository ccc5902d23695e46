"""Several objects under one label of the network, where the motions are known."""

import numpy as np
import pytest
from drifting import LENGTH, drifting

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.split import MOST_OBJECTS, keep_numbers, split

W, H = 320, 240
SECONDS = LENGTH * 1e-9
CAMERA = (2.0, -1.0)  # px over the window
BOXES = (np.s_[40:110, 30:110], np.s_[130:190, 200:260])


def scene(*ways: tuple[float, float]) -> tuple[Window, np.ndarray]:
    """Points that fire all the time, of a camera's motion and of boxes in motions of their own.

    Returns:
        The window, and the boxes at its end as one label.
    """
    rng = np.random.default_rng(0)
    labels = np.zeros((H, W), np.uint8)
    for box in BOXES[: len(ways)]:
        labels[box] = 1
    places = rng.uniform((0, 0), (W, H), (400, 2))
    behind = places[labels[places[:, 1].astype(int), places[:, 0].astype(int)] == 0]
    layers = [(behind - CAMERA, CAMERA)]
    for (rows, columns), way in zip(BOXES, ways, strict=False):
        corners = (columns.start, rows.start), (columns.stop, rows.stop)
        layers.append((rng.uniform(*corners, (60, 2)) - way, way))
    return drifting(0, (W, H), rng, *layers), labels


def shifts(*ways: tuple[float, float]) -> np.ndarray:
    """float64 [L, 2, 3], px/s: motions that shift everything alike."""
    affine = np.zeros((len(ways), 2, 3))
    affine[:, :, 2] = np.array(ways) / SECONDS
    return affine


def test_two_objects_in_two_motions_have_a_layer_each() -> None:
    ways = (12.0, 3.0), (-4.0, 9.0)
    window, labels = scene(*ways)
    found = split(Segmentation(window, labels, shifts(CAMERA, (8, 5))))  # between the two
    assert len(found.affine) == 3
    for box, way in zip(BOXES, ways, strict=True):
        label = np.unique(found.labels[box])
        assert label.size == 1
        assert found.affine[label[0], :, 2] * SECONDS == pytest.approx(np.array(way), abs=0.75)
    assert set(found.labels[labels == 0]) == {0}
    np.testing.assert_array_equal(found.affine[0], shifts(CAMERA)[0])


def test_pieces_in_one_motion_are_one_object_if_they_are_close() -> None:
    window, labels = scene((12, 3))
    labels[:, 66:70] = 0  # something thin in front of the first box
    found = split(Segmentation(window, labels, shifts(CAMERA, (10, 4))))
    np.testing.assert_array_equal(found.labels, labels)
    assert found.affine[1, :, 2] * SECONDS == pytest.approx(np.array((12, 3)), abs=0.75)
    window, labels = scene((12, 3), (12, 3))
    found = split(Segmentation(window, labels, shifts(CAMERA, (10, 4))))
    assert len(found.affine) == 3
    assert found.affine[1:, :, 2] * SECONDS == pytest.approx(np.array([(12, 3)] * 2), abs=0.75)


def test_one_piece_is_left_as_it_is() -> None:
    window, labels = scene((12, 3))
    found = Segmentation(window, labels, shifts(CAMERA, (10, 4)))
    assert split(found) is found


def test_specks_go_with_the_largest_piece_and_layers_are_few() -> None:
    window, labels = scene((12, 3))
    labels[200::5, ::5] = 1
    assert split(Segmentation(window, labels, shifts(CAMERA, (12, 3)))).labels.max() == 1
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, W, 50_000), rng.integers(0, H, 50_000)
    t = np.sort(rng.integers(0, LENGTH, 50_000))
    noise = Window(Events.from_arrays(x, y, t, t % 2, W, H), 0, LENGTH, LENGTH)
    chequered = ((np.arange(H)[:, None] // 24 + np.arange(W) // 32) % 2).astype(np.uint8)
    assert (
        len(split(Segmentation(noise, chequered, shifts(CAMERA, (9, 9)))).affine)
        <= 1 + MOST_OBJECTS
    )


def test_objects_keep_their_numbers() -> None:
    window, labels = scene((12, 3), (-4, 9))
    first, second = ((labels > 0) & (np.arange(W) < 150), (labels > 0) & (np.arange(W) >= 150))
    affine = shifts(CAMERA, (1, 1), (2, 2))
    before = first * np.uint8(1) + second * np.uint8(2)
    swapped = Segmentation(window, first * np.uint8(2) + second * np.uint8(1), affine)
    kept = keep_numbers(swapped, before)
    np.testing.assert_array_equal(kept.labels, before)
    np.testing.assert_array_equal(kept.affine, affine[[0, 2, 1]])
    # One that is gone leaves its number, and moves like the background; a new one takes it.
    alone = keep_numbers(Segmentation(window, second * np.uint8(1), affine[:2]), before)
    np.testing.assert_array_equal(alone.labels, second * np.uint8(2))
    np.testing.assert_array_equal(alone.affine, affine[[0, 0, 1]])
    again = keep_numbers(swapped, alone.labels)
    np.testing.assert_array_equal(again.labels, before)
