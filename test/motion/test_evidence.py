"""Evidence for motions, on points whose motions are known."""

import numpy as np
import pytest
from drifting import carried, shift

from evlayerseg_ros.motion.evidence import (
    BLOCK,
    PLANE,
    SPAN,
    gather_evidence,
    motion_at,
    subsample,
    thin_where_dense,
)

SIZE = 640, 480
BACK = shift(-60, 30)
MOVERS = shift(150, 0), shift(0, -170)
BOXES = ((100, 100, 220, 200), (400, 260, 520, 380))  # left, top, right, bottom at the end


def scene(rng, *movers):
    back = rng.uniform((0, 0), SIZE, (1500, 2))
    layers = []
    for (left, top, right, bottom), motion in zip(BOXES, movers):
        back = back[~((back > (left, top)) & (back < (right, bottom))).all(1)]
        layers.append((rng.uniform((left, top), (right, bottom), (180, 2)), motion))
    return carried(SIZE, rng, SPAN, (back, BACK), *layers)


def blocks(evidence, box):
    """The choice well inside of a box."""
    left, top, right, bottom = (round(side / evidence.cell / BLOCK) for side in box)
    return evidence.choice[top + 1 : bottom - 1, left + 1 : right - 1]


def test_each_object_chooses_its_own_motion_and_the_rest_the_background_s() -> None:
    events = scene(np.random.default_rng(0), *MOVERS)
    wrong = shift(80, 120)
    found = gather_evidence(events, SPAN, np.array([BACK, wrong, *MOVERS]), 2)
    np.testing.assert_array_equal(found.motions[0], BACK)
    for box, motion in zip(BOXES, MOVERS):
        index = [np.array_equal(motion, other) for other in found.motions].index(True)
        assert (blocks(found, box) == index).mean() > 0.9
    outside = np.ones(found.choice.shape, bool)
    for left, top, right, bottom in BOXES:
        step = 2 * BLOCK
        rows = slice(top // step - 2, bottom // step + 3)
        outside[rows, left // step - 2 : right // step + 3] = False
    assert (found.choice[outside] == 0).mean() > 0.95
    # The wrong motion has least support, and so comes last.
    np.testing.assert_array_equal(found.motions[-1], wrong)
    assert found.votes[1:3].min() > 10 * found.votes[3]


def test_planes_say_where_each_side_gains() -> None:
    found = gather_evidence(
        scene(np.random.default_rng(1), MOVERS[0]), SPAN, np.array([BACK, MOVERS[0]]), 2
    )
    assert found.planes.shape == (2, 120, 160)
    left, top, right, bottom = (side // (2 * PLANE) for side in BOXES[0])
    mover, background = found.planes
    inside = np.s_[top:bottom, left:right]
    assert mover[inside].sum() > 0.9 * mover.sum()
    assert mover[inside].sum() > 5 * background[inside].sum()
    assert background.sum() - background[inside].sum() > 0.9 * background.sum()


def test_events_are_owned_by_the_motion_of_the_place_that_it_takes_them_to() -> None:
    rng = np.random.default_rng(2)
    found = gather_evidence(scene(rng, *MOVERS), SPAN, np.array([BACK, *MOVERS]), 2)
    for box, motion in zip(BOXES, MOVERS):
        inner = np.array(box) + np.array((20, 20, -20, -20))
        points = rng.uniform(inner[:2], inner[2:], (100, 2))
        own = found.owners(carried(SIZE, rng, SPAN, (points, motion)), SPAN)
        index = [np.array_equal(motion, other) for other in found.motions].index(True)
        assert (own == index).mean() > 0.9


def test_with_the_background_s_motion_alone_there_is_nothing_to_say() -> None:
    events = scene(np.random.default_rng(0), *MOVERS)
    found = gather_evidence(events, SPAN, BACK[None], 2)
    assert not found.planes.any() and not found.choice.any() and not found.votes.any()
    assert (found.owners(events, SPAN) == 1).all()
    empty = gather_evidence(events[:0], SPAN, np.array([BACK, *MOVERS]), 2)
    assert not empty.planes.any()


@pytest.mark.parametrize("wild", [np.nan, np.inf, 1e12])
def test_wild_motions_are_survived(wild: float) -> None:
    events = scene(np.random.default_rng(0), MOVERS[0])
    found = gather_evidence(events, SPAN, np.array([BACK, np.full((2, 3), wild)]), 2)
    assert found.choice.max() <= 1 and np.isfinite(found.planes).all()


def test_subsample_takes_every_nth() -> None:
    events = scene(np.random.default_rng(0), MOVERS[0])
    some = subsample(events, 1000)
    assert 900 < len(some) <= 1000
    assert subsample(events, len(events)) is events
    np.testing.assert_array_equal(some.t, events.t[:: -(-len(events) // 1000)])


def test_motion_at_a_point() -> None:
    motion = np.array([[1.0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(motion_at(motion, 10, 100), [213, 546])
    np.testing.assert_array_equal(motion_at(motion[None], 10, 100), [[213, 546]])


def test_dense_places_give_up_more_events_than_sparse_ones() -> None:
    """Places of n events keep as many as go with the square root of n, and no more than n."""
    rng = np.random.default_rng(0)
    middles = np.repeat([[8, 8], [328, 248]], (10, 1000), 0)
    points = middles + rng.uniform(-6, 6, middles.shape)
    events = carried(SIZE, rng, SPAN, (points, shift(0, 0)))  # 300 and 30,000
    for most, kept in ((1100, (100, 1000)), (6300, (300, 6000))):
        few = thin_where_dense(events, most)
        sparse = np.count_nonzero(few.x < 20)
        assert (sparse, len(few) - sparse) == pytest.approx(kept, abs=2)
        assert len(few) <= most and (np.diff(few.t) >= 0).all()
        assert thin_where_dense(few, 2 * most) is few
