"""What users' tables are like (npz, text, HDF5): stray events, odd values, breaks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.recordings.readers import CHUNK, open_recording


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_one_bad_event_is_left_out_and_counted(tmp_path, suffix):
    e = some_events()
    bad = Events(e.x.astype(int), e.y.copy().astype(int), e.t.copy(), e.p, *VGA)
    bad.y[777] = 33_014
    bad.t[5000] -= 3000  # a little back: sorted
    bad.t[9000] -= 300_000_000  # a stray
    recording, windows, stats = run(write_table(tmp_path / f"some.{suffix}", bad, size=VGA))
    assert (recording.width, recording.height) == VGA
    assert (stats.events, stats.out_of_range, stats.stray_events) == (19_998, 1, 1)
    assert len(windows) == 16 and stats.time_jumps == 0


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt"])
def test_one_odd_polarity_does_not_hide_the_order_of_a_table(tmp_path, order):
    e = some_events()
    columns = {"t": e.t // 1000, "x": e.x, "y": e.y, "p": e.p.copy()}
    columns["p"][3] = 7
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events"] = np.column_stack([columns[name] for name in order])
    assert run(tmp_path / "some.h5", size=VGA)[2].events == 20_000


def test_numbers_that_are_none_are_left_out(tmp_path):
    e, t = some_events(), None
    t = e.t * 1e-9
    t[100] = np.nan
    _, _, stats = run(write_table(tmp_path / "some.npz", e, t, VGA))
    assert (stats.events, stats.stray_events) == (19_999, 1)


def test_a_stray_at_the_seam_of_two_chunks(tmp_path):
    e = some_events(CHUNK + 1000)
    t = e.t.copy()
    t[CHUNK] -= 200_000_000
    _, windows, stats = run(write_table(tmp_path / "some.npz", e, t, VGA))
    assert (stats.events, stats.stray_events, stats.time_jumps) == (CHUNK + 999, 1, 0)
    assert len(windows) == 16


def test_two_recordings_one_after_the_other_in_one_file(tmp_path):
    e = some_events()
    both = [np.concatenate([getattr(e, k)] * 2) for k in "xytp"]
    path = tmp_path / "some.npz"
    np.savez(path, **dict(zip("xytp", both, strict=True)), size=VGA)
    stream = PacketStream(WindowConfig())
    with open_recording(path) as recording:
        for packet in recording:
            stream.push(packet)
    assert (stream.stats.events, stream.stats.time_jumps) == (40_000, 1)
    assert stream.stats.stray_events == stream.stats.doubled_packets == 0


@pytest.mark.parametrize(
    "head", ["", "x,y,polarity,timestamp\n", "x [px],y [px],polarity,timestamp (us)\n", "\ufeff"]
)
def test_text_of_other_orders(tmp_path, head):
    e = some_events()
    rows = zip(e.x, e.y, e.p, e.t // 1000, strict=True)
    path = tmp_path / "some.csv"
    path.write_text(head + "".join(f"{x},{y},{p},{t}\n" for x, y, p, t in rows), "utf-8")
    recording, windows, stats = run(path)
    assert stats.events == 20_000 and len(windows) == 16 and "taken as us" in recording.note


def test_a_line_of_text_that_is_none(tmp_path):
    e = some_events()
    path = write_table(tmp_path / "some.txt", e, size=VGA)
    lines = path.read_text().splitlines(keepends=True)
    lines[4000] = "0.1 12\n"
    path.write_text("".join(lines))
    _, windows, stats = run(path)
    assert (stats.events, stats.out_of_range, len(windows)) == (19_999, 1, 16)


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_a_stray_before_or_after_all_others(tmp_path, suffix, which):
    e = some_events()
    t = e.t.copy()
    t[1:] += 1_600_000_000 * 10**9 * (which == 0)
    t[which] += 10**15 * (which == -1)
    e = Events(e.x, e.y, t, e.p, *VGA)
    _, windows, stats = run(write_table(tmp_path / f"some.{suffix}", e, size=VGA))
    assert (stats.events, stats.stray_events, stats.time_jumps) == (19_999, 1, 0)
    assert len(windows) == 16


@pytest.mark.parametrize("suffix", ["npz", "h5", "csv"])
def test_a_table_without_polarities(tmp_path, suffix):
    e = some_events()
    table, path = {"x": e.x, "y": e.y, "ts": e.t // 1000}, tmp_path / f"some.{suffix}"
    if suffix == "npz":
        np.savez(path, **table)
    elif suffix == "h5":
        with h5py.File(path, "w") as file:
            for name, column in table.items():
                file[f"events/{name}"] = column
    else:
        np.savetxt(path, np.column_stack(list(table.values())), "%d", ",", header="x,y,ts")
    _, windows, stats = run(path)
    assert stats.events == 20_000 and len(windows) == 16
    assert all(window.events.p.all() for window in windows)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_npz_is_read_up_to_there(tmp_path, compressed):
    e = some_events()
    path = tmp_path / "some.npz"
    save = np.savez_compressed if compressed else np.savez
    save(path, x=e.x, y=e.y, t=e.t, p=e.p, size=VGA)
    content = bytearray(path.read_bytes())
    at = len(content) * 3 // 5  # among the times
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)
    _, _, stats = run(path)
    assert 500 < stats.events < 20_000 and stats.bad_packets == 1
    assert "some.npz is damaged" in stats.last_error


def test_an_npz_of_size_0_says_none(tmp_path):
    recording, windows, _ = run(write_table(tmp_path / "some.npz", some_events(), size=(0, 0)))
    assert len(windows) == 16 and "640x480 pixels is assumed" in recording.note


@pytest.mark.parametrize("offset", [6, 8, 10], ids=["version", "encrypted", "compression"])
def test_an_npz_whose_list_of_arrays_is_damaged(tmp_path, dots, offset) -> None:
    data = bytearray(dots.read_bytes())
    data[data.index(b"PK\x01\x02") + offset] = 0x81  # in the first entry of the central directory
    dots.write_bytes(data)
    with pytest.raises(InputError, match=r"dots\.npz"), open_recording(dots) as recording:
        list(recording)


def test_boxes_of_objects_are_no_events(tmp_path):
    """They lie beside Prophesee's recordings."""
    names = [(name, "f4") for name in ("ts", "x", "y", "w", "h", "class_id")]
    np.save(tmp_path / "some_bbox.npy", np.zeros(50, names))
    with pytest.raises(InputError, match="It holds boxes of objects"):
        run(tmp_path / "some_bbox.npy")
    write_table(tmp_path / "some_td.npz", some_events())
    assert run(tmp_path)[2].events == 20_000


def test_what_lies_beside_events_in_hdf5_is_no_other_camera(tmp_path):
    path = write_table(tmp_path / "some.h5", some_events())
    _, alone, _ = run(path)
    with h5py.File(path, "a") as file:
        for group, names in {"features": "uvt", "boxes": ("rows", "cols", "times")}.items():
            for name in names:
                file[f"{group}/{name}"] = np.arange(300)
    _, beside, _ = run(path)
    assert len(beside) == len(alone)


def test_few_labels_beside_events_without_polarities_are_no_events(tmp_path):
    e, path = some_events(), tmp_path / "some.h5"
    rows = np.column_stack([e.t // 1000, e.x, e.y, e.p])[:100]
    with h5py.File(path, "w") as file:
        file["labels"] = rows
        file.update({"events/x": e.x, "events/y": e.y, "events/t": e.t // 1000})
    assert run(path)[2].events == len(e)


@pytest.mark.parametrize("group, names, n", [("labels", "xytp", 100), ("flow", "xyt", 40_000)])
def test_few_labels_with_polarities_and_much_flow_without_are_no_cameras(tmp_path, group, names, n):
    path = write_table(tmp_path / "some.h5", some_events())
    right = run(path)[1]
    with h5py.File(path, "a") as file:
        file.update({f"{group}/{name}": np.arange(n) % 300 for name in names})
    assert [len(w.events) for w in run(path)[1]] == [len(w.events) for w in right]


@pytest.mark.parametrize("corners", [500, 5000])
def test_few_corners_with_polarities_beside_events_without_are_not_taken_for_them(
    tmp_path, corners
):
    e, path = some_events(200_000), tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        for k in "xytp":
            column = getattr(e, k) if k != "t" else e.t // 1000
            file[f"corners/{k}"] = column[:: len(e) // corners]
            if k != "p":
                file[f"events/{k}"] = column
    if corners == 500:
        assert run(path)[2].events == 200_000
    else:  # too many to be sure
        with pytest.raises(InputError, match="several cameras, choose: corners, events"):
            run(path)


@pytest.mark.parametrize("topic", ["cam0", "cam1"])
def test_a_camera_of_several_is_chosen_with_polarities_or_without(tmp_path, topic):
    e, path = some_events(), tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        for camera, names in (("cam0", "xytp"), ("cam1", "xyt")):
            for name in names:
                file[f"{camera}/{name}"] = getattr(e, name) if name != "t" else e.t // 1000
    assert run(path, topic=topic)[2].events == len(e)


@pytest.mark.parametrize("suffix", ["h5", "mat"])
def test_poses_with_seconds_and_nanoseconds_beside_events_are_passed_over(tmp_path, suffix):
    e, path = some_events(), tmp_path / f"some.{suffix}"
    parts = {"events": {"x": e.x, "y": e.y, "t": e.t // 1000, "p": e.p}}
    parts["a_pose"] = {name: np.arange(50) for name in ("x", "y", "sec", "nsec")}
    if suffix == "mat":
        savemat(path, parts)
    else:
        with h5py.File(path, "w") as file:
            for group, columns in parts.items():
                file.update({f"{group}/{name}": column for name, column in columns.items()})
    assert run(path)[2].events == len(e)


def test_seconds_and_nanoseconds_beside_times_change_nothing(tmp_path):
    path = write_table(tmp_path / "some.npz", some_events())
    columns = dict(np.load(path))
    np.savez(tmp_path / "more.npz", **columns, start_sec=5, start_nsec=7)
    assert len(run(tmp_path / "more.npz")[1]) == len(run(path)[1])


def test_one_byte_again_and_again_is_no_file_of_events(tmp_path):
    path = tmp_path / "some.bin"
    path.write_bytes(b"\x05" * 5000)
    with pytest.raises(InputError, match="is no file of events of 40 bits"):
        run(path)


def test_an_hdf5_whose_columns_are_told_by_their_values(tmp_path):
    """Polarities by another name, and the times of frames by a usual one."""
    e = some_events()
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["x"], file["y"], file["timestamps"], file["isOn"] = e.x, e.y, e.t // 1000, e.p
        file["t"] = np.arange(30) * 33_333
    recording, windows, stats = run(tmp_path / "some.h5")
    assert stats.events == 20_000 and "its isOn is taken as polarities" in recording.note
    got = np.concatenate([window.events.p for window in windows])
    assert np.array_equal(got, e.p[: len(got)])


def test_a_table_of_hdf5_without_polarities_is_told(tmp_path):
    e = some_events()
    table = np.rec.fromarrays([e.x, e.y, e.t // 1000], names="x,y,t")
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events"] = table
    assert "it names no polarities: all events are taken as ON" in run(tmp_path / "some.h5")[0].note
