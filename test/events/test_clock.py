"""SensorClock: sensor time to ROS time, although packets arrive when they please."""

import numpy as np

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
