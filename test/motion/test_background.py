"""The background's motion, on points whose affine motion is known."""

import numpy as np
import pytest
from drifting import carried, flow_at, shift

from evlayerseg_ros.events import Events
from evlayerseg_ros.motion.background import (
    PLACE_EVENTS,
    _gathered,
    background_motion,
    local_shifts,
    spread_evenly,
    vote_share,
)

SPAN = 133_000_000
SIZE = 640, 480
CORNERS = np.array([[0, 0], [639, 0], [0, 479], [639, 479], [320, 240]], float)
AFFINE = np.array([[0.3, -0.4, 60.0], [0.4, 0.25, -150.0]])  # px/s: a zoom, a turn and a shift


def scene(motion, seed=0, mover=0, size=SIZE):
    """A background, and a box of a twelfth of the image with `mover` points of its own."""
    rng = np.random.default_rng(seed)
    width, height = size
    back = rng.uniform((-0.1 * width, -0.1 * height), (1.1 * width, 1.1 * height), (2500, 2))
    corner, far = (0.5 * width, 0.3 * height), (0.75 * width, 0.63 * height)
    if mover:
        back = back[~((back > corner) & (back < far)).all(1)]
    box = rng.uniform(corner, far, (mover, 2))
    return carried(size, rng, SPAN, (back, motion), (box, shift(0.35 * width, 0.2 * width)))


def error(found, truth, at=CORNERS):
    """px in 33 ms, at each place."""
    return np.linalg.norm(flow_at(found - truth, at), axis=1) * 0.033


@pytest.mark.parametrize(
    "truth", [shift(0, 0), shift(-200, 90), AFFINE], ids=["rest", "shift", "turn"]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_affine_motion_is_found_from_nothing(truth, seed) -> None:
    found = background_motion(scene(truth, seed), SPAN, np.zeros((2, 3)), False)
    assert error(found, truth).mean() < 0.3
    assert error(found, truth).max() < 0.6


@pytest.mark.parametrize("size", [(346, 260), (1280, 720)])
def test_any_sensor(size) -> None:
    truth = shift(0.2 * size[0], -0.1 * size[0])
    found = background_motion(scene(truth, size=size), SPAN, np.zeros((2, 3)), False)
    middle = np.array([[size[0] / 2, size[1] / 2]])
    assert error(found, truth, middle).max() < 0.3


def test_a_mover_that_makes_most_events_does_not_decide() -> None:
    truth = shift(-60, 40)
    events = scene(truth, mover=4000)
    inside = (events.x > 320) & (events.x < 480) & (events.y > 144) & (events.y < 302)
    assert inside.mean() > 0.5
    for start, known in ((np.zeros((2, 3)), False), (truth + shift(5, 5), True)):
        found = background_motion(events, SPAN, start, known)
        assert error(found, truth).max() < 0.6


def test_a_known_motion_is_followed_and_one_that_was_lost_is_found_again() -> None:
    events = scene(AFFINE)
    for off in (shift(10, -10), shift(200, 100)):
        found = background_motion(events, SPAN, AFFINE + off, True)
        assert error(found, AFFINE).mean() < 0.4


def test_every_place_has_one_vote() -> None:
    some = spread_evenly(scene(shift(30, 0), mover=4000), PLACE_EVENTS)
    count, _, _ = np.histogram2d(some.x, some.y, bins=(10, 8), range=((0, 640), (0, 512)))
    assert count.max() <= PLACE_EVENTS + 1
    at, shifts, clear = local_shifts(some, SPAN, np.zeros((2, 3)), 4, 1.0)
    weight = clear[:, 0]
    assert len(at) == len(shifts) == len(weight) <= 80
    assert len(np.unique(at, axis=0)) == len(at)
    away = ~((at > (300, 120)) & (at < (500, 330))).all(1)
    # Cells of 4 px over 133 ms: 30 px/s are a shift of 1 cell.
    assert np.median(shifts[away], axis=0) == pytest.approx((1, 0), abs=0.15)


def test_too_little_to_see_leaves_the_motion_as_it_was() -> None:
    start = shift(3, 4)
    events = scene(AFFINE)
    for few in (events[:0], events[:10]):
        np.testing.assert_array_equal(background_motion(few, SPAN, start, True), start)


def test_the_right_motion_gathers_most_votes() -> None:
    events = scene(AFFINE)
    right = vote_share(events, SPAN, AFFINE)
    assert right > 0.9
    for off in (shift(20, 0), shift(0, -60), shift(300, 300)):
        assert vote_share(events, SPAN, AFFINE + off) < 0.85 * right
    assert vote_share(events[:0], SPAN, AFFINE) == 0


def test_events_of_one_instant_do_not_break_the_search() -> None:
    events = scene(AFFINE)
    t = np.full(len(events), SPAN)
    t[0] = 0
    still = Events(events.x, events.y, t, events.p, *SIZE)
    for known in (False, True):
        assert np.isfinite(background_motion(still, SPAN, shift(3, 4), known)).all()


def test_votes_between_the_shifts_that_were_tried() -> None:
    """Quadratic B-splines; beyond the border the votes go on as they are at it."""

    def gathered(votes, a, b):
        shift_ = np.array([[a, 0, 0], [b, 0, 0]], float)
        return _gathered(votes[None].astype(np.float32), np.zeros((1, 2)), shift_, 0.0, 1.0)

    for a, b in ((0, 0), (0.3, 4), (2, 2), (2.5, 1.7), (4, 4)):
        assert gathered(np.ones((5, 5)), a, b) == pytest.approx(1)
    for k, share in ((0, 0.875), (2, 0.75), (4, 0.875)):
        peak = np.zeros((5, 5))
        peak[k, k] = 1
        assert gathered(peak, k, k) == pytest.approx(share**2)
    assert gathered(np.ones((5, 5)), -0.1, 2) == gathered(np.ones((5, 5)), 2, 4.1) == 0
