"""Units of time that users' tables (npz, text, HDF5) do not say, or say."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.readers import open_recording

UNITS = {"s": 1e-9, "ms": 1e-6, "us": 1e-3, "ns": 1.0}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_unit_of_time_is_recognised(tmp_path, unit, suffix, whole):
    e = some_events()
    t = e.t * UNITS[unit]
    if whole and unit in ("us", "ns"):
        t = np.rint(t).astype(np.int64)
    recording, windows, stats = run(write_table(tmp_path / f"some.{suffix}", e, t, VGA))
    assert stats.events == 20_000 and len(windows) == 16
    documented = {"npz": "ns", "txt": "s", "h5": "s" if t.dtype.kind == "f" else "us"}[suffix]
    assert (f"taken as {unit}" in recording.note) == (unit != documented)


@pytest.mark.parametrize(
    ("suffix", "unit", "rate"),
    [
        ("h5", "ns", 1e6),
        ("h5", "us", 5e3),
        ("npz", "us", 2e4),
        ("npz", "ns", 3e6),
        ("txt", "us", 1e6),
    ],
)
def test_the_unit_is_recognised_at_any_pace(tmp_path, suffix, unit, rate):
    """By pace alone 1 Mev/s in ns might be 1 kev/s in us; nothing lasts that long, though."""
    e = some_events(100_000, span_us=int(1e11 / rate))
    t = np.rint(e.t * UNITS[unit]).astype(np.int64)
    _, windows, _ = run(write_table(tmp_path / f"some.{suffix}", e, t, VGA))
    assert len(windows) == pytest.approx(1e5 / rate / 0.033, abs=1.5)


@pytest.mark.parametrize(
    ("suffix", "unit", "other", "n", "seconds", "size"),
    [
        ("npz", "us", "ns", 60_000, 60, (346, 260)),  # or 1 Mev/s for 60 ms
        ("h5", "ns", "us", 250_000, 1, (160, 120)),  # as 4 Mev/s of VGA, or 4 kev/s for 1000 s
        ("h5", "ns", "us", 250_000, 0.5, (160, 120)),  # as 8 Mev/s of VGA
        ("h5", "us", "ns", 184_000, 600, (64, 48)),  # as 30 kev/s of VGA, or 30 Mev/s for 0.6 s
    ],
)
def test_a_unit_in_doubt_is_told_with_how_to_say_another(
    tmp_path, suffix, unit, other, n, seconds, size
):
    """Whole numbers, of which nothing but pace and length tells what they count."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, int(seconds * 1e9 / (1000 if unit == "us" else 1)), n))
    e = some_events(n, size)
    path = write_table(tmp_path / f"some.{suffix}", e, t)
    with open_recording(path, size=size) as recording:
        packets = list(recording)
    found = int(packets[-1].events.t[-1]) - int(packets[0].events.t[0])
    assert found == pytest.approx(seconds * 1e9, rel=0.01)
    told = f"taken as {unit} and may be {other} (a column named t_{other} says so)"
    assert told in recording.note


def test_the_unit_of_dsecs_layout_is_beyond_doubt(tmp_path):
    """A quiet hour in us, which might be 3.6 s in ns."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 3_600_000_000, 144_000))
    path = write_table(tmp_path / "some.h5", some_events(144_000, (64, 48)), t)
    with h5py.File(path, "a") as file:
        file["ms_to_idx"] = np.zeros(9, int)
    with open_recording(path, size=(64, 48)) as recording:
        packets = list(recording)
    span = int(packets[-1].events.t[-1]) - int(packets[0].events.t[0])
    assert span * 1e-9 == pytest.approx(3600, rel=0.01) and not recording.note


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_times_that_hardly_differ_are_refused(tmp_path, suffix):
    """As float32 makes of seconds since 1970."""
    e = some_events()
    path = write_table(tmp_path / f"some.{suffix}", e, (1.6e9 + e.t * 1e-9).astype(np.float32))
    with pytest.raises(InputError, match=r"hardly differ: .*float32 cannot hold seconds since"):
        open_recording(path)


def test_the_unit_of_a_few_events(tmp_path):
    e = some_events(100, span_us=3000)
    recording, windows, _ = run(write_table(tmp_path / "some.txt", e, e.t // 1000, VGA))
    assert len(windows) == 1 and "taken as us" in recording.note


@pytest.mark.parametrize("name", ["timestamp (us)", "t_us"])
@pytest.mark.parametrize("suffix", ["csv", "npz", "h5"])
def test_a_unit_that_is_named_is_believed_at_any_pace(tmp_path, suffix, name):
    e = some_events(300, span_us=10_000_000)  # which by their pace might be ns
    table = dict(zip([name, *"xyp"], (e.t // 1000, e.x, e.y, e.p), strict=True))
    path = tmp_path / f"some.{suffix}"
    if suffix == "npz":
        np.savez(path, **table, size=VGA)
    elif suffix == "h5":
        with h5py.File(path, "w") as file:
            for key, column in table.items():
                file[f"events/{key}"] = column
    else:
        rows = np.column_stack(list(table.values()))
        np.savetxt(path, rows, "%d", ",", header=",".join(table))  # a comment
    _, windows, _ = run(path, size=VGA)
    assert windows[-1].end - windows[0].start == pytest.approx(10e9, rel=0.05)


@pytest.mark.parametrize("key, said", [("unit", "us"), ("units", b"microseconds")])
def test_a_unit_in_an_attribute_of_hdf5(tmp_path, key, said):
    e = some_events(300, span_us=10_000_000)
    path = write_table(tmp_path / "some.h5", e)
    with h5py.File(path, "a") as file:
        file["events/t"].attrs[key] = said
    _, windows, _ = run(path, size=VGA)
    assert windows[-1].end - windows[0].start == pytest.approx(10e9, rel=0.05)


@pytest.mark.parametrize("key", ["time_unit", "t_unit", "units"])
@pytest.mark.parametrize(
    "where", ["root", "table", "named table", "data set", "npz", "npz's table"]
)
def test_a_unit_beside_the_events(tmp_path, where, key):
    """Of a recording so quiet that its times would be taken as ns."""
    e = some_events(span_us=600_000_000, size=(128, 128))
    t = e.t // 1000
    rows = np.column_stack([t, e.x, e.y, e.p])
    path = tmp_path / "some.h5"
    if where == "npz":
        path = tmp_path / "some.npz"
        np.savez(path, x=e.x, y=e.y, t=t, p=e.p, **{key: "us"})
    elif where == "npz's table":
        path = tmp_path / "some.npz"
        np.savez(path, events=rows, **{key: "microseconds"})
    else:
        with h5py.File(path, "w") as file:
            named = np.rec.fromarrays([t, e.x, e.y, e.p], names="t,x,y,p")
            file["events"] = named if where == "named table" else rows
            if where == "data set":
                file[key] = "us"
            else:
                (file if where == "root" else file["events"]).attrs[key] = "us"
    _, windows, _ = run(path)
    assert windows[-1].end - windows[0].start == pytest.approx(600e9, rel=0.01)


@pytest.mark.parametrize(
    "line, us",
    [
        ("time unit: us", True),
        ("timestamps are in microseconds", True),
        ("Time (µs) since the start", True),
        ("time in s: 60", False),
        ("exposure time: ms", False),
    ],
)
def test_a_unit_in_a_comment(tmp_path, line, us):
    e = some_events(span_us=600_000_000, size=(128, 128))
    rows = np.column_stack([e.t // 1000, e.x, e.y, e.p])
    notes = []
    for head in (line, "recorded in the yard"):
        np.savetxt(tmp_path / "some.txt", rows, "%d", header=head, encoding="utf-8")
        notes.append(run(tmp_path / "some.txt")[0].note)
    assert ("may be" not in notes[0] and "taken as us" in notes[0]) if us else notes[0] == notes[1]


@pytest.mark.parametrize("offset", [7 * 10**9, [7 * 10**9], 7e9, np.nan])
def test_an_offset_counts_as_the_times_do(tmp_path, offset):
    """As DSEC's, in the unit of the times."""
    e = some_events()
    path = write_table(tmp_path / "some.h5", e, e.t)  # ns
    with h5py.File(path, "a") as file:
        file["t_offset"] = offset
    right = e.t + (7 * 10**9 if np.isfinite(offset).all() else 0)
    _, windows, _ = run(path, size=VGA)
    assert np.array_equal(np.concatenate([window.events.t for window in windows]), right)


def test_times_of_no_unit_are_refused_in_a_sentence(tmp_path):
    e = some_events()
    path = write_table(tmp_path / "some.txt", e, e.t * 1e12)
    with pytest.raises(InputError, match=r"make no sense in s, ms, us or ns: expected s\."):
        open_recording(path)
