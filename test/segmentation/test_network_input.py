"""What the network reads, channel by channel."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from drifting import carried, shift

from evlayerseg_ros.events import Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid
from evlayerseg_ros.motion.evidence import BLOCK, PLANE, Evidence, gather_evidence
from evlayerseg_ros.segmentation.network_input import (
    EXTRAS,
    GAIN,
    Prior,
    evidence_score,
    network_input,
    trusted_score,
)

SPEC = VoxelSpec(bins=3, split=True, width=320, multiple=16, layers=2, extras=EXTRAS)
BARE = VoxelSpec(bins=3, split=True, width=320, multiple=16, layers=2)
SPAN = 33_000_000
BACK, MOVER, OTHER = shift(100, 0), shift(-300, 200), shift(0, -400)


def window(size=(640, 480)) -> Window:
    rng = np.random.default_rng(0)
    back = rng.uniform((0, 0), size, (800, 2))
    box = rng.uniform((size[0] / 2, size[1] / 2), (size[0] * 0.7, size[1] * 0.8), (150, 2))
    second = rng.uniform((size[0] * 0.1, size[1] * 0.1), (size[0] * 0.3, size[1] * 0.4), (150, 2))
    layers = (back, BACK), (box, MOVER), (second, OTHER)
    return Window(carried(size, rng, SPAN, *layers), 0, SPAN, SPAN)


def prior(window: Window, *motions: np.ndarray, **more) -> Prior:
    cell = SPEC.cell(window.events.width)
    return Prior(gather_evidence(window.events, SPAN, np.array(motions), cell), **more)


def test_one_proposal_is_the_second_grid() -> None:
    some = window()
    got = network_input(some, SPEC, prior(some, BACK, MOVER))
    assert got.shape == SPEC.shape(640, 480) == (18, 240, 320)
    want = voxel_grid(some, BARE, None, np.array([BACK, MOVER]))
    np.testing.assert_array_equal(got[:12], want)


def test_without_a_proposal_both_grids_are_the_background_s() -> None:
    some = window()
    got = network_input(some, SPEC, prior(some, BACK))
    np.testing.assert_array_equal(got[:6], got[6:12])
    np.testing.assert_array_equal(got[:6], voxel_grid(some, BARE, None, np.array([BACK, BACK]))[:6])
    assert not got[12:].any()


def test_of_several_proposals_each_event_takes_that_of_its_place() -> None:
    some = window()
    told = prior(some, BACK, OTHER, MOVER)
    got = network_input(some, SPEC, told)
    owners = told.evidence.owners(some.events, SPAN)
    assert len(np.unique(owners)) > 1
    for owner in (1, 2):
        mine = np.flatnonzero(owners == owner)
        part = Window(some.events[mine], 0, SPAN, SPAN)
        motion = told.evidence.motions[owner]
        got[6:12] -= voxel_grid(part, BARE, None, np.array([BACK, motion]))[6:]
    np.testing.assert_allclose(got[6:12], 0, atol=1e-4)


def test_gains_mask_and_rest_follow() -> None:
    some = window()
    mask = np.zeros((120, 160), np.float32)
    mask[30:60, 40:80] = 1
    told = prior(some, BACK, MOVER, mask=mask, rests=True)
    got = network_input(some, SPEC, told)
    planes = np.repeat(np.repeat(told.evidence.planes, PLANE, 1), PLANE, 2) * GAIN
    np.testing.assert_allclose(got[14:16], planes, atol=1e-6)
    np.testing.assert_array_equal(got[16], cv2.resize(mask, (320, 240)))
    assert (got[17] == 1).all()


def test_older_weights_are_told_neither_mover_nor_static() -> None:
    some = window()
    told = prior(some, BACK, MOVER, rests=True)
    new, old = (network_input(some, replace(SPEC, extras=k), told) for k in (EXTRAS, 4))
    np.testing.assert_array_equal(old, np.concatenate((new[:12], new[14:])))
    chosen = np.repeat(np.repeat(told.evidence.choice, BLOCK, 0), BLOCK, 1) > 0
    kinds = new[12:14].sum(0)
    assert (kinds[chosen] > 0).all() and not kinds[~chosen].any()


def test_nothing_known_is_the_events_where_they_happened() -> None:
    some = window()
    out = np.full(SPEC.shape(640, 480), 7, np.float32)
    got = network_input(some, SPEC, None, out)
    assert got is out
    np.testing.assert_array_equal(got[:12], voxel_grid(some, BARE))
    assert not got[12:].any()


def test_a_buffer_keeps_nothing_of_the_window_before() -> None:
    some = window()
    mask = np.ones((48, 64), np.float32)
    out = network_input(some, SPEC, prior(some, BACK, OTHER, MOVER, mask=mask, rests=True))
    np.testing.assert_array_equal(
        network_input(some, SPEC, prior(some, BACK), out),
        network_input(some, SPEC, prior(some, BACK)),
    )


@pytest.mark.parametrize("size", [(346, 260), (1280, 720), (240, 180), (128, 128), (320, 320)])
def test_any_sensor(size: tuple[int, int]) -> None:
    some = window(size)
    mask = np.ones((50, 60), np.float32)
    got = network_input(some, SPEC, prior(some, BACK, MOVER, mask=mask, rests=True))
    assert got.shape == SPEC.shape(*size) and np.isfinite(got).all()
    cell = SPEC.cell(size[0])
    rows, columns = round(size[1] / cell), round(size[0] / cell)
    assert (got[16, :rows, :columns] > 0.99).all() and not got[16, rows:].any()


def test_no_network_without_layers_is_told_anything() -> None:
    spec = VoxelSpec(bins=5, split=False)
    some = window()
    told = Prior(Evidence(BACK[None], np.zeros((1, 1)), np.zeros((2, 1, 1)), np.zeros(1), 1))
    np.testing.assert_array_equal(network_input(some, spec, told), voxel_grid(some, spec))


@pytest.mark.parametrize("gain, score", [(0.25, 2.0), (0.5, 4.0), (0.75, 6.0), (3.0, 8.0)])
def test_clear_evidence_counts_up_to_twice_what_networks_learn_with(gain, score):
    planes = np.zeros((2, 60, 80), np.float32)
    planes[0, :, :40], planes[1, :, 40:] = gain, gain
    prior = prior_of(planes)
    ours, theirs = (slice(20, 40), slice(8, 24)), (slice(20, 40), slice(56, 72))
    said = trusted_score(prior, by_labels=True)
    np.testing.assert_allclose(said[ours], score, rtol=1e-5)
    np.testing.assert_allclose(said[theirs], -score, rtol=1e-5)
    np.testing.assert_allclose(evidence_score(planes)[ours], min(score, 4), rtol=1e-5)
    np.testing.assert_array_equal(trusted_score(prior, by_labels=False), evidence_score(planes))


def test_evidence_counts_once_against_something_where_it_was():
    planes = np.zeros((2, 60, 80), np.float32)
    planes[1] = 3.0
    mask = np.zeros((60, 80), np.float32)
    mask[20:40, 30:50] = 1
    said = trusted_score(replace(prior_of(planes), mask=mask), by_labels=True)
    assert (said[mask > 0] == -4).all()
    np.testing.assert_allclose(said[25:35, 10:20], -8, rtol=1e-5)


def prior_of(planes):
    """Evidence with such planes, and nothing else."""
    choice = np.zeros((8, 10), np.uint8)
    return Prior(Evidence(np.zeros((2, 2, 3)), choice, planes, np.zeros(2), 2.0))
