"""Proposals: the motion of a small mover is found beside a background, without a network."""

import numpy as np
import pytest
from drifting import carried, shift

from evlayerseg_ros.motion.landing import ACROSS
from evlayerseg_ros.motion.proposals import (
    FAST,
    SLOW,
    Proposal,
    keep_best,
    propose,
    propose_locally,
    shifts,
)

SPAN = 133_000_000
SIZE = 640, 480
CELL = SIZE[0] / ACROSS  # px
STEP = CELL / (SPAN * 1e-9)  # px/s of a shift of one cell
BACK = shift(40, -25)


def scene(own, seed=0):
    """A background and a box of a fiftieth of the image that moves beyond it by `own` cells."""
    rng = np.random.default_rng(seed)
    back = rng.uniform((-50, -50), (700, 530), (1500, 2))
    back = back[~((back > (300, 200)) & (back < (380, 280))).all(1)]
    box = rng.uniform((300, 200), (380, 280), (80, 2))
    return carried(SIZE, rng, SPAN, (back, BACK), (box, BACK + shift(own[0], own[1]) * STEP))


@pytest.mark.parametrize("own", [(3, 0), (-5, 4), (12, -8), (0, 18)])
def test_the_shift_of_a_small_mover_is_proposed(own) -> None:
    best = propose(scene(own), SPAN, BACK, shifts())[0:4]
    off = [np.abs((p.motion - BACK)[:, 2] / STEP - own).max() for p in best]
    assert min(off) <= (1 if max(np.abs(own)) <= 6 else 2)  # the grid's own step
    mine = best[int(np.argmin(off))]
    assert mine.votes == max(p.votes for p in best)
    assert mine.kind == (SLOW if max(np.abs(own)) <= 6 else FAST)
    np.testing.assert_array_equal(mine.motion[:, :2], BACK[:, :2])


def test_where_all_moves_alike_votes_are_few() -> None:
    alike, apart = (
        max((p.votes for p in propose(scene(own), SPAN, BACK, shifts())), default=0)
        for own in ((0, 0), (8, 0))
    )
    assert alike < 0.25 * apart


def test_the_parts_of_the_grid_are_the_grid() -> None:
    whole = {tuple(d) for d in shifts().tolist()}
    parts = [tuple(d) for k in range(12) for d in shifts(k, 12).tolist()]
    assert len(parts) == len(whole) and set(parts) == whole
    assert (0.0, 0.0) not in whole
    assert {(a, b) for a in range(-6, 7) for b in range(-6, 7)} - whole == {(0, 0)}


def test_nothing_proposes_nothing() -> None:
    events = scene((3, 0))
    assert propose(events[:0], SPAN, BACK, shifts()) == []
    assert propose(events[:5], int(events.t[0]), BACK, shifts()) == []


def test_earlier_proposals_fade_and_give_way_to_better_ones() -> None:
    def proposal(votes, kind):
        return Proposal(BACK, votes, kind)

    old = [proposal(1.0, SLOW), proposal(0.1, SLOW), proposal(0.5, FAST)]
    new = [proposal(0.5, SLOW), proposal(0.2, SLOW)]
    kept = [(round(p.votes, 6), p.kind) for p in keep_best(old, new)]
    assert kept == [(0.85, SLOW), (0.425, FAST), (0.5, SLOW)]  # of each kind the best first


@pytest.mark.parametrize("own", [(1.5, 0), (-2, 2)])
def test_places_agree_on_how_a_slow_thing_moves(own) -> None:
    rng = np.random.default_rng(3)
    back = rng.uniform((-50, -50), (700, 530), (3000, 2))
    inside = ((back > (200, 150)) & (back < (420, 350))).all(1)
    thing = rng.uniform((200, 150), (420, 350), (250, 2))
    moves = BACK + shift(own[0], own[1]) * STEP
    events = carried(SIZE, rng, SPAN, (back[~inside], BACK), (thing, moves))
    best = propose_locally(events, SPAN, BACK)[0]
    assert np.abs((best.motion - moves)[:, 2] / STEP).max() < 0.5
    assert propose_locally(events[:0], SPAN, BACK) == []
