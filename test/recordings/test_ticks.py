"""Counters of 32 bits in DAT and AEDAT 2.0: late beginnings, wraps and damaged ticks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from whole_files import run, some_events

from evlayerseg_ros.recordings import dat
from evlayerseg_ros.recordings.readers import open_recording

DAVIS = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
DAT = b"% Version 2\n% Width 240\n% Height 180\n\x0c\x08"
MINUTE = 60_000_000  # us


def write(path, e, ticks):
    x, y = e.x.astype(np.uint32), e.y.astype(np.uint32)
    columns, form, head = [ticks, x | y << 14 | e.p.astype(np.uint32) << 28], "<u4", DAT
    if path.suffix == ".aedat":
        columns, form, head = [(179 - y) << 22 | (239 - x) << 12 | e.p << 11, ticks], ">u4", DAVIS
    path.write_bytes(head + np.column_stack(columns).astype(form).tobytes())


@pytest.mark.parametrize("suffix", ["dat", "aedat"])
@pytest.mark.parametrize("begin", [0, 41 * MINUTE, 2**32 - 250_000])  # us; the last one wraps
def test_a_clock_begins_with_its_first_tick(tmp_path, suffix, begin):
    e, path = some_events(size=(240, 180)), tmp_path / f"some.{suffix}"
    t = e.t // 1000 + begin
    write(path, e, t % 2**32)
    _, windows, stats = run(path)
    assert windows[0].events.t[0] == t[0] * 1000 and windows[-1].events.t[-1] == t[-1] * 1000
    assert (stats.events, stats.time_jumps, stats.stray_events) == (len(e), 0, 0)


@pytest.mark.parametrize("suffix", ["dat", "aedat"])
@pytest.mark.parametrize("begin", [0, 41 * MINUTE, 2**32 - 250_000])
@pytest.mark.parametrize("damaged", [slice(0, 1), slice(5000, 5001), slice(5000, 5512)])
def test_damaged_ticks_do_not_move_the_clock(tmp_path, suffix, begin, damaged):
    """One with its top bit flipped; a block of a disc that holds something else."""
    e, path = some_events(size=(240, 180)), tmp_path / f"some.{suffix}"
    t = e.t // 1000 + begin
    ticks, n = t % 2**32, damaged.stop - damaged.start
    noise = np.random.default_rng(4).integers(0, 2**32, n)
    ticks[damaged] = noise if n > 1 else ticks[damaged] ^ 1 << 31
    write(path, e, ticks)
    _, windows, stats = run(path)
    assert windows[-1].events.t[-1] == t[-1] * 1000
    assert stats.events + stats.stray_events == len(e)
    assert n - 20 <= stats.stray_events <= n and not stats.time_jumps
    assert stats.stray_events == n or n > 1


def test_a_dat_whose_size_nobody_says_is_opened_in_little_memory(tmp_path, monkeypatch):
    """By events from all of it: the first ones lie on a smaller sensor."""
    monkeypatch.setattr(dat, "CHUNK", 1000)
    looked_at, find_size = [], dat.DatRecording.find_size

    def find(recording, x, y, stated):
        held = tracemalloc.get_traced_memory()[0]
        assert held - begun < path.stat().st_size / 4
        looked_at.append(len(x))
        find_size(recording, x, y, stated)

    monkeypatch.setattr(dat.DatRecording, "find_size", find)
    e, path = some_events(200_000, (304, 240)), tmp_path / "some.dat"
    e.x[:100_000] %= 200
    e.y[:100_000] %= 170
    write(path, e, e.t // 1000)
    path.write_bytes(path.read_bytes().replace(DAT, b"% Version 2\n\x0c\x08"))
    tracemalloc.start()
    begun = tracemalloc.get_traced_memory()[0]
    with open_recording(path) as recording:
        assert (recording.width, recording.height) == (304, 240)
    tracemalloc.stop()
    assert 10_000 < looked_at[0] <= 1000 * 17


def test_a_few_events_amid_long_pauses_are_no_strays(tmp_path):
    e, path = some_events(size=(240, 180)), tmp_path / "some.dat"
    t = e.t // 1000 + np.select(
        [np.arange(len(e)) < k for k in (5, 9000, 9004)], [0, 5e6, 7e6], 9e6
    )
    t[9004:] += 30 * MINUTE
    t[-3:] += 20_000_000
    write(path, e, t)
    with open_recording(path) as recording:
        got = np.concatenate([packet.events.t for packet in recording])
    assert np.array_equal(got, t.astype(np.int64) * 1000)
