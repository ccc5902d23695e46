"""The Segmenter with a gyro, before a camera that turns as a rigid body does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drifting import shift
from turning import LENGTH, LENS, TICK, H, W, gyro, windows

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.gyro import Gyro
from evlayerseg_ros.pipeline import Pipeline, PipelineConfig
from evlayerseg_ros.segmentation.parallax import ParallaxState
from evlayerseg_ros.segmentation.past_events import PastEvents
from evlayerseg_ros.segmentation.search import Found, Search, Seen
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.turn import Turn

MS = 1_000_000
MIDDLE = np.array((W / 2, H / 2, 1))


def shaken(t: float) -> np.ndarray:
    return np.array((0.4 * np.sin(31 * t + 1), 0.6 * np.sin(25 * t), 0.3 * np.sin(19 * t)))


def sudden(t: float) -> np.ndarray:
    """Slow, and from 0.5 s on fast the other way."""
    return np.array((0, 0.3 if t < 0.5 else -1.5, 0))


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(provider="cpu", threads=1, track=True, camera_motion="imu")


def errors(segmenter: Segmenter, seen: list[Window], said: Gyro | None, rate) -> np.ndarray:
    """px a window: how far the background's motion at the image's middle is from the true one."""
    truth, off = gyro(rate, len(seen) * LENGTH // TICK), []
    segmenter.forget()
    segmenter.turn = Turn()
    for window in seen:
        found = segmenter(window, said and said.turn(window))
        wanted = LENS.motion(truth.rate(window.start, window.end), W, H)
        off.append(np.hypot(*((found.affine[0] - wanted) @ MIDDLE)) * LENGTH * 1e-9)
    return np.array(off)


@pytest.mark.parametrize(("rate", "count"), [(shaken, 24), (sudden, 22)])
def test_the_background_follows_a_turn_that_changes(segmenter, rate, count) -> None:
    seen = windows(rate, count)
    with_gyro = errors(segmenter, seen, gyro(rate, count * LENGTH // TICK), rate)
    without = errors(segmenter, seen, None, rate)
    assert with_gyro[12:].max() < 1.5
    assert without[12:].max() > 5


def test_a_mover_before_a_camera_that_shakes_is_found_and_nothing_else(segmenter) -> None:
    count = 24
    for mover, least, most in ((None, 0.0, 0.02), ((0, 200), 0.05, 0.25)):
        seen, said = windows(shaken, count, mover), gyro(shaken, count * LENGTH // TICK)
        segmenter.forget()
        segmenter.turn = Turn()
        found = [segmenter(window, said.turn(window)) for window in seen][12:]
        assert least <= np.mean([(one.event_labels > 0).mean() for one in found]) <= most


@pytest.mark.parametrize("wrong", [lambda w: w[[1, 2, 0]], np.rad2deg], ids=["axes", "degrees"])
def test_a_wrong_gyro_changes_nothing(segmenter, wrong: Callable) -> None:
    seen = windows(shaken, 40)
    said = gyro(lambda t: wrong(shaken(t)), 40 * LENGTH // TICK)
    np.testing.assert_array_equal(
        errors(segmenter, seen, said, shaken), errors(segmenter, seen, None, shaken)
    )
    errors(segmenter, seen, said, shaken)
    assert segmenter.turn.check.contradicted


def test_missing_samples_are_survived(segmenter) -> None:
    seen, whole = windows(shaken, 30), gyro(shaken, 30 * LENGTH // TICK)
    t, rates = np.arange(30 * LENGTH // TICK + 1) * TICK, whole._rates
    keep = (t < 15 * LENGTH) | (t > 20 * LENGTH)
    off = errors(segmenter, seen, Gyro(LENS, t[keep], rates[keep]), shaken)
    assert off[10:15].max() < 1.5 and off[-5:].max() < 1.5


def test_a_camera_that_turns_does_not_rest() -> None:
    segmenter = Segmenter.load(provider="cpu", threads=1, track=True, camera_motion="imu")
    # A compact thing alone, as before a camera at rest.
    rng = np.random.default_rng(1)
    window = windows(lambda t: np.zeros(3), 1, (0, 200), points=0)[0]
    noise = Events.from_arrays(
        rng.integers(0, W, 300), rng.integers(0, H, 300), np.sort(rng.integers(0, LENGTH, 300)),
        np.zeros(300), W, H,
    )  # fmt: skip
    both = Events.concatenate([window.events, noise])
    events = both[np.argsort(both.t, kind="stable")]
    some = replace(window, events=events)
    assert segmenter(some).rests
    segmenter.forget()
    pan = LENS.motion(np.array((0, 0.5, 0)), W, H)
    assert not segmenter(some, pan).rests


def test_the_turn_is_used_only_where_it_is_asked_for() -> None:
    auto = Segmenter.load(provider="cpu", threads=1, track=True)
    seen = windows(sudden, 12)
    said = gyro(sudden, 12 * LENGTH // TICK)
    for window in seen:
        auto(window, said.turn(window))
    assert not auto.turn.check.believed


def test_what_was_found_turns_with_the_camera() -> None:
    few = Events.from_arrays([1, 2], [3, 4], [0, 133 * MS - 1], [0, 1], W, H)
    search = Search(propose=False)
    search.found = Found(shift(1, 2), (shift(3, 4),), (shift(5, 6),))
    search.update(Seen(few, 133 * MS, None, np.zeros((1, 2, 3)), False), shift(10, -10))
    np.testing.assert_array_equal(search.found.background[:, 2], (11, -8))
    assert [m[:, 2].tolist() for m in search.found.proposed] == [[13, -6], [15, -4]]


def test_events_of_before_are_moved_to_where_an_even_turn_would_have_them() -> None:
    """One far point, seen by a camera that turns faster and faster: px/s 100, 200, 300."""
    past_events, at, speeds = PastEvents(), 20.0, (100, 200, 300)
    for k, speed in enumerate(speeds):
        t = np.arange(10) * 3 * MS + k * 30 * MS
        x = at + speed * (t - k * 30 * MS) * 1e-9
        at += speed * 0.03
        n = len(t)
        events = Events.from_arrays(np.rint(x).astype(int), np.full(n, 50), t, np.ones(n), W, H)
        window = Window(events, k * 30 * MS, (k + 1) * 30 * MS, 0)
        changed = past_events.add(window, shift(speed, 0))
    np.testing.assert_array_equal(changed, shift(100, 0))
    past = past_events.before(90 * MS, steadied=True)
    landed = past.x + 300 * (90 * MS - past.t) * 1e-9
    assert np.abs(landed - at).max() < 1.5 and (past.y == 50).all()
    raw = past_events.before(90 * MS)
    assert np.abs(raw.x + 300 * (90 * MS - raw.t) * 1e-9 - at).max() > 8


def test_a_turn_has_no_parallax() -> None:
    """A camera that pans and slides down: the slide alone is the line of parallax."""
    from test_parallax import NOTHING, seen

    pan, slide = shift(-300, 0), shift(0, -100)
    near, nearer, across = pan + 2 * slide, pan + 4 * slide, pan + shift(-200, 0)
    for turn, at_rest in ((pan, {1, 2}), (shift(0, 0), set())):
        state, found = ParallaxState(), seen(33 * MS, near, nearer, across)
        affine = found.affine.copy()
        affine[0] = pan + slide
        state.update(replace(found, affine=affine), {1, 2, 3}, NOTHING, turn)
        assert state.static_tracks(33 * MS) == at_rest


def test_a_pipeline_tells_how_many_windows_had_no_turn() -> None:
    config = PipelineConfig()
    imu = replace(config, segmenter=replace(config.segmenter, camera_motion="imu"))
    told, answers = [], iter((shift(1, 2), None, None))
    pipeline = Pipeline(imu, lambda *said: told.append(said), turn_of=lambda w: next(answers))
    some = windows(shaken, 1)[0]
    for _ in range(3):
        pipeline.answer(some)
    assert [len(said) for said in told] == [2, 2, 2] and told[0][1] is not None
    assert "2 of 3 windows had no gyro samples" in pipeline.faults()
    auto = Pipeline(config, lambda *said: told.append(said), turn_of=lambda w: shift(1, 2))
    auto.answer(some)
    assert len(told[-1]) == 1 and auto.faults() == ""
