"""The turn of a camera as a gyro tells it, against exact rotations."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from turning import LENGTH, LENS, TICK, H, W, gyro, rotation, turned, windows

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.gyro import GAP, MOST, Gyro, GyroCheck, Lens, is_clear
from evlayerseg_ros.segmentation.past_events import PastEvents

MS = 1_000_000
LONG = Lens(5000.0, 4000.0, 150.0, 130.0)  # a long lens: what is quadratic is small


def grid() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, W - 1, 17), np.linspace(0, H - 1, 13))
    return np.column_stack((x.ravel(), y.ravel()))


def exact_velocity(rate: np.ndarray, lens: Lens) -> np.ndarray:
    """px/s at each point of the grid: a small exact rotation, one way and back."""
    step = 1e-4
    ahead, back = (turned(grid(), rotation(np.array(rate) * s), lens) for s in (step, -step))
    return (ahead - back) / (2 * step)


@pytest.mark.parametrize("rate", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-0.3, 0.5, 2)])
def test_the_motion_is_that_of_an_exact_rotation(rate) -> None:
    motion = LONG.motion(np.array(rate, float), W, H)
    found = grid() @ motion[:, :2].T + motion[:, 2]
    wanted = exact_velocity(rate, LONG)
    assert np.abs(found - wanted).max() < 0.002 * np.abs(wanted).max()


def test_the_closed_form() -> None:
    """Rates of 1 rad/s about y move what is ahead by fx px/s to the left; about x, fy down."""
    middle = np.array((150.0, 130.0, 1.0))
    assert LONG.motion(np.array((0.0, 1, 0)), W, H) @ middle == pytest.approx((-5000, 0), abs=3)
    assert LONG.motion(np.array((1.0, 0, 0)), W, H) @ middle == pytest.approx((0, 4000), abs=3)
    square = Lens(300, 300, 150, 130).motion(np.array((0, 0, 2.0)), W, H)
    np.testing.assert_allclose(square, ((0, 2, -2 * 130), (-2, 0, 2 * 150)))


@pytest.mark.parametrize("rate", [(1, 0, 0), (0, 1, 0), (0.4, -0.7, 0.2)])
@pytest.mark.parametrize("lens", [LENS, Lens(250.0, 200.0, 120.0, 90.0)])
def test_of_a_wide_lens_it_is_the_nearest_affine_motion(rate, lens) -> None:
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    points = np.column_stack((x.ravel(), y.ravel(), np.ones(x.size)))
    step = 1e-4
    ahead, back = (turned(points[:, :2], rotation(np.array(rate) * s), lens) for s in (step, -step))
    best = np.linalg.lstsq(points, (ahead - back) / (2 * step), rcond=None)[0].T
    np.testing.assert_allclose(lens.motion(np.array(rate, float), W, H), best, atol=1e-3)


def test_a_matrix_of_no_camera_is_refused() -> None:
    assert Lens.of_matrix([10, 0, 3, 0, 11, 4, 0, 0, 1]) == Lens(10, 11, 3, 4)
    for k in ([0.0] * 9, [float("nan")] * 9):
        with pytest.raises(InputError, match="calibrate the camera"):
            Lens.of_matrix(k)


def rising(ticks: int) -> Gyro:
    """A gyro that turns faster and faster about y: 1 rad/s more each s."""
    t = np.arange(ticks) * TICK
    return Gyro(LENS, t, np.column_stack((0 * t, t * 1e-9, 0 * t)))


def test_the_rate_is_the_mean_over_the_time_asked_for() -> None:
    for start, end in ((100 * MS, 133 * MS), (100_300_000, 100_700_000), (0, 150 * MS)):
        assert rising(200).rate(start, end) == pytest.approx((0, (start + end) / 2e9, 0))


def test_what_is_missing_is_not_known() -> None:
    sensed = rising(200)  # the last one at 199 ms
    assert sensed.rate(180 * MS, 199 * MS + GAP) is not None  # the last ones are on their way
    assert sensed.rate(180 * MS, 200 * MS + GAP) is None
    assert sensed.rate(-GAP - 1, 20 * MS) is None
    assert sensed.rate(300 * MS, 330 * MS) is None and sensed.rate(-90 * MS, -60 * MS) is None
    assert sensed.rate(50 * MS, 50 * MS) is None
    t = np.concatenate((np.arange(100) * TICK, np.arange(100) * TICK + 150 * MS))
    holed = Gyro(LENS, t, np.zeros((200, 3)))
    assert holed.rate(90 * MS, 123 * MS) is None and holed.rate(160 * MS, 190 * MS) is not None
    assert Gyro(LENS).rate(0, MS) is None


def test_a_window_s_turn_is_looked_for_in_ros_time() -> None:
    offset, stamp = 1_700_000_000_000_000_000, 133 * MS
    events = Events.from_arrays([1], [2], [stamp], [1], W, H)
    window = Window(events, stamp - 33 * MS, stamp, stamp + offset)
    t = np.arange(200) * TICK + offset
    rates = np.column_stack((0 * t, (t - offset) * 1e-9, 0 * t))
    wanted = LENS.motion(np.array((0, 0.1165, 0)), W, H)
    np.testing.assert_allclose(Gyro(LENS, t, rates).turn(window), wanted, rtol=1e-6)
    assert Gyro(None, t, rates).turn(window) is None
    assert rising(200).turn(window) is None


def test_many_samples_are_kept_for_a_while_and_a_clock_that_is_set_back_begins_anew() -> None:
    sensed = Gyro(LENS)
    for k in range(3 * MOST):
        sensed.add(k * TICK, (0, 0, 1.0))
    first, last = sensed.span
    assert last == (3 * MOST - 1) * TICK and MOST <= (last - first) / TICK + 1 < 2 * MOST
    sensed.add(last - 5 * MS, (9, 9, 9))  # came late
    assert sensed.span == (first, last)
    assert sensed.rate(last - 33 * MS, last) == pytest.approx((0, 0, 1))
    sensed.add(0, (0, 0, 2.0))
    assert sensed.span == (0, 0)


def test_samples_may_come_while_it_is_asked() -> None:
    sensed = Gyro(LENS)
    thread = threading.Thread(
        target=lambda: [sensed.add(k * TICK, (0, 0, 3.0)) for k in range(4 * MOST)]
    )
    thread.start()
    while thread.is_alive():
        if span := sensed.span:
            rate = sensed.rate(span[1] - 30 * MS, span[1])
            assert rate is None or rate == pytest.approx((0, 0, 3))
    thread.join()


def slow(t: float) -> np.ndarray:
    return np.array((0.25 * np.sin(4 * t + 1), 0.4 * np.sin(3 * t), 0.1))


def shaken(t: float) -> np.ndarray:
    return np.array((0.4 * np.sin(31 * t + 1), 0.6 * np.sin(25 * t), 0.3 * np.sin(19 * t)))


def checked(rate, said, count: int, found: GyroCheck | None = None) -> GyroCheck:
    """Of a camera that turns at a rate, with a gyro that says another."""
    found, past_events = found or GyroCheck(), PastEvents()
    sensed = gyro(said, count * LENGTH // TICK)
    for window in windows(rate, count):
        turn = sensed.turn(window)
        past_events.add(window, turn)
        past, steadied = (past_events.before(window.end, steadied) for steadied in (False, True))
        found.update(past, steadied, window.end, turn, window.duration)
    return found


@pytest.mark.parametrize("rate", [slow, shaken])
def test_a_gyro_that_the_events_bear_out_is_believed(rate) -> None:
    found = checked(rate, rate, 40)
    assert found.believed and not found.contradicted


@pytest.mark.parametrize("rate", [slow, shaken])
@pytest.mark.parametrize(
    "wrong",
    [lambda w: w[[1, 2, 0]], lambda w: -w, np.rad2deg, lambda w: w[[2, 1, 0]] * (1, -1, 1)],
    ids=["other axes", "the other way", "degrees", "upside down"],
)
def test_a_gyro_that_is_wrong_is_contradicted(rate, wrong) -> None:
    found = checked(rate, lambda t: wrong(rate(t)), 45)
    assert found.contradicted and not found.believed
    assert not checked(rate, lambda t: wrong(rate(t)), 8).contradicted  # too early to say


def test_the_gyro_of_something_else_is_contradicted_and_may_be_right_later() -> None:
    found = checked(lambda t: np.zeros(3), slow, 45)
    assert found.contradicted
    assert checked(slow, slow, 45, found).believed and not found.contradicted


def test_slow_turns_say_nothing() -> None:
    assert not is_clear(LENS.motion(np.array((0, np.deg2rad(2), 0)), W, H), W, H)
    assert is_clear(LENS.motion(np.array((0, np.deg2rad(10), 0)), W, H), W, H)
    assert is_clear(LENS.motion(np.array((0, 0, np.deg2rad(40))), W, H), W, H)
    found = checked(slow, lambda t: np.array((0, 0.02, 0)), 40)
    assert not found.contradicted and not found.believed
