"""What the rows of users' tables are like: polarities, wraps, zeros, order."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.readers import CHUNK
from evlayerseg_ros.recordings.rows import Rows
from evlayerseg_ros.recordings.seams import ordered

SIGNS = {  # OFF, ON and the type of a column of polarities
    "matlab": (1, 2, "u1"),
    "picture": (0, 255, "u1"),
    "8 bits": (255, 1, "u1"),
    "32 bits": (2**32 - 1, 1, "u4"),
    "64 bits": (2**64 - 1, 1, "u8"),
    "float": (-1, 1, "f4"),
}


@pytest.mark.parametrize("off, on, kind", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt", "rows.h5"])
def test_polarities_of_any_pair(tmp_path, suffix, off, on, kind):
    """-1 in numbers without a sign, Matlab's 1 and 2, a picture's 0 and 255."""
    e, path = some_events(), tmp_path / f"some.{suffix}"
    p = np.array([off, on], kind)[e.p]
    p[777] = 7  # one that is wrong
    if suffix == "rows.h5":
        with h5py.File(path, "w") as file:
            file["events"] = np.column_stack([e.t // 1000, e.x, e.y, p.astype("f8")])
    else:
        write_table(path, Events(e.x, e.y, e.t, p, *VGA))
    _, windows, stats = run(path, size=VGA)
    found = np.concatenate([window.events.p for window in windows])
    assert stats.events == 20_000 and np.count_nonzero(found != e.p) <= 1


@pytest.mark.parametrize("wrap", [2**32, 2**31], ids=["unsigned", "signed"])
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_a_counter_of_32_bits_that_wraps(tmp_path, suffix, wrap):
    """After 71.6 minutes in us, or 35.8; some events come a little late, which wrap later."""
    n = CHUNK + 20_000
    e = some_events(n, span_us=2_000_000)
    t = e.t // 1000 + wrap - 1_000_000
    half = np.searchsorted(t, wrap)
    t[half - 2 : half + 2] = t[half - 2 : half + 2][[2, 0, 3, 1]]
    counter = t.astype("u4").view("u4" if wrap == 2**32 else "i4")
    _, windows, stats = run(write_table(tmp_path / f"some.{suffix}", e, counter), size=VGA)
    assert stats.events == n and stats.time_jumps == stats.stray_events == stats.bad_packets == 0
    times = np.concatenate([window.events.t for window in windows])
    assert np.array_equal(times, np.sort(t) * 1000)


@pytest.mark.parametrize("begin", [0, 1_600_000_000 * 10**9])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_rows_of_zeros_are_no_events(tmp_path, suffix, first, begin):
    """Space for more events than came."""
    e, none = some_events(), np.zeros(30_000, int)
    parts = [none, None] if first else [None, none]
    x, y, t, p = (
        np.concatenate([column if part is None else part for part in parts])
        for column in (e.x, e.y, (e.t + begin) // 1000, e.p)
    )
    _, windows, stats = run(write_table(tmp_path / f"some.{suffix}", Events(x, y, t, p, *VGA), t))
    assert stats.events + stats.stray_events in (20_000, 20_001) and len(windows) in (16, 17)
    assert stats.time_jumps == 0 and "of its rows are zeros" in stats.last_error


@pytest.mark.parametrize("by", ["chance", "pixel"])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_table_that_is_not_in_the_order_of_its_times(tmp_path, suffix, by):
    e = some_events()
    order = np.random.default_rng(1).permutation(len(e)) if by == "chance" else np.argsort(e.x)
    path = write_table(tmp_path / f"some.{suffix}", e[order], (e.t // 1000)[order])
    with pytest.raises(InputError, match=r"go back \d+ times: sort them by time"):
        run(path, size=VGA)


@pytest.mark.parametrize("signs", [(1, 0), (1, -1), (2, 1)], ids=str)
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt", "npy"])
@pytest.mark.parametrize("n", [20_000, 300_000])
def test_all_events_of_one_polarity_before_all_others(tmp_path, suffix, signs, n):
    """Of one chunk and of several; one polarity is wrong."""
    e = some_events(n)
    e = Events(e.x, e.y, np.arange(1, n + 1) * 25_000, e.p, *VGA)
    halves = np.concatenate([np.flatnonzero(e.p == 1), np.flatnonzero(e.p == 0)])
    p = np.where(e.p == 1, *signs).astype("i2")
    p[halves[99]] = 9
    part, path = Events(e.x, e.y, e.t, p, *VGA)[halves], tmp_path / f"some.{suffix}"
    if suffix == "npy":
        np.save(path, np.column_stack([part.x, part.y, part.t // 1000, part.p]))
    else:
        write_table(path, part, part.t // 1000)
    _, windows, stats = run(path, size=VGA)
    assert stats.events == n and stats.time_jumps == stats.bad_packets == 0
    found = [np.concatenate([getattr(w.events, k) for w in windows]) for k in "tp"]
    assert np.array_equal(found[0], e.t)
    assert np.count_nonzero(found[1] != e.p) <= 1


def test_rows_of_zeros_hide_no_polarities() -> None:
    """As a table has them that was made for more events than came; at first all are ON."""
    p = np.concatenate([np.ones(100), np.tile([1, 2], 50), np.zeros(100)])
    x, t = np.where(p > 0, 5, 0), np.where(p > 0, np.arange(1, 301) * 1000, 0)
    rows, ons = Rows(), []
    for part in (slice(0, 100), slice(100, 300)):
        ons.append(np.count_nonzero(rows.sound(x[part], x[part], t[part], p[part])[3] > 0))
    assert ons == [100, 50] and rows.zeros == 100


@pytest.mark.parametrize("n", [20_000, 3 * CHUNK])
@pytest.mark.parametrize("frame_ms", [33, 100, 200])
def test_events_that_are_written_by_frames(tmp_path, n, frame_ms):
    """All ON and then all OFF of a frame, whose times so go back: also over seams of chunks."""
    e = some_events(n, span_us=2_000_000)
    order = np.lexsort((e.t, 1 - e.p, e.t // (frame_ms * 10**6)))
    write_table(tmp_path / "some.npz", Events(*(c[order] for c in (e.x, e.y, e.t, e.p)), *VGA))
    _, windows, stats = run(tmp_path / "some.npz", size=VGA)
    t = np.concatenate([window.events.t for window in windows])
    assert (len(t), stats.stray_events, stats.time_errors, stats.time_jumps) == (n, 0, 0, 0)
    np.testing.assert_array_equal(t, e.t)


def test_events_that_cannot_be_sorted_any_more_are_counted(tmp_path):
    """Late by more than a chunk: their times become that of the event before them."""
    e = some_events(6 * CHUNK, span_us=100_000)
    t = e.t.copy()
    t[-50:] -= 60_000_000
    write_table(tmp_path / "some.npz", Events(e.x, e.y, t, e.p, *VGA))
    _, _, stats = run(tmp_path / "some.npz", size=VGA)
    assert (stats.events, stats.time_errors) == (6 * CHUNK, 50)


def test_a_clock_that_is_set_back_is_no_block_of_a_frame(tmp_path):
    """What comes then would be mixed with what was before."""
    e = some_events(60_000, span_us=4_000_000)
    t = e.t - 300_000_000 * (e.t // 10**9)
    ((_, _, found, _),) = ordered(lambda: iter([(e.x, e.y, t, e.p)]), Rows().sound)
    np.testing.assert_array_equal(found, t)
