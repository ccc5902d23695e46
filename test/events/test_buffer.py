"""EventBuffer: what was taken stays, whatever comes and goes after it."""

from __future__ import annotations

import numpy as np
import pytest
from streams import noise

from evlayerseg_ros.events.buffer import LEAST, EventBuffer

NAMES = ("x", "y", "t", "p")


def many(n):
    return noise(n, (64, 48), n)


@pytest.mark.parametrize("length", [1, 7, LEAST // 3, LEAST, 4 * LEAST])
def test_windows_that_overlap_hold_their_events_to_the_end(length):
    events = many(10 * length)
    buffer, taken = EventBuffer(), []
    for k in range(10):
        buffer.append(events[k * length : (k + 1) * length])
        begin = max(0, buffer.last - 2 * length)
        taken.append((begin, buffer.last, buffer.take(begin, buffer.last)))
        buffer.drop(begin)
    for begin, end, window in taken:
        assert (window.width, window.height) == (64, 48)
        for name in NAMES:
            np.testing.assert_array_equal(
                getattr(window, name), getattr(events[begin:end], name), strict=True
            )


def test_overlapping_windows_are_views_of_the_same_events():
    buffer = EventBuffer()
    buffer.append(many(100))
    first, second = buffer.take(0, 60), buffer.take(20, 80)
    assert np.shares_memory(first.t, second.t)


def test_events_are_found_by_time_and_number():
    events = many(1000)
    buffer = EventBuffer(5)
    assert (buffer.first, buffer.last, buffer.find(3)) == (5, 5, 5)
    buffer.append(events)
    buffer.drop(105)
    for time in (0, int(events.t[100]), int(events.t[500]), 10_000):
        place = 5 + max(100, int(np.searchsorted(events.t, time)))
        assert buffer.find(time) == place
        if place < buffer.last:
            assert buffer.time(place) == events.t[place - 5]
