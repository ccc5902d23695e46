"""Recordings that are unsound: named, with what was expected."""

from __future__ import annotations

import os

import faery
import h5py
import numpy as np
import pytest
from faulty import some_events

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.readers import open_recording


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.mcap", None, "There is no recording at"),
        ("some.mcap", b"", "is empty"),
        ("some.mcap", b"no mcap at all" * 9, "cannot be read as a rosbag2 recording"),
        ("some.db3", b"no database" * 99, "cannot be read as a rosbag2 recording"),
        ("some.bag", b"no bag" * 99, "cannot be read as a ROS 1 bag"),
        ("some.raw", b"hello world", "no Prophesee RAW file: expected a header"),
        ("some.raw", b"% evt 4.0\n1234", "expected a header"),
        ("some.raw", b"% evt 3.0\n% end\n", "holds no events"),
        ("some.aedat4", b"junk" * 9, "cannot be read as an AEDAT4 file"),
        ("some.es", b"junk" * 9, "cannot be read as an Event Stream file"),
        ("some.npz", b"junk" * 9, "cannot be read as an npz recording"),
        ("some.h5", b"junk" * 9, "cannot be read as an HDF5 recording"),
        ("some.txt", b"0.1 1 2\n", "expected t x y p"),
        ("some.txt", b"one two three four\n", "is no event: expected t x y p"),
        ("some.jpg", b"picture", "of no known kind: expected a bag"),
    ],
)
def test_unsound_files_are_named_with_what_was_expected(tmp_path, name, content, told):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught, open_recording(path) as recording:
        list(recording)
    assert name in str(caught.value) and str(caught.value).endswith(".")


def test_an_aedat4_header_that_is_no_text_does_not_take_the_process_down(recordings, tmp_path):
    content = (recordings / "vendor/cars_davis346.aedat4").read_bytes()[:100_000]
    path = tmp_path / "some.aedat4"
    path.write_bytes(content.replace(b"<attr", b"<\xe1ttr", 1))  # found by make fuzz
    with pytest.raises(InputError, match="cannot be read as an AEDAT4 file: it is cut off"):
        open_recording(path)


def test_a_sensor_of_no_size_is_told_with_the_file_that_says_so(tmp_path):
    path = tmp_path / "some.es"
    table = np.zeros(1, faery.EVENTS_DTYPE)
    faery.events_stream_from_array(table, (8512, 240)).to_file(path, zero_t0=False)
    with (
        pytest.raises(InputError, match=r"some\.es cannot be read .*: A sensor of 8512x240 pixels"),
        open_recording(path) as recording,
    ):
        list(recording)


def test_tables_that_lack_or_contradict(tmp_path):
    path = tmp_path / "some.npz"
    e = some_events(5)
    np.savez(path, x=e.x, t=e.t, p=e.p)
    with pytest.raises(InputError, match="lacks y"):
        open_recording(path)
    np.savez(path, xs=e.x, polarity=e.p)
    with pytest.raises(InputError, match="lacks t, y: expected x, y, t, p and size"):
        open_recording(path)
    np.savez(path, x=e.x[:3], y=e.y, t=e.t, p=e.p, size=(346, 260))
    with pytest.raises(InputError, match="one length"):
        open_recording(path)
    np.savez(path, x=e.x, y=e.y, t=e.t, p=e.p, size=(2, 2))
    with (
        pytest.raises(InputError, match="none of its 5 events lies"),
        open_recording(path) as recording,
    ):
        list(recording)
    np.savez(path, x=e.x[:0], y=e.y[:0], t=e.t[:0], p=e.p[:0], size=(2, 2))
    with pytest.raises(InputError, match="no events"):
        open_recording(path)
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events/xs"] = e.x
    with pytest.raises(InputError, match="lacks events/xs, ys, ts, ps"):
        open_recording(tmp_path / "some.h5")


def test_a_bag_cut_in_the_middle(recordings, tmp_path):
    whole = (recordings / "event_camera_py/test_events_1.bag").read_bytes()
    path = tmp_path / "cut.bag"
    path.write_bytes(whole[: len(whole) // 2])
    with open_recording(path) as recording:
        packets = list(recording)
    assert 200 < sum(not packet.fault for packet in packets) < 400
    assert "is not whole" in packets[-1].fault and "rosbag reindex" in packets[-1].fault


@pytest.mark.parametrize("name", ["some.npz", "some.mcap", "some"])
def test_a_pipe_a_socket_or_a_link_is_told_and_never_waited_for(tmp_path, name):
    path, other = tmp_path / name, tmp_path / "gone.npz"
    os.mkfifo(path)
    with pytest.raises(InputError, match="is a pipe, a socket or a device: expected a file"):
        open_recording(path)
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(InputError, match=r"is a link to .*gone\.npz, which is not there"):
        open_recording(path)
    other.symlink_to(path)
    with pytest.raises(InputError, match="is a link to"):
        open_recording(path)
