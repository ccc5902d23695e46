"""Which recording a path means, where it is not the recording itself."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from faulty_files import camera_bag
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.kinds import recordings_in


def test_a_bag_by_its_metadata_or_by_the_folder_around_it(tmp_path):
    bag = tmp_path / "day" / "rosbag2_2024"
    bag.parent.mkdir()
    camera_bag(bag)
    right = run(bag)[2].events
    assert right and run(bag / "metadata.yaml")[2].events == right
    (bag.parent / "notes.txt").write_text("a walk\n")
    assert run(bag.parent)[2].events == right


@pytest.mark.parametrize("name", ["some.npz", "some.h5", "events.txt"])
def test_the_only_recording_in_a_folder(tmp_path, name):
    """Beside text that is none, as data sets have it."""
    write_table(tmp_path / name, some_events(), size=VGA)
    (tmp_path / "imu.txt").write_text("0 0 0 0 0 0 0\n")
    (tmp_path / "calib.txt").write_text("199 198 132 110 -0.3 0.1 0 0 0\n")
    assert run(tmp_path)[2].events == 20_000


@pytest.mark.parametrize("deep", [False, True])
def test_arrays_that_hold_no_events_beside_a_recording_are_none(tmp_path, deep):
    write_table(tmp_path / "dots.npz", some_events(), size=VGA)
    np.save(tmp_path / "timestamps.npy", np.arange(50))
    np.savez(tmp_path / "masks.npz", mask_t=np.arange(3), masks=np.zeros((3, 9, 9), np.uint8))
    with h5py.File(tmp_path / "depth.h5", "w") as file:
        file["depth"] = np.ones((3, 9, 9))
    (tmp_path / "damaged.npz").write_text("no archive")  # to be told by whoever reads it
    names = [path.name for path in recordings_in(tmp_path, deep)]
    assert names == ["damaged.npz", "dots.npz"]
    (tmp_path / "damaged.npz").unlink()
    assert run(tmp_path)[2].events == 20_000


def test_a_folder_is_searched_to_any_depth_beside_events_by_their_place(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("events.txt", "b.npz", "sub/c.npz"):
        write_table(tmp_path / name, some_events(10), size=VGA)
    found = [str(path.relative_to(tmp_path)) for path in recordings_in(tmp_path, deep=True)]
    assert found == ["b.npz", "events.txt", "sub/c.npz"]
    assert recordings_in(tmp_path) == [tmp_path]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_listing_a_folder_does_not_read_its_arrays(tmp_path, save, monkeypatch):
    e = some_events()
    save(tmp_path / "one.npz", x=e.x, y=e.y, t=e.t, p=e.p)
    save(tmp_path / "table.npz", np.column_stack([e.t, e.x, e.y, e.p]))
    np.save(tmp_path / "table.npy", np.column_stack([e.t, e.x, e.y, e.p]))
    np.save(tmp_path / "boxes.npy", np.zeros(50, [(name, "f4") for name in "txywh"]))
    monkeypatch.setattr(np, "load", None)
    monkeypatch.setattr("evlayerseg_ros.recordings.readers.open_recording", None)
    names = [path.name for path in recordings_in(tmp_path)]
    assert names == ["one.npz", "table.npy", "table.npz"]


@pytest.mark.parametrize("memory", [0, 7])
def test_few_events_in_a_folder_are_read_and_matrices_are_none(tmp_path, monkeypatch, memory):
    rows = np.array([(1000, 3, 4, 1), (2000, 5, 6, 0), (3000, 7, 8, 1), (4000, 9, 9, 0)])
    pose = np.array([(0.8, -0.6, 0, 2), (0.6, 0.8, 0, -1), (0, 0, 1, 3), (0, 0, 0, 1)])
    right = {"rows": rows, "columns": np.asfortranarray(rows), "one": rows[:1], "on": rows[:1].T}
    wrong = {"eye": np.eye(4), "pose": pose, "camera": np.array([[300.5, 301.5, 160.2, 120.3]])}
    for name, array in (right | wrong).items():
        np.save(tmp_path / f"{name}.npy", array)
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, memory, dtype))
    assert {path.stem for path in recordings_in(tmp_path)} == set(right)


def test_objects_of_python_in_a_folder_are_recordings_where_they_hold_events(tmp_path):
    e = some_events(100)
    events = {"x": e.x, "y": e.y, "t": e.t, "p": e.p}
    ragged = {"camera": "left", "frames": [[1], [1, 2]]}
    for name, found in {"deep": {"left": events}, "ragged": ragged, "path": tmp_path}.items():
        np.savez(tmp_path / f"{name}.npz", info=np.array(found, object))
        np.save(tmp_path / f"{name}.npy", np.array(found, object))
    assert [path.name for path in recordings_in(tmp_path)] == ["deep.npy", "deep.npz"]
    np.savez(tmp_path / "both.npz", info=np.array(ragged), **events)
    assert run(tmp_path / "both.npz")[2].events == 100
    np.savez(tmp_path / "both.npz", info=np.array(ragged), left=np.array(events))
    assert run(tmp_path / "both.npz")[2].events == 100


@pytest.mark.parametrize("names", [["events.txt"], ["events.h5"], ["events.h5", "events.txt"]])
def test_what_lies_beside_events_is_no_recording_at_any_depth(tmp_path, names):
    """As the data sets of DAVIS cameras have it, and with a copy as HDF5."""
    drive = tmp_path / "drive"
    drive.mkdir()
    for name in names:
        write_table(drive / name, some_events(10))
    for name in ("imu", "groundtruth", "images", "calib"):
        (drive / f"{name}.txt").write_text("0 0 0 0 0 0 0\n")
    write_table(tmp_path / "another.txt", some_events(10))
    found = [path.relative_to(tmp_path) for path in recordings_in(tmp_path, deep=True)]
    assert list(map(str, found)) == ["another.txt", f"drive/{names[0]}"]


def test_a_folder_of_folders_with_recordings_names_one(tmp_path):
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        for name in ("a.npz", "b.npz"):
            write_table(tmp_path / day / name, some_events(10))
    with pytest.raises(InputError, match=r"holds no recordings itself, but .*day1 does: name that"):
        recordings_in(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no recordings: expected a bag"):
        recordings_in(tmp_path / "empty")


def test_a_folder_of_what_may_be_anything_says_what_to_name(tmp_path):
    write_table(tmp_path / "rec.csv", some_events(10))
    with pytest.raises(InputError, match=r"name a .*\.csv, .* itself, as it may be"):
        run(tmp_path)


def test_several_recordings_in_a_folder_are_listed(tmp_path):
    for k in range(10):
        write_table(tmp_path / f"{k}.npz", some_events(10), size=VGA)
    with pytest.raises(
        InputError, match=r"several recordings, choose one: 0\.npz, .*7\.npz and \d+ more"
    ):
        run(tmp_path)


@pytest.mark.parametrize("suffix", ["raw", "dat", "aedat", "aedat4", "mcap", "db3", "h5", "txt"])
def test_a_file_of_zeros_is_told(tmp_path, suffix):
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(bytes(100_000))
    with pytest.raises(InputError, match="zeros from its first byte on"):
        run(path)
