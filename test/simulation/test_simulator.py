"""The simulator against closed forms."""

import numpy as np
import pytest

from evlayerseg_ros.simulation import presets
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor, simulate

W, H = 64, 48
DURATION = 0.1


def motion(start=(0.0, 0.0), end=(0.0, 0.0), turn=0.0, zoom=1.0) -> Motion:
    return Motion(
        np.array([start, end], float), np.array([0, turn], float), np.array([1, zoom], float)
    )


def ramp(slope: float, width: int = 200) -> np.ndarray:
    """Log intensity that rises by `slope` a px to the right."""
    return np.tile(slope * np.arange(width, dtype=np.float32), (150, 1))


def run(layers, **sensor):
    scene = Scene(layers, DURATION, Sensor(width=W, height=H, **sensor))
    return scene, *simulate(scene, np.random.default_rng(0))


def test_a_moving_ramp_crosses_thresholds_at_known_times() -> None:
    # Moved left by 20 px, every pixel sees 0.1 x 20 = 2.0 more: 3 thresholds of 0.6, each 0.03 s.
    _, events, labels = run([Layer(ramp(0.1), None, motion(end=(-20, 0)))], threshold=(0.6, 0.6))
    assert len(events) == 3 * W * H
    assert (events.p == 1).all()
    assert (labels == 0).all()
    per_pixel = np.sort(events.t[(events.x == 10) & (events.y == 20)])
    np.testing.assert_allclose(per_pixel, [30e6, 60e6, 90e6], atol=20e3)


def test_falling_intensity_makes_off_events_of_their_own_threshold() -> None:
    layers = [Layer(ramp(0.1), None, motion(end=(20, 0)))]
    _, events, _ = run(layers, threshold=(0.6, 0.9))
    assert len(events) == 2 * W * H
    assert (events.p == 0).all()


def test_nothing_moves_nothing_happens() -> None:
    _, events, _ = run([Layer(ramp(0.1), None, motion(start=(5, 0), end=(5, 0)))])
    assert len(events) == 0


def test_refractory_time_silences_a_pixel() -> None:
    layers = [Layer(ramp(0.1), None, motion(end=(-20, 0)))]
    _, events, _ = run(layers, threshold=(0.1, 0.1), refractory=0.02)
    one = np.sort(events.t[(events.x == 10) & (events.y == 20)])
    assert (np.diff(one) >= 20e6 - 1000).all()
    assert 4 <= len(one) <= 5


def test_noise_has_its_rate() -> None:
    _, events, labels = run([Layer(ramp(0), None, motion())], noise_rate=50.0)
    expected = 50 * W * H * DURATION
    assert abs(len(events) - expected) < 5 * np.sqrt(expected)
    assert (labels == 0).all()


def test_events_of_an_object_are_labelled_and_lie_on_its_path() -> None:
    disc = np.zeros((21, 21), np.float32)
    y, x = np.mgrid[-10:11, -10:11]
    disc[np.hypot(x, y) <= 8] = 1
    thing = Layer(np.full((21, 21), 2.0, np.float32), disc, motion((-15, 0), (15, 0)))
    scene, events, labels = run([Layer(ramp(0), None, motion()), thing])
    assert len(events) > 100
    assert (labels == 1).all()  # nothing else changes
    centre = (W - 1) / 2 - 15 + 30 * events.t * 1e-9 / DURATION
    assert np.hypot(events.x - centre, events.y - (H - 1) / 2).max() < 11
    mask = scene.labels(DURATION)
    _, xs = np.nonzero(mask)
    assert xs.mean() == pytest.approx((W - 1) / 2 + 15, abs=0.5)
    assert mask.sum() == pytest.approx(np.pi * 8**2, rel=0.1)


def test_displacement_is_the_motion_of_points() -> None:
    layer = Layer(ramp(0), None, motion((3, -2), (10, 4), turn=0.3, zoom=1.2))
    scene = Scene([layer], DURATION, Sensor(width=W, height=H))
    point = np.array([40.0, 70, 1])  # on the texture
    before, after = scene.to_image(0, 0.02) @ point, scene.to_image(0, 0.09) @ point
    moved = scene.displacement(0, 0.02, 0.09) @ after
    np.testing.assert_allclose(moved, (after - before)[:2], atol=1e-9)
    speed = scene.velocity(0, 0.05) @ (scene.to_image(0, 0.05) @ point)
    near = (scene.to_image(0, 0.051) - scene.to_image(0, 0.049)) @ point / 0.002
    np.testing.assert_allclose(speed, near[:2], rtol=1e-3)


def test_the_same_seed_gives_the_same_events() -> None:
    scene = Scene(
        [Layer(ramp(0.1), None, motion(end=(-20, 0)))],
        DURATION,
        Sensor(width=W, height=H, threshold_sigma=0.1, noise_rate=5.0, settled=True),
    )
    a, b = (simulate(scene, np.random.default_rng(7))[0] for _ in range(2))
    for name in "xytp":
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_the_number_of_a_presets_sequences_is_known_before_they_are_made():
    for preset in ("demo", "static", "one_small"):
        assert presets.count_of(preset) == sum(1 for _ in presets.PRESETS[preset](seed=0))
