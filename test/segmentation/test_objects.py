"""Objects: cutting masks into them, their motions, and ids that last."""

import numpy as np
import pytest
from drifting import carried, flow_at, shift

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.evidence import BLOCK, Evidence
from evlayerseg_ros.segmentation.config import PostprocessConfig
from evlayerseg_ros.segmentation.objects import cut_objects, outside, sharpness_ratio, with_motions
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.tracks import Tracks, renumbered

W, H = 320, 240
SIZE = W, H
SPAN = 33_000_000  # ns of a window
CELL = 4  # px of a step of coarse masks
CONFIG = PostprocessConfig()
LEFT, RIGHT = (60, 60, 140, 140), (140, 60, 220, 140)  # boxes that touch: left, top, right, bottom


def filled(*boxes: tuple[int, int, int, int], step: int = 1) -> np.ndarray:
    labels = np.zeros((H // step, W // step), np.uint8)
    for label, box in enumerate(boxes, 1):
        left, top, right, bottom = (side // step for side in box)
        labels[top:bottom, left:right] = label
    return labels


def moved(box, motion, index):
    """A box that was at its place when window 0 ended, when window `index` ends."""
    dx, dy = (round(speed * index * SPAN * 1e-9) for speed in motion[:, 2])
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def assign(tracks: Tracks, index: int, *objects) -> list[int]:
    """The ids of objects (a box and a motion each) in window `index`."""
    end = (index + 1) * SPAN
    window = Window(Events.empty(*SIZE), end - SPAN, end, end)
    boxes = [moved(box, motion, index) for box, motion in objects]
    affine = np.array([shift(0, 0), *(motion for _, motion in objects)])
    found = Segmentation(window, filled(*boxes), affine)
    ids = tracks.assign(found, filled(*boxes, step=CELL), CELL)
    assert ids[0] == 0
    return ids[1:].tolist()


SLOW, FAST = shift(30, 0), shift(-200, 60)


def test_objects_keep_their_ids_in_whatever_order_they_come() -> None:
    tracks = Tracks(CONFIG)
    one, other = ((40, 40, 100, 100), SLOW), ((200, 100, 260, 160), FAST)
    assert assign(tracks, 0, one, other) == [1, 2]
    assert assign(tracks, 1, other, one) == [2, 1]
    assert assign(tracks, 2, one, other) == [1, 2]


def test_two_that_touch_keep_their_ids() -> None:
    tracks = Tracks(CONFIG)
    one, other = (LEFT, SLOW), (RIGHT, SLOW)
    for index in range(4):
        assert assign(tracks, index, *((other, one) if index % 2 else (one, other))) == (
            [2, 1] if index % 2 else [1, 2]
        )


def test_an_id_lasts_through_missed_windows_and_is_carried_along() -> None:
    tracks = Tracks(CONFIG)
    thing = (LEFT, shift(300, 0))  # 10 px a window
    for index in range(3):
        assert assign(tracks, index, thing) == [1]
    for index in (3, 4, 5):
        assert assign(tracks, index) == []
    assert assign(tracks, 6, thing) == [1]
    places = [np.nonzero(tracks.now(k * SPAN, CELL)[0])[1].mean() * CELL for k in (7, 8, 9)]
    assert places[0] == pytest.approx(158, abs=CELL)
    assert np.diff(places) == pytest.approx([10, 10], abs=CELL / 2)


def test_what_was_seen_once_and_what_is_long_gone_is_forgotten() -> None:
    tracks = Tracks(CONFIG)
    thing = (LEFT, SLOW)
    assign(tracks, 0, thing)
    assign(tracks, 1)
    assert tracks.tracks == []
    for index in range(2, 6):
        assign(tracks, index, thing)
    assign(tracks, 34)  # 0.96 s later
    assert len(tracks.tracks) == 1
    assign(tracks, 36)
    assert tracks.tracks == []


def test_a_new_object_gets_the_lowest_free_id() -> None:
    tracks = Tracks(CONFIG)
    boxes = [(20 + 70 * k, 40, 60 + 70 * k, 80) for k in range(4)]
    objects = [(box, shift(0, 0)) for box in boxes]
    assert assign(tracks, 0, *objects[:3]) == [1, 2, 3]
    assert assign(tracks, 1, objects[0], objects[2]) == [1, 3]
    assert assign(tracks, 2, objects[0], objects[2], objects[3]) == [1, 3, 2]


def test_labels_now_are_those_of_the_tracks() -> None:
    tracks = Tracks(CONFIG)
    labels, motions = tracks.labels_now(0, CELL)
    assert labels is None and motions.shape == (1, 2, 3)
    assign(tracks, 0, (LEFT, SLOW), (RIGHT, FAST))
    labels, motions = tracks.labels_now(SPAN, CELL)
    np.testing.assert_array_equal(labels, filled(LEFT, RIGHT, step=CELL))
    np.testing.assert_array_equal(motions, [shift(0, 0), SLOW, FAST])


def evidence(choice: np.ndarray, *motions: np.ndarray) -> Evidence:
    """Blocks of 16 px that chose motions."""
    planes = np.zeros((2, H // 4, W // 4), np.float32)
    return Evidence(np.array(motions), choice, planes, np.ones(len(motions)), 16 / BLOCK)


def chosen() -> np.ndarray:
    """uint8 [15, 20]: 1 left of x = 144, 2 right of it."""
    choice = np.ones((15, 20), np.uint8)
    choice[:, 9:] = 2
    return choice


START = shift(7, 7)


def test_two_motions_in_one_part_are_two_objects() -> None:
    mask = (filled(LEFT, RIGHT, step=CELL) > 0).astype(np.uint8)
    told = evidence(chosen(), shift(0, 0), SLOW, FAST)
    labels, motions = cut_objects(mask, told, START, CELL, CONFIG)
    np.testing.assert_array_equal(labels > 0, mask > 0)
    one, other = labels[20, 20], labels[20, 50]
    assert {one, other} == {1, 2}
    np.testing.assert_array_equal(motions[[0, one, other]], [shift(0, 0), SLOW, FAST])
    assert (labels[15:35, 15:36] == one).all() and (labels[15:35, 36:55] == other).all()
    together, _ = cut_objects(mask, told, START, CELL, PostprocessConfig(split=False))
    assert together.max() == 1


def test_a_second_motion_in_a_small_share_of_a_part_is_none() -> None:
    choice = np.ones((15, 20), np.uint8)
    choice[4:6, 4:6] = 2
    mask = (filled(LEFT, RIGHT, step=CELL) > 0).astype(np.uint8)
    labels, motions = cut_objects(
        mask, evidence(choice, shift(0, 0), SLOW, FAST), START, CELL, CONFIG
    )
    np.testing.assert_array_equal(labels, mask)
    np.testing.assert_array_equal(motions, [shift(0, 0), SLOW])


def test_a_part_without_a_proposal_begins_with_the_network_s_motion_and_specks_go() -> None:
    mask = filled(LEFT, step=CELL)
    mask[0, 0] = 1
    choice = np.zeros((15, 20), np.uint8)
    labels, motions = cut_objects(mask, evidence(choice, SLOW, FAST), START, CELL, CONFIG)
    np.testing.assert_array_equal(labels, filled(LEFT, step=CELL))
    np.testing.assert_array_equal(motions, [SLOW, START])


def scene(*speeds: np.ndarray) -> Window:
    """A background that moves along SLOW, and LEFT and RIGHT full of points that move otherwise."""
    rng = np.random.default_rng(1)
    back = rng.uniform((-20, 0), (W + 20, H), (700, 2))
    layers = []
    for (left, top, right, bottom), motion in zip((LEFT, RIGHT), speeds):
        back = back[~((back > (left, top)) & (back < (right, bottom))).all(1)]
        layers.append((rng.uniform((left, top), (right, bottom), (90, 2)), motion))
    events = carried(SIZE, rng, SPAN, (back, SLOW), *layers)
    return Window(events, 0, SPAN, SPAN)


def test_motions_become_sharp_and_what_moves_as_the_background_is_background() -> None:
    truth = shift(230, -170)  # 5.6 px a window and 6.6 px from the background's
    window = scene(truth, SLOW)
    affine = np.array([SLOW, truth + shift(50, 40), SLOW + shift(4, 4)])
    found = with_motions(Segmentation(window, filled(LEFT, RIGHT), affine, 1), CONFIG)
    np.testing.assert_array_equal(found.labels, filled(LEFT))
    np.testing.assert_array_equal(found.affine[0], SLOW)
    error = flow_at(found.affine[1] - truth, np.array([[100.0, 100]])) * SPAN * 1e-9
    assert np.abs(error).max() < 0.5
    assert 0.05 <= found.scores[1] <= 1


def test_labels_go_by_falling_number_of_events() -> None:
    fast, faster = shift(230, -170), shift(-250, 100)
    window = scene(fast, faster)
    left, top, _, bottom = LEFT
    small = (left, top, left + 40, bottom)
    found = with_motions(
        Segmentation(window, filled(small, RIGHT), np.array([SLOW, fast, faster])), CONFIG
    )
    assert found.labels[100, 200] == 1 and found.labels[100, 70] == 2
    assert found.layer_events[1] > found.layer_events[2]


def test_one_rule_between_motions() -> None:
    window = scene(shift(230, -170))
    mine = np.flatnonzero(
        Segmentation(window, filled(LEFT), np.array([SLOW, shift(230, -170)])).event_labels
    )
    right = shift(230, -170)
    assert sharpness_ratio(window, mine, right, SLOW, CONFIG, 9) > 1.2
    assert sharpness_ratio(window, mine, SLOW, right, CONFIG, 9) < 1 / 1.2
    assert sharpness_ratio(window, mine, right, right, CONFIG, 9) == 0
    # 0.5 px of 320 over 33 ms are 1 px of 640: too close to be told apart.
    near = right + shift(0.5 / 0.033, 0)
    assert sharpness_ratio(window, mine, near, right, CONFIG, 9) == 9


def test_events_outside_of_objects() -> None:
    window = scene(shift(230, -170))
    motions = np.array([shift(0, 0), shift(230, -170)])
    left = outside(window.events, SPAN, filled(LEFT, step=CELL), motions)
    late = left[np.flatnonzero(left.t > 0.95 * SPAN)]
    x0, y0, x1, y1 = LEFT
    assert not ((late.x > x0) & (late.x < x1) & (late.y > y0) & (late.y < y1)).any()
    assert 0.6 * len(window.events) < len(left) < 0.95 * len(window.events)
    assert len(outside(window.events, SPAN, None, motions[:1])) == len(window.events)


def test_an_id_that_no_object_has_moves_as_the_background() -> None:
    window = scene(FAST, FAST)
    found = Segmentation(
        window, filled(LEFT, RIGHT), np.array([SLOW, FAST, START]), scores={1: 0.5}
    )
    named = renumbered(found, np.array([0, 4, 2], np.uint8))
    np.testing.assert_array_equal(named.labels, np.array([0, 4, 2])[filled(LEFT, RIGHT)])
    np.testing.assert_array_equal(named.affine, [SLOW, SLOW, START, SLOW, FAST])
    assert named.scores == {4: 0.5}
    assert [one.id for one in named.objects] == [2, 4]
