"""The batched simulator gives what the precise one gives."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is an extra")

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.model.layernet import LayerNet
from evlayerseg_ros.training import stream
from evlayerseg_ros.training.batched import simulate_batch
from evlayerseg_ros.training.scenes import random_scene
from evlayerseg_ros.training.simulator import Scene, simulate
from evlayerseg_ros.training.textures import TextureBank

KINDS = ("paper", "many", "none", "static")


def scenes(**sensor) -> list[Scene]:
    """One small scene of several kinds."""
    bank, out = TextureBank(), []
    for seed, kind in enumerate(KINDS):
        scene = random_scene(np.random.default_rng(seed), bank, kind, duration=0.05)
        changes = {"width": 320, "height": 240, "hot_pixels": 0} | sensor
        out.append(replace(scene, sensor=replace(scene.sensor, **changes)))
    return out


def generators() -> list[np.random.Generator]:
    return [np.random.default_rng(9) for _ in KINDS]


def counts(events: Events) -> np.ndarray:
    """ON and OFF events of each pixel."""
    pixel = events.y.astype(int) * events.width + events.x
    size = events.width * events.height
    return np.stack([np.bincount(pixel[events.p == p], minlength=size) for p in (0, 1)])


@pytest.mark.parametrize("refractory", [1e-7, 1e-3])
def test_without_chance_both_give_the_same_events(refractory: float) -> None:
    still = scenes(threshold_sigma=0.0, settled=False, noise_rate=0.0, refractory=refractory)
    together = simulate_batch(still, generators())
    for scene, rng, (events, labels) in zip(still, generators(), together, strict=True):
        alone, alone_labels = simulate(scene, rng)
        assert len(alone) > 1000
        differ = np.abs(counts(events) - counts(alone)).sum()
        assert differ < 0.01 * len(alone)
        same = np.abs(np.bincount(labels, minlength=4) - np.bincount(alone_labels, minlength=4))
        assert same.sum() < 0.01 * len(alone)
        share = np.linspace(0, 1, 21)
        times = [np.quantile(e.t, share) for e in (events, alone)]
        np.testing.assert_allclose(*times, atol=100e3)  # 0.1 of 50 ms
        assert (np.diff(events.t) >= 0).all()


def test_with_chance_both_give_as_many_events() -> None:
    any_sensor = scenes(threshold_sigma=0.1, settled=True, noise_rate=2.0)
    together = simulate_batch(any_sensor, generators())
    for scene, rng, (events, _) in zip(any_sensor, generators(), together, strict=True):
        alone, _ = simulate(scene, rng)
        assert len(events) == pytest.approx(len(alone), rel=0.03)
        assert events.p.mean() == pytest.approx(alone.p.mean(), abs=0.02)


def test_sensors_of_several_sizes_come_back_in_their_order() -> None:
    first, second = scenes()[:2]
    other = replace(second, sensor=replace(second.sensor, width=160, height=120))
    found = simulate_batch([first, other, first], generators()[:3])
    assert [events.width for events, _ in found] == [320, 160, 320]
    np.testing.assert_array_equal(counts(found[0][0]), counts(found[2][0]))


def test_training_samples_can_come_from_it(monkeypatch) -> None:
    small = scenes()[KINDS.index("static")]
    monkeypatch.setattr(stream, "random_scene", lambda rng, bank: small)
    samples = stream.SceneStream(TextureBank(), LayerNet().voxel, first=1, per_clip=1, together=2)
    for sample in islice(samples, 2):
        assert sample["voxel"].shape == (20, 240, 320)
        assert sample["voxel"].sum() > 1000
