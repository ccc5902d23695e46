"""Windows of streams whose windows follow from arithmetic, and their independence of packets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.window import BOUNDS, WindowConfig, Windower, WindowerAt
from evlayerseg_ros.node.parameter_table import BY_NAME

MS = 1_000_000


def events_at(t):
    t = np.asarray(t, np.int64)
    return Events.from_arrays(np.arange(len(t)) % 64, t * 0, t, t * 0, 64, 64)


def every_ms(n, start=0):
    """n events, one a millisecond."""
    return events_at(start + np.arange(n) * MS)


def run(config, events, now=None):
    windower = Windower(config)
    return windower.push(events, now) + windower.flush()


def test_time_windows_are_back_to_back_from_the_first_event():
    windows = run(WindowConfig(duration_ms=10), every_ms(95, start=7 * MS))
    assert [len(w.events) for w in windows] == [10] * 9 + [5]
    assert [w.start for w in windows] == [(7 + 10 * k) * MS for k in range(10)]
    assert [w.end for w in windows] == [(16 + 10 * k) * MS for k in range(9)] + [101 * MS]


def test_time_window_ends_before_an_event_at_its_end():
    windows = run(WindowConfig(duration_ms=10), events_at([0, 10 * MS - 1, 10 * MS]))
    assert [w.events.t.tolist() for w in windows] == [[0, 10 * MS - 1], [10 * MS]]


def test_the_clock_alone_closes_a_window():
    windower = Windower(WindowConfig(duration_ms=10))
    assert windower.push(every_ms(5), 10 * MS - 1) == []
    (window,) = windower.push(every_ms(0), 10 * MS)
    assert (len(window.events), window.start, window.end) == (5, 0, 4 * MS)


def test_time_windows_with_stride_overlap():
    windows = run(WindowConfig(duration_ms=10, stride_ms=5), every_ms(30))
    assert [w.events.t[0] // MS for w in windows] == [0, 5, 10, 15, 20]
    assert [len(w.events) for w in windows] == [10] * 5
    ends = [w.end for w in windows]
    assert ends == sorted(set(ends))


def test_stride_longer_than_the_window_leaves_events_out():
    windows = run(WindowConfig(duration_ms=3, stride_ms=10), every_ms(28))
    assert [(w.events.t // MS).tolist() for w in windows] == [[0, 1, 2], [10, 11, 12], [20, 21, 22]]


def test_count_windows_are_back_to_back():
    windows = run(WindowConfig("count", events=20), every_ms(50))
    assert [len(w.events) for w in windows] == [20, 20, 10]
    assert [(w.start, w.end) for w in windows][1] == (20 * MS, 39 * MS)


def test_count_window_closes_at_its_age():
    windows = run(WindowConfig("count", events=1000, max_age_ms=30), every_ms(65))
    assert [len(w.events) for w in windows] == [30, 30, 5]


def test_count_windows_with_stride_hold_the_latest_events():
    windows = run(WindowConfig("count", events=8, stride_ms=5), every_ms(41))
    assert [(w.events.t[0] // MS, w.events.t[-1] // MS) for w in windows] == [
        *((end - 8, end - 1) for end in range(10, 41, 5)),
        (33, 40),
    ]


def test_count_windows_with_stride_answer_below_their_count_once_old_enough():
    windows = run(WindowConfig("count", events=1000, stride_ms=10, max_age_ms=30), every_ms(61))
    assert [w.events.t[-1] // MS for w in windows] == [29, 39, 49, 59, 60]
    assert all(w.end - w.events.t[0] <= 30 * MS for w in windows)


@pytest.mark.parametrize("mode", ["time", "count"])
def test_a_quiet_scene_answers_every_max_age(mode):
    windower = Windower(WindowConfig(mode, duration_ms=33, events=10, max_age_ms=100))
    windows = windower.push(every_ms(5))
    for now in range(10, 1000, 7):
        windows += windower.push(every_ms(0), now * MS)
    assert len(windows[0].events) == 5
    assert [(w.start, w.end) for w in windows[1:]] == [
        ((4 + 100 * k) * MS, (104 + 100 * k) * MS) for k in range(9)
    ]
    assert all(len(w.events) == 0 and w.events.width == 64 for w in windows[1:])
    # The next event opens the windows anew.
    windows = windower.push(events_at([1000 * MS])) + windower.flush()
    assert (windows[-1].start, windows[-1].end) == (1000 * MS, 1000 * MS)


def test_flush_shows_every_event_once_and_then_nothing():
    windower = Windower(WindowConfig(duration_ms=10))
    windower.push(every_ms(15))
    (window,) = windower.flush()
    assert (window.events.t // MS).tolist() == [10, 11, 12, 13, 14]
    assert windower.flush() == []


def test_no_events_no_windows():
    assert run(WindowConfig(), events_at([]), 10**12) == []


CONFIGS = [
    WindowConfig(duration_ms=10),
    WindowConfig(duration_ms=10, stride_ms=3, max_age_ms=40),
    WindowConfig(duration_ms=250, max_age_ms=100),
    WindowConfig("count", events=7),
    WindowConfig("count", events=40, max_age_ms=20),
    WindowConfig("count", events=7, stride_ms=4),
    WindowConfig("count", events=40, stride_ms=4, max_age_ms=20),
]


def same_windows(a, b):
    return len(a) == len(b) and all(
        (v.start, v.end) == (w.start, w.end) and np.array_equal(v.events.t, w.events.t)
        for v, w in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from([0, 1, 100_000, MS, 3 * MS, 30 * MS, 150 * MS]), max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=10),
    clock=st.booleans(),
    stall=st.booleans(),
)
def test_windows_do_not_depend_on_how_the_stream_is_cut(config, steps, cuts, clock, stall):
    events = events_at(np.cumsum(np.array([5, *steps])))
    whole = run(config, events)
    windower, windows = Windower(config), []
    marks = [0, *sorted(min(c, len(events)) for c in cuts), len(events)]
    for a, b in itertools.pairwise(marks):
        now = int(events.t[b]) if clock and b < len(events) else None
        windows += windower.push(events[a:b], now)
        # A node that hears nothing flushes: no difference if the scene really was quiet.
        if stall and 0 < b < len(events) and events.t[b] - events.t[b - 1] >= 150 * MS:
            windows += windower.flush()
    windows += windower.flush()
    assert same_windows(whole, windows)
    if (config.mode == "count" and not config.stride_ms) or config == CONFIGS[0]:
        shown = np.concatenate([w.events.t for w in windows])
        np.testing.assert_array_equal(shown, events.t)


@pytest.mark.parametrize("size", [1, 7, 999, 100_000])
def test_windows_at_given_instants_do_not_depend_on_how_the_stream_is_cut(size):
    """They overlap, go on over pauses, and those that the end cuts short do not come."""
    t = np.concatenate([np.arange(3000), 3000 + 5000 + np.arange(3000)]) * MS  # a pause of 5 s
    events = events_at(t)
    starts = np.array([-90, 3, 3, 2900, 4000, 10_000, 10_998, 20_000], np.int64) * MS
    windower = WindowerAt(WindowConfig(mode="count", events=500, max_age_ms=10), starts)
    windows = []
    for begin in range(0, len(events), size):
        windows += windower.push(events[begin : begin + size])
        windower.flush()
        windower.pause()
    first = [0, 3, 3, 2900, 3000, 5000]
    assert [window.first for window in windows] == first
    for window in windows:
        expected = events.t[window.first : window.first + 500]
        np.testing.assert_array_equal(window.events.t, expected)
        assert (window.start, window.end) == (expected[0], expected[-1])


def test_windows_at_given_instants_hold_a_number_of_events():
    with pytest.raises(InputError, match="a number of events"):
        WindowerAt(WindowConfig(), np.zeros(1, np.int64))


@pytest.mark.parametrize("config", CONFIGS)
def test_a_window_knows_the_number_of_its_first_event(config):
    """Also after pauses and a reset: events are counted since the stream began."""
    events = events_at(np.cumsum(np.tile([MS] * 40 + [200 * MS], 5)))
    windower, windows = Windower(config), []
    for part in (events[:100], events[100:]):
        windows += windower.push(part) + windower.flush()
        windower.reset()
    full = [window for window in windows if len(window.events)]
    assert len(full) > 5
    for window in full:
        expected = events.t[window.first : window.first + len(window.events)]
        np.testing.assert_array_equal(window.events.t, expected)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mode": "frames"}, '"frames": expected time or count'),
        ({"duration_ms": 0}, "duration_ms 0"),
        ({"duration_ms": float("nan")}, "duration_ms nan"),
        ({"events": 0}, "events 0"),
        ({"stride_ms": -1}, "stride_ms -1"),
        ({"max_age_ms": 0}, "max_age_ms 0"),
    ],
)
def test_wrong_values_are_named(values, told):
    with pytest.raises(InputError, match=told):
        Windower(WindowConfig(**values))


def test_the_nodes_parameters_have_the_same_bounds():
    for name, (low, high) in BOUNDS.items():
        assert BY_NAME[f"window.{name}"].between == (low, high)
        WindowConfig(**{name: high}).validate()
        with pytest.raises(InputError, match=f"expected {low} to {high}"):
            WindowConfig(**{name: high + 1}).validate()
