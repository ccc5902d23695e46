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


def test_a_folder_of_what_may_be_anything_says_what_to_name(tmp_path):
    write_table(tmp_path / "rec.csv", some_events(10))
    with pytest.raises(InputError, match=r"name a .*\.csv, .* itself, as it may be"):
        run(tmp_path)


def test_several_recordings_in_a_folder_are_listed(tmp_path):
    for k in range(10):
        write_table(tmp_path / f"{k}.npz", some_events(10), size=VGA)
    with pytest.raises(InputError, match=r"several recordings, choose one: 0\.npz, .*7\.npz, \.\."):
        run(tmp_path)


@pytest.mark.parametrize("suffix", ["raw", "dat", "aedat", "aedat4", "mcap", "db3", "h5", "txt"])
def test_a_file_of_zeros_is_told(tmp_path, suffix):
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(bytes(100_000))
    with pytest.raises(InputError, match="zeros from its first byte on"):
        run(path)
