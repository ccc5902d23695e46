"""Proposals: the motion of a small mover is found beside a background, without a network."""

import numpy as np
import pytest
from drifting import carried, shift

from evlayerseg_ros.events import Events
from evlayerseg_ros.motion.iwe_counts import ACROSS
from evlayerseg_ros.motion.proposals import FINE, REACH, STEP, propose, propose_locally, shifts

SPAN = 133_000_000
SIZE = 640, 480
CELL = SIZE[0] / ACROSS  # px
PER_CELL = CELL / (SPAN * 1e-9)  # px/s of a shift of one cell
BACK = shift(40, -25)


def scene(own, seed=0):
    """A background and a box of a fiftieth of the image that moves beyond it by `own` cells."""
    rng = np.random.default_rng(seed)
    back = rng.uniform((-50, -50), (700, 530), (1500, 2))
    back = back[~((back > (300, 200)) & (back < (380, 280))).all(1)]
    box = rng.uniform((300, 200), (380, 280), (80, 2))
    return carried(SIZE, rng, SPAN, (back, BACK), (box, BACK + shift(own[0], own[1]) * PER_CELL))


@pytest.mark.parametrize("own", [(3, 0), (-5, 4), (12.6, -8.4), (0, 18)])
def test_the_shift_of_a_small_mover_is_proposed_first_and_exactly(own) -> None:
    best, *others = propose(scene(own), SPAN, BACK)
    off = np.abs((best.motion - BACK)[:, 2] / PER_CELL - own)
    assert off.max() < 0.501  # cells: 2 px of 640
    np.testing.assert_array_equal(best.motion[:, :2], BACK[:, :2])
    assert all(best.votes > other.votes for other in others)


def test_beside_a_dense_background_a_small_mover_is_found() -> None:
    rng = np.random.default_rng(1)
    back = rng.uniform((-50, -50), (700, 530), (3000, 2))  # goes on behind the thing
    thing = rng.uniform((300, 200), (340, 240), (60, 2))
    moves = BACK + shift(9, 5) * PER_CELL
    events = carried(SIZE, rng, SPAN, (back, BACK), (thing, moves))
    off = [np.abs((p.motion - moves)[:, 2] / PER_CELL).max() for p in propose(events, SPAN, BACK)]
    assert min(off) <= 0.5


def test_an_edge_takes_one_proposal_and_leaves_room_for_another_thing() -> None:
    rng = np.random.default_rng(2)
    back = rng.uniform((-50, -50), (700, 530), (1500, 2))
    line = np.column_stack((np.full(400, 200.0), rng.uniform(100, 400, 400)))
    thing = rng.uniform((450, 200), (500, 250), (60, 2))
    fast, slow = BACK + shift(14, 0) * PER_CELL, BACK + shift(0, -6) * PER_CELL
    events = carried(SIZE, rng, SPAN, (back, BACK), (line, fast), (thing, slow))
    found = [p.motion[:, 2] / PER_CELL for p in propose(events, SPAN, BACK, most=2)]
    assert min(abs(f[0] - fast[0, 2] / PER_CELL) for f in found) <= 1  # along it any shift fits
    assert min(np.abs(f - slow[:, 2] / PER_CELL).max() for f in found) <= 1


def test_where_all_moves_alike_votes_are_few() -> None:
    alike, apart = (
        max((p.votes for p in propose(scene(own), SPAN, BACK)), default=0)
        for own in ((0, 0), (8, 0))
    )
    assert alike < 0.25 * apart


def test_shifts_are_fine_nearby_coarse_far_away_and_round() -> None:
    tried = {tuple(d) for d in shifts().tolist()}
    assert len(tried) == len(shifts()) and (0.0, 0.0) not in tried
    side = range(-FINE, FINE + 1)
    assert {(a, b) for a in side for b in side} - tried == {(0, 0)}
    assert {(REACH, 0), (0, -REACH), (STEP * 5, STEP * 6)} <= tried and (REACH, REACH) not in tried


def test_nothing_proposes_nothing() -> None:
    events = scene((3, 0))
    assert propose(events[:0], SPAN, BACK) == []
    assert propose(events[:5], int(events.t[0]), BACK) == []
    line = Events(events.x, events.y // 60, events.t, events.p, SIZE[0], 8)  # lower than a block
    assert propose(line, SPAN, BACK) == []


@pytest.mark.parametrize("own", [(1.5, 0), (-2, 2)])
def test_places_agree_on_how_a_slow_thing_moves(own) -> None:
    rng = np.random.default_rng(3)
    back = rng.uniform((-50, -50), (700, 530), (3000, 2))
    inside = ((back > (200, 150)) & (back < (420, 350))).all(1)
    thing = rng.uniform((200, 150), (420, 350), (250, 2))
    moves = BACK + shift(own[0], own[1]) * PER_CELL
    events = carried(SIZE, rng, SPAN, (back[~inside], BACK), (thing, moves))
    best = propose_locally(events, SPAN, BACK)[0]
    assert np.abs((best.motion - moves)[:, 2] / PER_CELL).max() < 0.5
    assert propose_locally(events[:0], SPAN, BACK) == []
