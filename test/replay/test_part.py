"""A part of a recording, by seconds from its beginning."""

import numpy as np
import pytest

from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.replay.replay import part_of


def test_start_and_duration_take_a_part(recordings) -> None:
    path = recordings / "event_camera_py" / "test_events_1"
    with open_recording(path) as opened:
        stamps = [packet.stamp for packet in opened]
    with open_recording(path) as opened:
        part = [packet.stamp for packet in part_of(opened, start=0.5, duration=1.0)]
    assert part == [s for s in stamps if 0.5e9 <= s - stamps[0] < 1.5e9]
    assert 0 < len(part) < len(stamps)


@pytest.mark.parametrize("as_file", [True, False])
def test_no_part_is_lost_where_a_clock_was_set_back(as_file) -> None:
    """The first stamp is an hour ahead, and the clock is set back by 5 s after 0.5 s."""
    second, n = 10**9, 100
    stamps = [3600 * second] + [k * second // n for k in range(1, n)]
    stamps[n // 2 :] = [stamp - 5 * second for stamp in stamps[n // 2 :]]
    columns = np.arange(10), np.arange(10), np.arange(10) % 2
    packets = []
    for stamp in stamps:
        x, y, p = columns
        events = Events.from_arrays(x, y, stamp + x * 1000, p, 64, 48) if as_file else None
        where = (stamp, 0, False, "camera", "" if as_file else "/events")
        packets.append(Packet("mono", 64, 48, 0, np.zeros(0, np.uint8), *where, events=events))
    assert [packet.stamp for packet in part_of(packets)] == stamps
    # Two steps of 10 ms are unknown: those where the clock was set.
    assert [packet.stamp for packet in part_of(packets, 0.2, 0.6)] == stamps[21:82]


def test_one_stamp_far_back_ends_no_part() -> None:
    seconds = [1000, 1001, 1002, 100, 1003, 1004, 1005, 1006]
    where = ("camera", "/events")
    packets = [
        Packet("mono", 64, 48, 0, np.zeros(0, np.uint8), t * 10**9, 0, False, *where)
        for t in seconds
    ]
    part = [packet.stamp // 10**9 for packet in part_of(packets, 1, 5)]
    assert part == [1001, 1002, 100, 1003, 1004, 1005]
