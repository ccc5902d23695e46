"""Whether the camera rests, told from constructed events."""

import numpy as np
import pytest

from evlayerseg_ros.events import Events
from evlayerseg_ros.motion.camera_rest import MEMORY, CameraRest, supported_by_chance

SIZE = 640, 480
LENGTH = 33_000_000


def events(index, parts, noise=2000, seed=0):
    """A window of noise and of edges: each (left, top, width, height, px) moves over that many px.

    An edge is a column of pixels that fire one after the other, as a bar does that passes.
    """
    rng = np.random.default_rng([seed, index])
    x, y = [rng.integers(0, SIZE[0], noise)], [rng.integers(0, SIZE[1], noise)]
    t = [rng.integers(0, LENGTH, noise)]
    for left, top, width, height, way in parts:
        for bar in range(left, left + width, 40):
            px = np.arange(way)
            at = np.repeat((bar + px + way * (index % 5)) % SIZE[0], height)
            x.append(at)
            y.append(np.tile(np.arange(top, top + height), way))
            t.append(np.repeat((px + 0.5) * LENGTH / way, height) + rng.normal(0, 2e5, len(at)))
    x, y, t = np.concatenate(x), np.concatenate(y), np.concatenate(t).clip(0, LENGTH - 1)
    order = np.argsort(t, kind="stable")
    t = t[order].astype(np.int64) + index * LENGTH
    return Events.from_arrays(x[order], y[order], t, np.arange(len(t)) % 2, *SIZE)


def run(state, parts, windows, first=0, **more):
    return [
        state.update(events(k, parts, **more), (k + 1) * LENGTH)
        for k in range(first, first + windows)
    ]


MOVER = [(200, 150, 120, 160, 12)]
ALL = [(0, 0, 640, 480, 12)]


@pytest.mark.parametrize("noise", [200, 5000, 20_000])
def test_noise_alone_is_rest(noise) -> None:
    assert all(run(CameraRest(), [], 5, noise=noise)[1:])


def test_one_compact_mover_is_rest() -> None:
    assert all(run(CameraRest(), MOVER, 6)[1:])


def test_a_near_thing_that_is_empty_within_is_rest_in_noise() -> None:
    sides = [(180, 60, 20, 240, 12), (440, 60, 20, 240, 12)]
    ends = [(180, 60, 280, 20, 12), (180, 280, 280, 20, 12)]
    assert all(run(CameraRest(), sides + ends, 3, noise=15_000))


def test_a_few_short_edges_in_the_middle_of_the_scene_are_motion() -> None:
    places = np.random.default_rng(1).uniform(0.2, 0.8, (12, 2)) * SIZE
    edges = [(int(left), int(top), 40, 12, 12) for left, top in places]
    assert not any(run(CameraRest(), edges, 12, noise=4000)[2:])


def test_faint_edges_all_over_a_noisy_scene_are_motion() -> None:
    rows = [(40 + 80 * (j % 2), 30 + 80 * j, 520, 8, 12) for j in range(6)]
    assert not any(run(CameraRest(), rows, 6, noise=60_000))


@pytest.mark.parametrize("density", [0.5, 1.5])
def test_noise_supports_itself_as_often_as_said(density) -> None:
    rng = np.random.default_rng(0)
    n = int(density * SIZE[0] * SIZE[1] * 2)
    t = np.sort(rng.integers(0, 2 * int(MEMORY), n))
    noise = Events.from_arrays(
        rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n), t, t % 2, *SIZE
    )
    half = int(np.searchsorted(t, MEMORY))
    state = CameraRest("still")  # all events are looked at
    state.update(noise[:half], int(MEMORY))
    state.update(noise[half:], 2 * int(MEMORY))
    share = state.supported_counts(SIZE[::-1], 1.0).sum() / (n - half)
    assert share == pytest.approx(supported_by_chance(np.array(density)), rel=0.05)


def test_supported_events_are_counted_where_they_are() -> None:
    rng = np.random.default_rng(0)
    x, y, t = rng.integers(0, 346, 9000), rng.integers(0, 260, 9000), np.arange(9000) * 3000
    state = CameraRest("still")
    state.update(Events.from_arrays(x, y, t, t % 2, 346, 260), 27_000_000)
    px = state.supported_counts((260, 346), 1.0)
    step = 2.1625
    coarse = np.zeros((121, 160), np.float32)
    rows, columns = np.nonzero(px)
    np.add.at(coarse, ((rows / step).astype(int), (columns / step).astype(int)), px[px > 0])
    np.testing.assert_array_equal(state.supported_counts(coarse.shape, step), coarse)
    every = np.zeros((260, 346))
    np.add.at(every, (y, x), 1)
    assert 0 < px.sum() < 9000 and (px <= every).all()


def test_the_whole_image_is_motion() -> None:
    assert not any(run(CameraRest(), ALL, 6))


def test_edges_all_over_the_scene_are_motion_though_they_are_few() -> None:
    corners = [(40 + 460 * i, 40 + 340 * j, 60, 60, 12) for i in (0, 1) for j in (0, 1)]
    middle = [(280, 200, 60, 60, 12), (160, 120, 60, 60, 12), (400, 280, 60, 60, 12)]
    assert not run(CameraRest(), corners + middle, 6)[-1]


def test_what_was_told_changes_only_with_time() -> None:
    state = CameraRest()
    assert run(state, MOVER, 10)[-1]
    told = run(state, ALL, 10, first=10)
    assert told[-1] is False  # it began to move, and that is seen within 0.33 s
    told = run(state, MOVER, 30, first=20)
    assert told[0] is False  # one window is not believed
    assert told[-1] is True
    state.forget()
    assert run(state, ALL, 2, first=50)[-1] is False


def test_a_camera_that_is_known_to_rest_rests() -> None:
    assert all(run(CameraRest("still"), ALL, 3))


def test_no_events_and_another_sensor_are_taken() -> None:
    state = CameraRest()
    state.update(Events.empty(*SIZE), LENGTH)
    run(state, MOVER, 2)
    some = events(3, MOVER)
    keep = np.flatnonzero((some.x < 346) & (some.y < 260))
    small = Events.from_arrays(*(getattr(some, n)[keep] for n in "xytp"), 346, 260)
    assert state.update(small, 4 * LENGTH) in (True, False)
