"""PacketStream on recordings, however they are cut; on whatever a topic brings: test_fuzz.py."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.recordings.readers import open_recording


@pytest.mark.parametrize(
    "name",
    [
        "event_camera_py/test_events_1",
        "event_camera_py/test_events_2/test_events_2_0.mcap",
        "event_camera_codecs/test_data_libcaer_rollover",
    ],
)
def test_recordings_are_sound_streams(recordings, name):
    stream, windows = PacketStream(WindowConfig()), []
    with open_recording(recordings / name) as recording:
        for p in recording:
            windows += stream.push(p)
    windows += stream.flush()
    stats = stream.stats
    assert stats.last_fault == "" and stats.time_errors == 0
    assert sum(len(w.events) for w in windows) == stats.events
    lag = np.array([w.stamp - w.end for w in windows])
    rate = np.diff(lag) / np.diff([w.end for w in windows])
    assert np.abs(rate).max() <= 0.0101


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=2097153)  # a part without bytes is the first of a packet with a new time base
def test_a_recording_cut_anywhere_gives_the_same_windows(recordings, seed):
    rng = np.random.default_rng(seed)
    config = WindowConfig(duration_ms=15, stride_ms=10)
    whole, cut = PacketStream(config), PacketStream(config)
    windows, parts = [], []
    with open_recording(recordings / "event_camera_codecs/test_data_libcaer_rollover") as packets:
        for p in packets:
            p = replace(p, seq=None)
            windows += whole.push(p)
            marks = np.sort(rng.integers(0, len(p.data) // 8 + 1, 3)) * 8
            for a, b in pairwise([0, *marks.tolist(), len(p.data)]):
                parts += cut.push(replace(p, data=p.data[a:b]))
    windows, parts = windows + whole.flush(), parts + cut.flush()
    assert len(windows) == len(parts) > 190
    for v, w in zip(windows, parts, strict=True):
        assert (v.start, v.end, v.stamp) == (w.start, w.end, w.stamp)
        assert np.array_equal(v.events.x, w.events.x) and np.array_equal(v.events.t, w.events.t)
