"""Parallax: what passes along the background's direction is at rest, where depth is seen."""

from dataclasses import replace

import numpy as np
import pytest
from drifting import shift

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.evidence import Evidence
from evlayerseg_ros.segmentation.parallax import (
    MEMORY,
    ParallaxState,
    mover_or_static,
    speed_past_background,
)
from evlayerseg_ros.segmentation.segmentation import Segmentation

W, H = 640, 480
SIZE = np.array((W, H))
MS = 1_000_000
AT = np.array([320.0, 240.0])
# A pinhole camera that slides to the right at 1 m/s, focal length 400 px: what is z m away moves by
# -400 / z px/s.
WALL, CHAIR, TABLE, HILL = (shift(-400 / z, 0) for z in (4, 2, 1, 20))
PERSON = shift(-100, 150)


def seen(end: int, *motions: np.ndarray) -> Segmentation:
    """Objects before the wall, 40 events each."""
    n = 40 * len(motions)
    x, y = np.repeat(np.arange(len(motions)) * 100 + 50, 40), np.full(n, 100)
    t = np.full(n, end - 1)
    events = Events(x.astype(np.uint16), y.astype(np.uint16), t, np.zeros(n, bool), W, H)
    labels = np.zeros((H, W), np.uint8)
    for label in range(1, len(motions) + 1):
        labels[80:120, label * 100 - 70 : label * 100 - 30] = label
    return Segmentation(Window(events, end - 33 * MS, end, end), labels, np.array([WALL, *motions]))


def proposed(votes: float, *motions: np.ndarray) -> Evidence:
    """Motions with that many votes in each of their 12 blocks."""
    choice = np.zeros((30, 40), np.uint8)
    for k in range(len(motions)):
        choice[4:8, 4 * k + 4 : 4 * k + 7] = k + 1
    every = np.array([WALL, *motions])
    return Evidence(every, choice, np.zeros((2, 1, 1)), np.full(len(every), 12 * votes), 2.0)


NOTHING = proposed(0)


def look(state: ParallaxState, end: int, *motions: np.ndarray) -> set[int]:
    """Ids of what is at rest; the k-th object has id k."""
    state.update(seen(end, *motions), set(range(1, len(motions) + 1)), NOTHING)
    return state.static_tracks(end)


@pytest.mark.parametrize(("motion", "px"), [(CHAIR, 100), (TABLE, 300), (HILL, -80)])
def test_how_far_a_thing_at_rest_passes(motion, px) -> None:
    assert speed_past_background(motion, WALL, AT, SIZE) == pytest.approx(px * 0.133)
    twice = speed_past_background(2 * motion, 2 * WALL, 2 * AT, 2 * SIZE)
    assert twice == pytest.approx(px * 0.133)


@pytest.mark.parametrize(
    "motion",
    [PERSON, shift(150, 0), shift(-2000, 0)],
    ids=["aside", "against", "faster than anything near"],
)
def test_what_goes_elsewhere_does_not_pass(motion) -> None:
    assert speed_past_background(motion, WALL, AT, SIZE) == 0


@pytest.mark.parametrize(
    ("motion", "background", "kinds"),
    [
        (CHAIR, WALL, (0, 1)),
        (TABLE, WALL, (0, 1)),
        (HILL, WALL, (0, 0)),  # stays behind
        (shift(150, 0), WALL, (0, 0)),
        (PERSON, WALL, (1, 0)),
        (shift(-2000, 0), WALL, (1, 0)),  # faster than anything near
        (PERSON, 0 * WALL, (1, 0)),  # nothing at rest passes a camera at rest
    ],
    ids=["near", "nearer", "far", "back", "aside", "too fast", "at rest"],
)
def test_mover_or_static(motion, background, kinds) -> None:
    choice = np.zeros((30, 40), np.uint8)
    choice[10:12, 20:25] = 1
    told = Evidence(np.array([background, motion]), choice, np.zeros((2, 1, 1)), np.zeros(2), 2.0)
    found = mover_or_static(told, W)
    np.testing.assert_allclose(found[:, 10:12, 20:25].mean((1, 2)), kinds, atol=0.15)
    assert not found[:, choice == 0].any()


def test_a_zoom_of_the_camera_does_not_hide_the_line() -> None:
    # Beside the slide the image shrinks by half a second's share; at AWAY the background stands
    # still across the slide's line, and what is carried by the slide alone still shows.
    zoom = np.array([[-0.5, 0.0, 0.5 * W / 2], [0.0, -0.5, 0.5 * H / 2]])
    away = np.array([320.0, 400.0])  # there 80 px/s up
    assert speed_past_background(TABLE, WALL + zoom, away, SIZE) == pytest.approx(300 * 0.133)
    assert speed_past_background(PERSON, WALL + zoom, away, SIZE) == 0


def test_where_one_of_the_lines_is_none_the_other_tells() -> None:
    # The image shrinks by its size a second beside the slide: 100 px to the left of its middle the
    # wall stands still, and a thing there that the slide alone carries passes along the middle's
    # line.
    zoom = np.array([[-1.0, 0.0, W / 2], [0.0, -1.0, H / 2]])
    still = np.array([220.0, 240.0])
    np.testing.assert_allclose((WALL + zoom) @ (*still, 1), 0)
    assert speed_past_background(TABLE, WALL + zoom, still, SIZE) == pytest.approx(300 * 0.133)
    # A camera that drives ahead: nothing moves at the image's middle, and who walks aside goes
    # elsewhere than the background does at his place.
    assert speed_past_background(zoom + shift(0, 150), zoom, np.array([520.0, 240.0]), SIZE) == 0
    assert speed_past_background(zoom + shift(0, 150), zoom, AT, SIZE) is None  # no line at all


@pytest.mark.parametrize(("votes", "at_rest"), [(30, {1}), (10, set())])
def test_motions_of_no_object_show_depth_if_much_speaks_for_them(votes, at_rest) -> None:
    state = ParallaxState()
    state.update(seen(33 * MS, CHAIR, PERSON), {1, 2}, proposed(votes, CHAIR, TABLE))
    assert state.static_tracks(33 * MS) == at_rest
    state = ParallaxState()
    state.update(seen(33 * MS, CHAIR, PERSON), {1, 2}, proposed(votes, CHAIR, PERSON))
    assert state.static_tracks(33 * MS) == set()


def test_what_is_too_slow_says_nothing() -> None:
    assert speed_past_background(WALL + shift(-10, 0), WALL, AT, SIZE) is None  # 1.3 px
    assert speed_past_background(CHAIR, shift(-10, 0), AT, SIZE) is None


def test_two_depths_are_at_rest_and_who_walks_aside_is_not() -> None:
    assert look(ParallaxState(), 33 * MS, CHAIR, PERSON, TABLE) == {1, 3}
    assert look(ParallaxState(), 33 * MS, CHAIR, HILL) == {1, 2}


def test_one_thing_alone_may_be_a_mover() -> None:
    assert look(ParallaxState(), 33 * MS, CHAIR, PERSON) == set()
    assert look(ParallaxState(), 33 * MS, CHAIR, CHAIR) == set()  # two parts of one


def test_depth_is_remembered_for_a_while() -> None:
    state = ParallaxState()
    look(state, 33 * MS, CHAIR, TABLE)
    assert look(state, 66 * MS, CHAIR) == {1}
    late = 33 * MS + MEMORY
    assert look(state, late, CHAIR) == {1} and look(state, late + 1, CHAIR) == set()


def test_one_wrong_measurement_changes_nothing_and_many_do() -> None:
    state = ParallaxState()
    for k in range(1, 5):
        look(state, k * 33 * MS, CHAIR, TABLE)
    assert look(state, 5 * 33 * MS, PERSON, TABLE) == {1, 2}
    for k in range(6, 10):
        last = look(state, k * 33 * MS, PERSON, TABLE)
    assert last == {2}


def test_a_lost_track_s_id_begins_anew() -> None:
    state = ParallaxState()
    for k in range(1, 5):
        look(state, k * 33 * MS, CHAIR, TABLE)
    look(state, 5 * 33 * MS, CHAIR)
    assert look(state, 6 * 33 * MS, CHAIR, PERSON) == {1}


def test_before_a_camera_at_rest_everything_moves_and_lost_tracks_are_forgotten() -> None:
    state = ParallaxState()
    look(state, 33 * MS, CHAIR, TABLE)
    resting = replace(seen(66 * MS, CHAIR, TABLE), rests=True)
    state.update(resting, {1, 2}, NOTHING)
    assert state.static_tracks(66 * MS) == set()
    state.update(resting, {2}, NOTHING)
    assert look(state, 99 * MS, PERSON) == set()


def test_what_is_at_rest_becomes_background() -> None:
    found = seen(33 * MS, CHAIR, PERSON)
    left = found.without({1, 7})
    assert [thing.id for thing in left.objects] == [2]
    np.testing.assert_array_equal(left.affine, [WALL, WALL, PERSON])
    np.testing.assert_array_equal(np.unique(left.event_labels), [0, 2])
    assert found.without(set()) is found
