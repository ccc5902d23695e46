"""PacketStream on recordings, however they are cut, and on whatever a topic may bring."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from faulty import evt3_packet
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Packet
from evlayerseg_ros.events.codecs import ENCODINGS
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.recordings.readers import open_recording

MS = 1_000_000
S = 1_000_000_000
STAMP = 1_700_000_000 * S


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


@settings(max_examples=150, deadline=None)
@given(
    packets=st.lists(
        st.tuples(
            st.sampled_from([*ENCODINGS, "evt3", "evt3", "trigger"]),
            st.sampled_from([0, 1, 64, 5000]),
            st.integers(0, 2**64 - 1) | st.sampled_from([0, STAMP]),
            st.binary(max_size=400),
            st.integers(0, 2**62) | st.integers(STAMP, STAMP + S),
            st.none() | st.integers(0, 5) | st.integers(0, 2**64 - 1),
        ),
        max_size=8,
    )
)
def test_nothing_that_a_topic_brings_breaks_the_stream(packets):
    stream = PacketStream(WindowConfig(max_age_ms=1000))
    windows = []
    for encoding, side, base, data, stamp, seq in packets:
        try:
            windows += stream.push(Packet(encoding, side, side, base, data, stamp, seq))
        except InputError as error:
            assert str(error).endswith(".")
    windows += stream.flush()
    for window in windows:
        events = window.events
        assert np.all(events.x < events.width) and np.all(events.y < events.height)
        assert np.all(np.diff(events.t) >= 0)
        assert window.start <= window.end
        assert len(events) == 0 or window.end == events.t[-1] >= events.t[0] >= window.start
    # A sound camera afterwards is heard.
    heard = []
    for k in range(20):
        data = evt3_packet(5000 + 4000 * k)
        heard += stream.push(Packet("evt3", 64, 48, 0, data, STAMP + 4 * MS * k, 10**9 + k))
    heard += stream.flush()
    assert sum(len(w.events) for w in heard) >= 190
