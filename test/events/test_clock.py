"""SensorClock: sensor time to ROS time, although packets arrive when they please."""

import numpy as np
import pytest

from evlayerseg_ros.events.clock import SensorClock

MS = 1_000_000
S = 1_000_000_000
STAMP = 1_700_000_000 * S


def test_the_clock_is_smooth_under_jitter_and_follows_drift():
    rng = np.random.default_rng(1)
    clock = SensorClock()
    skew = 50e-6  # the host's clock is that much faster
    time = np.arange(0, 60 * S, 4 * MS)
    true = STAMP + time + (time * skew).astype(np.int64)
    arrival = true + (rng.exponential(3, len(time)) * MS).astype(np.int64)
    arrival[0] += 30 * MS  # the first packet is late
    mapped = []
    for sensor, stamp in zip(time.tolist(), arrival.tolist(), strict=True):
        clock.observe(sensor, stamp)
        mapped.append(clock.to_ros(sensor))
    mapped = np.array(mapped)
    steps = np.diff(mapped)
    assert steps.min() >= 3.95 * MS and steps.max() <= 4.05 * MS
    settled = mapped[time > 10 * S] - true[time > 10 * S]
    assert np.abs(settled).max() < MS


@pytest.mark.parametrize(
    "wrong, shift",
    [
        (lambda time: 900 * MS * (time == 0), 0),  # the first packet is late
        (lambda time: np.maximum(900 * MS - time, 0), 0),  # many wait at the start
        (lambda time: 0 * time, 900 * MS),  # the host's clock is set
        (lambda time: 0 * time, -900 * MS),
    ],
)
def test_an_offset_that_is_wrong_is_put_right_within_seconds_and_stamps_rise(wrong, shift):
    clock, told = SensorClock(), 0
    time = np.arange(0, 40 * S, 4 * MS)
    true = STAMP + time + shift * (time >= 20 * S)
    jitter = (np.random.default_rng(1).exponential(3, len(time)) * MS).astype(np.int64)
    mapped = []
    for sensor, stamp in zip(time.tolist(), (true + wrong(time) + jitter).tolist(), strict=True):
        before = clock.corrects
        clock.observe(sensor, stamp)
        told += clock.corrects and not before
        mapped.append(clock.to_ros(sensor))
    error = np.abs(np.array(mapped) - true)
    settled = (time > 3 * S) & (time < 20 * S) | (time > 31 * S)
    assert error[settled].max() < 10 * MS
    assert np.diff(mapped).min() > 0 and told == 1
