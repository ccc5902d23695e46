"""Sizes that users' tables (npz, text, HDF5) state in many ways, or do not state."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings import arrays, npz


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("size", [(240, 180), VGA, (1280, 720)])
def test_a_size_that_no_file_says_is_assumed_and_told(tmp_path, suffix, size):
    e = some_events(size=size)
    if size == VGA:
        e.x[5] = 640  # one stray does not make a larger sensor
    recording, _, stats = run(write_table(tmp_path / f"some.{suffix}", e))
    assert (recording.width, recording.height) == size
    assert f"a sensor of {size[0]}x{size[1]} pixels is assumed" in recording.note
    assert stats.out_of_range == (size == VGA)
    recording, _, stats = run(recording.path, size=(800, 768))
    assert (recording.width, recording.height) == (800, 768)
    assert "sensor" not in recording.note


def test_text_of_e2vid_says_its_size_in_the_first_line(tmp_path):
    recording, windows, _ = run(
        write_table(tmp_path / "some.txt", some_events(size=(200, 100)), size=VGA)
    )
    assert (recording.width, recording.height) == VGA and not recording.note
    assert len(windows) == 16


def test_a_size_in_a_comment(tmp_path):
    e = some_events(size=(200, 100))
    rows = np.column_stack([e.t * 1e-9, e.x, e.y, e.p])
    np.savetxt(tmp_path / "some.txt", rows, "%.9f %d %d %d", header="640 480")
    recording, _, stats = run(tmp_path / "some.txt")
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)


@pytest.mark.parametrize(
    "head",
    [
        "timestamp x y polarity (0 or 1)",
        "columns: t x y p",
        "t [s] x y p",
        "t x y p sorted by t",
        "20240101 120000",
        "1 2",
        "some notes\n\n# t x y p",
    ],
)
def test_comments_that_are_no_header(tmp_path, head):
    e = some_events(2000)
    path = write_table(tmp_path / "some.txt", e)
    path.write_text(f"# {head}\n{path.read_text()}")
    recording, _, stats = run(path)
    assert stats.events == 2000 and "640x480 pixels is assumed" in recording.note


def test_the_size_of_a_comment_has_to_hold_the_events(tmp_path):
    path = write_table(tmp_path / "some.txt", some_events(2000))
    path.write_text(f"# 240 180\n# 800 600\n% 20240101 120000\n{path.read_text()}")
    recording, _, _ = run(path)
    assert (recording.width, recording.height) == (800, 600) and not recording.note


@pytest.mark.parametrize("said", [{"width": 640, "height": 480}, {"resolution": VGA}])
def test_an_npz_that_states_its_size_by_another_name(tmp_path, said):
    e = some_events(size=(200, 100))
    np.savez(tmp_path / "some.npz", x=e.x, y=e.y, t=e.t, p=e.p, **said)
    recording, _, stats = run(tmp_path / "some.npz")
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert not recording.note


@pytest.mark.parametrize("attribute", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {"events/width": 640, "events/height": 480},  # RVT
        {"events/calib/resolution": VGA},  # M3ED
        {"width": "640", "height": b"480"},
        {"geometry": VGA},
        {"geometry": "640x480"},
        {"sensor_size": VGA},
        {"image_raw": np.zeros((2, 480, 640), np.uint8)},  # MVSEC
    ],
    ids=lambda said: "+".join(said),
)
def test_hdf5_that_states_its_size(tmp_path, said, attribute):
    path = write_table(tmp_path / "some.h5", some_events(size=(200, 100)))
    with h5py.File(path, "a") as file:
        for name, value in said.items():
            where, _, last = name.rpartition("/")
            if attribute and "calib" not in name and "image" not in name:
                file[where or "/"].attrs[last] = value
            else:
                file[name] = value
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert not recording.note


@pytest.mark.parametrize(
    "said", [{"sensor_resolution": (0, 0)}, {"geometry": "some"}, {"resolution": np.nan}]
)
def test_hdf5_whose_size_says_nothing(tmp_path, said):
    path = write_table(tmp_path / "some.h5", some_events())
    with h5py.File(path, "a") as file:
        file.attrs.update(said)
    assert "640x480 pixels is assumed" in run(path)[0].note


@pytest.mark.parametrize(
    "head",
    [
        "%geometry:640,480",
        "# 640x480",
        "# width: 640\n# height: 480",
        "# sensor size = 640 x 480",
        "640x480",
    ],
)
def test_text_that_states_its_size(tmp_path, head):
    path = write_table(tmp_path / "some.txt", some_events(size=(200, 100)))
    path.write_text(f"{head}\n{path.read_text()}")
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert not recording.note


@pytest.mark.parametrize("size", [VGA, VGA[::-1]])
@pytest.mark.parametrize("said", [VGA, VGA[::-1]])
def test_hdf5_that_says_height_or_width_first(tmp_path, size, said):
    path = write_table(tmp_path / "some.h5", some_events(size=size))
    with h5py.File(path, "a") as file:
        file.attrs["sensor_resolution"] = said
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*size, 20_000)


@pytest.mark.parametrize("size", [(480, 640), VGA])
def test_an_npz_whose_size_says_the_height_first(tmp_path, size):
    recording, _, stats = run(write_table(tmp_path / "some.npz", some_events(), size=size))
    assert (recording.width, recording.height) == VGA and stats.events == 20_000


@pytest.mark.parametrize(
    "said", [{"resolution": (18.5, 18.5)}, {"width": 100, "height": 100}, {"geometry": {"a": 1}}]
)
def test_a_statement_that_the_events_do_not_fit_is_none(tmp_path, said):
    e, path = some_events(size=(346, 260)), tmp_path / "some.npz"
    np.savez(path, x=e.x, y=e.y, t=e.t, p=e.p, **said)
    recording, _, stats = run(path)
    assert (recording.width, recording.height) == (346, 260)
    assert stats.out_of_range == 0 and "346x260 pixels is assumed" in recording.note


def test_the_line_of_a_header_that_the_events_fit(tmp_path):
    e = some_events(size=(346, 260))
    path = write_table(tmp_path / "some.txt", e, e.t * 1e-9, (346, 260))
    path.write_text("# File size: 200 300\n# Resolution: 346x260\n" + path.read_text())
    recording, *_ = run(path)
    assert (recording.width, recording.height) == (346, 260) and "assumed" not in recording.note


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_columns_and_rows_that_count_from_1(tmp_path, suffix):
    """As Matlab's do."""
    e = some_events()
    path = write_table(tmp_path / f"some.{suffix}", Events(e.x + 1, e.y + 1, e.t, e.p, *VGA))
    recording, windows, stats = run(path)
    assert (recording.width, recording.height) == VGA and "count from 1" in recording.note
    assert stats.events == 20_000 and stats.out_of_range == 0
    assert np.array_equal(np.concatenate([window.events.x for window in windows]), e.x)


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("how", ["file", "size"])
def test_columns_and_rows_that_count_from_1_on_a_sensor_whose_size_is_said(tmp_path, suffix, how):
    """Also where strays lie outside, and no known sensor has that size."""
    size = (200, 100)
    e = some_events(size=size)
    x, y = e.x.astype(int) + 1, e.y.astype(int) + 1
    x[77] = 9999
    path = write_table(tmp_path / f"some.{suffix}", Events(x, y, e.t, e.p, *size), size=size)
    if suffix == "h5":
        with h5py.File(path, "a") as file:
            file.attrs["geometry"] = size
    recording, windows, stats = run(path, size=size if how == "size" else None)
    assert (recording.width, recording.height) == size and "count from 1" in recording.note
    assert stats.events == 19_999 and stats.out_of_range == 1
    y = np.concatenate([window.events.y for window in windows])
    assert np.array_equal(y, np.delete(e.y, 77))


def test_a_size_that_is_asked_for_and_cuts_moves_nothing(tmp_path):
    e = some_events(size=VGA)
    e.x[e.x == 0] = 1
    e.y[e.y == 0] = 1
    recording, windows, _ = run(write_table(tmp_path / "some.npz", e), size=(320, 240))
    assert "count from 1" not in recording.note
    inside = np.flatnonzero((e.x < 320) & (e.y < 240))
    np.testing.assert_array_equal(windows[0].events.x[:20], e.x[inside][:20])


@pytest.mark.parametrize("suffix", ["npz", "table.npz", "h5", "txt"])
@pytest.mark.parametrize("key, word, size", [
    ("sensor", "DAVIS346", (346, 260)), ("camera", "DAVIS346", (346, 260)),
    ("sensor_name", "IMX636", (1280, 720)), ("camera", "DVS128", (240, 180)),
])  # fmt: skip
def test_the_name_of_a_sensor_beside_a_table(tmp_path, suffix, key, word, size):
    """It has to hold the events, which are of one of 240x180 pixels."""
    e, path = some_events(size=(240, 180)), tmp_path / f"some.{suffix}"
    rows = np.column_stack([e.t * 1e-9, e.x, e.y, e.p])
    if suffix == "txt":
        np.savetxt(path, rows, "%.6f %d %d %d", header=f"{key}: {word}")
    elif suffix == "table.npz":
        np.savez(path, events=rows, **{key: word})
    elif suffix == "npz":
        np.savez(path, x=e.x, y=e.y, t=e.t, p=e.p, **{key: word})
    else:
        with h5py.File(write_table(path, e), "a") as file:
            file.attrs[key] = word
    recording = run(path)[0]
    assert (recording.width, recording.height) == size


def test_a_dictionary_in_an_npz_states_the_size(tmp_path):
    e = some_events(size=(240, 180))
    meta = np.array({"width": 346, "height": 260, "at": "home"}, dtype=object)
    np.savez(tmp_path / "some.npz", x=e.x, y=e.y, t=e.t, p=e.p, meta=meta)
    recording = run(tmp_path / "some.npz")[0]
    assert (recording.width, recording.height) == (346, 260)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_the_size_is_by_events_from_all_of_a_table_of_numpy(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(npz, "_SEEN", 1 << 10)
    monkeypatch.setattr(arrays, "_SEEN", 1 << 10)
    e, path = some_events(), tmp_path / f"some.{suffix}"
    x = np.where(np.arange(len(e)) < 10_000, e.x // 10, e.x)
    if suffix == "npz":
        np.savez(path, x=x, y=e.y // 2, t=e.t, p=e.p)
    else:
        np.save(path, np.column_stack([e.t, x, e.y // 2, e.p]))
    recording = run(path)[0]
    assert (recording.width, recording.height) == VGA
