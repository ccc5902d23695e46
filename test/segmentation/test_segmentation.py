"""Motion algebra of a segmentation against closed forms."""

import numpy as np
import pytest

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.segmentation.labels import (
    cells_to_px,
    distinct,
    most_events_first,
    upsample_labels,
)
from evlayerseg_ros.segmentation.segmentation import Segmentation

W, H = 64, 48
END = 100_000_000  # ns; a window of 0.1 s


def segmentation(labels, affine, x=(), y=(), t=()) -> Segmentation:
    events = Events.from_arrays(
        np.array(x, int), np.array(y, int), np.array(t, int), np.ones(len(x)), W, H
    )
    return Segmentation(Window(events, 0, END, END), labels, np.array(affine, float))


def box(at: int) -> np.ndarray:
    labels = np.zeros((H, W), np.uint8)
    labels[10:20, at : at + 10] = 1
    return labels


REST = [[0, 0, 0], [0, 0, 0]]
RIGHT = [[0, 0, 200.0], [0, 0, 0]]  # px/s: 20 px over the window


def test_mask_is_carried_back_along_its_layer() -> None:
    found = segmentation(box(40), [REST, RIGHT])
    np.testing.assert_array_equal(found.labels_at(END), box(40))
    np.testing.assert_array_equal(found.labels_at(0), box(20))
    np.testing.assert_array_equal(found.labels_at(END // 2), box(30))


def test_events_take_the_label_of_the_layer_that_carries_them_into_its_mask() -> None:
    # At the start the box was at 20..29, half-way at 30..39, at the end at 40..49.
    x, t = [25, 45, 35, 25, 45], [0, 0, END // 2, END, END]
    found = segmentation(box(40), [REST, RIGHT], x, [15] * 5, t)
    assert found.event_labels.tolist() == [1, 0, 1, 0, 1]
    assert found.layer_events.tolist() == [2, 3]
    assert found.centroids[1].tolist() == [35, 15]


def test_warped_events_of_an_object_meet() -> None:
    x, t = [25, 30, 35, 40, 45], [0, END // 4, END // 2, 3 * END // 4, END]
    found = segmentation(box(40), [REST, RIGHT], x, [15] * 5, t)
    wx, wy = found.warp_events()
    np.testing.assert_allclose(wx, 45)
    np.testing.assert_allclose(wy, 15)


def test_warp_inverts_the_affine_motion() -> None:
    rng = np.random.default_rng(0)
    affine = np.array([rng.normal(0, 1, (2, 3)) * [[1, 1, 50]]])
    end_x, end_y = rng.uniform(10, 50, 20), rng.uniform(10, 40, 20)
    # What is at X at the end was at X - tau u(X) before; tau = 0.1 s at the window's start.
    u = affine[0] @ [end_x, end_y, np.ones(20)]
    x, y = np.round([end_x - 0.1 * u[0], end_y - 0.1 * u[1]]).astype(int)
    keep = (x >= 0) & (x < W) & (y >= 0) & (y < H)
    found = segmentation(np.zeros((H, W), np.uint8), affine, x[keep], y[keep], np.zeros(keep.sum()))
    wx, wy = found.warp_events()
    assert keep.sum() > 10
    np.testing.assert_allclose(wx, end_x[keep], atol=0.7)  # the rounding of x, grown by the motion
    np.testing.assert_allclose(wy, end_y[keep], atol=0.7)


def test_flow_is_each_pixels_own_layer() -> None:
    zoom = [[2.0, 0, -64], [0, 2.0, -48]]
    flow = segmentation(box(40), [zoom, RIGHT]).flow()
    assert flow.shape == (H, W, 2)
    assert flow.dtype == np.float32
    assert flow[0, 0].tolist() == [-64, -48]
    assert flow[47, 3].tolist() == [2 * 3 - 64, 2 * 47 - 48]
    assert flow[15, 45].tolist() == [200, 0]


def test_a_motion_without_bounds_is_harmless() -> None:
    wild = np.full((2, 2, 3), 1e30)
    wild[1] = np.nan
    found = segmentation(box(40), wild, [1, 45], [1, 15], [0, END])
    assert found.labels_at(0).max() <= 1
    assert set(found.event_labels.tolist()) <= {0, 1}


def test_cells_to_px_agrees_at_points() -> None:
    rng = np.random.default_rng(2)
    cells, cell = rng.normal(0, 1, (3, 2, 3)), 4
    x, y = 101.0, 57.0  # px; the same place in cells:
    cx, cy = (x - 1.5) / 4, (y - 1.5) / 4
    want = cells @ [cx, cy, 1] * cell
    np.testing.assert_allclose(cells_to_px(cells, cell) @ [x, y, 1], want)


def test_upsampled_labels_keep_their_place() -> None:
    score = np.full((24, 32), -1.0, np.float32)  # every step spans 4 px
    score[6:12, 8:16] = 1
    labels = upsample_labels((score > 0).astype(np.uint8), score, 4, 90, 128)
    assert labels.shape == (90, 128)
    ys, xs = np.nonzero(labels)
    # The edge lies half-way between the map's places, so exactly on the block's border.
    assert (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1) == (24, 48, 32, 64)
    two = (score > 0).astype(np.uint8)
    two[:, 12:] *= 2
    labels = upsample_labels(two, score, 4, 90, 128)
    assert (labels[30, 32:47] == 1).all() and (labels[30, 49:64] == 2).all()
    assert not upsample_labels(two, -np.abs(score), 4, 90, 128).any()


def test_motions_that_are_about_the_same_are_kept_once() -> None:
    window = segmentation(box(40), [REST]).window  # 0.1 s at 64 px: 1 px of 640 is 1 px/s
    some = np.array([REST, [[0, 0, 0.5], [0, 0, 0]], RIGHT, REST, [[0, 0, 200], [0, 0, 5]]])
    kept = distinct(list(some), window)
    np.testing.assert_array_equal(kept, some[[0, 2, 4]])


def test_layer_with_most_events_becomes_the_background() -> None:
    labels = box(40)
    x, y = [45, 45, 45, 3], [12, 13, 14, 3]
    found = most_events_first(segmentation(labels, [REST, RIGHT], x, y, [0, 1, 2, END]))
    np.testing.assert_array_equal(found.labels, 1 - labels)
    np.testing.assert_array_equal(found.affine, [RIGHT, REST])


@pytest.mark.parametrize("t", [0, END])
def test_empty_mask_stays_empty(t: int) -> None:
    assert not segmentation(np.zeros((H, W), np.uint8), [REST, RIGHT]).labels_at(t).any()
