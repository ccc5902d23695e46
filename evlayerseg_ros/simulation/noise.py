"""Events without cause: background activity, hot pixels, lamps that flicker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evlayerseg_ros.simulation.draws import log_uniform

if TYPE_CHECKING:
    from evlayerseg_ros.simulation.simulator import Scene


def noise(scene: Scene, rng: np.random.Generator) -> list[np.ndarray]:
    """Events without cause: x, y, t (us), p, label."""
    sensor = scene.sensor
    w, h = scene.size
    count = rng.poisson(sensor.noise_rate * w * h * scene.duration)
    if sensor.noise_spread:  # cells of a coarse map, each with a share of its own
        rate = np.exp(rng.normal(0, sensor.noise_spread, 6 * 8))
        cell = rng.choice(6 * 8, count, p=rate / rate.sum())
        spot = rng.normal(0, 0.5, (2, count))  # soft borders
        x = np.clip((cell % 8 + 0.5 + spot[0]) * w / 8, 0, w - 1).astype(np.int64)
        y = np.clip((cell // 8 + 0.5 + spot[1]) * h / 6, 0, h - 1).astype(np.int64)
    else:
        x, y = rng.integers(0, w, count), rng.integers(0, h, count)
    for _ in range(sensor.hot_pixels):
        n = rng.poisson(sensor.hot_rate * scene.duration * rng.exponential())
        x = np.append(x, np.full(n, rng.integers(0, w)))
        y = np.append(y, np.full(n, rng.integers(0, h)))
    last = max(1, int(scene.duration * 1e6))
    t = rng.integers(0, last, len(x))
    p = rng.integers(0, 2, len(x))
    for _ in range(sensor.lamps):
        x, y, t, p = (
            np.append(a, b) for a, b in zip((x, y, t, p), _lamp(rng, w, h, last), strict=True)
        )
    return [x, y, t, p, np.zeros_like(x)]


def _lamp(rng: np.random.Generator, w: int, h: int, last: int) -> tuple[np.ndarray, ...]:
    """x, y, t (us, below `last`) and p of a lamp that flickers: all its pixels at once."""
    radius = log_uniform(rng, 0.004, 0.06) * w
    stretch = rng.uniform(0.3, 1)
    period = 1e6 / rng.choice([100.0, 120.0])
    times = np.arange(rng.uniform(0, period), last, period / 2)
    pixels = int(np.pi * radius**2 * stretch * rng.uniform(0.3, 1)) + 1
    place = np.sqrt(rng.random((len(times), pixels))) * radius
    angle = rng.uniform(0, 2 * np.pi, place.shape)
    middle = rng.random(2) * [w, h]
    x = np.round(middle[0] + place * np.cos(angle)).astype(np.int64)
    y = np.round(middle[1] + place * np.sin(angle) * stretch).astype(np.int64)
    t = np.round(times[:, None] + rng.normal(0, period * 0.08, place.shape)).astype(np.int64)
    p = np.broadcast_to((np.arange(len(times)) % 2)[:, None], place.shape)
    seen = (x >= 0) & (x < w) & (y >= 0) & (y < h) & (t >= 0) & (t < last)
    return x[seen], y[seen], t[seen], p[seen]
