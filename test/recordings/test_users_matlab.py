"""MATLAB's files, and the events of 40 bits that N-MNIST and N-Caltech101 have."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from whole_files import VGA, run, some_events

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.readers import open_recording

E = some_events()
US = E.t // 1000
TD = {"x": E.x + 1.0, "y": E.y + 1.0, "ts": US.astype("f8"), "p": E.p * 2.0 - 1}
FILES = {
    "structure": {"TD": TD},
    "deeper": {"aedat": {"info": {"source": "Davis"}, "data": {"polarity": TD}}},
    "columns": {"x": E.x, "y": E.y, "ts": US, "pol": E.p, "label": "cat"},
    "rows": {"events": np.column_stack([US, E.x, E.y, E.p]), "K": np.eye(4)},
    "counted": {"x": E.x, "y": E.y, "t": US, "p": E.p + 1, "width": 640, "height": 480},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_matlab(tmp_path, name, version):
    path = tmp_path / "some.mat"
    if version == "5":
        savemat(path, FILES[name], do_compression=name == "rows")
    else:
        write_as_matlab(path, FILES[name])
    recording, windows, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert len(windows) == 16 and stats.out_of_range == 0
    for name, column in (("x", E.x), ("y", E.y), ("t", E.t), ("p", E.p)):
        found = np.concatenate([getattr(window.events, name) for window in windows])
        assert np.array_equal(found, column)


def write_as_matlab(path, content):
    """HDF5 behind 512 bytes that name it, with arrays column by column."""

    def write(group, structure):
        for name, value in structure.items():
            if isinstance(value, dict):
                write(group.create_group(name), value)
            elif isinstance(value, str):
                group[name] = np.frombuffer(value.encode("utf-16-le"), "<u2")[None]
            else:
                group[name] = (
                    np.atleast_2d(value).T if np.ndim(value) == 2 else np.atleast_2d(value)
                )

    with h5py.File(path, "w", userblock_size=512) as file:
        write(file, content)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))


@pytest.mark.parametrize(
    "content, told",
    [
        ({"a": np.eye(3)}, "lacks t, x, y"),
        ({"left": TD, "right": TD}, "several tables of events, choose: left, right"),
    ],
)
def test_matlab_s_files_that_cannot_be_read(tmp_path, content, told):
    savemat(tmp_path / "some.mat", content)
    with pytest.raises(InputError, match=told):
        open_recording(tmp_path / "some.mat")


def test_a_matlab_file_that_was_cut_off(tmp_path):
    path = tmp_path / "some.mat"
    savemat(path, FILES["structure"])
    path.write_bytes(path.read_bytes()[:9999])
    with pytest.raises(InputError, match="cannot be read as a MATLAB file: it is cut off"):
        open_recording(path)


def test_events_of_40_bits(tmp_path):
    e = some_events(2000, size=(34, 34), span_us=300_000)
    us, over = e.t // 1000, np.zeros((1, 5), np.uint8)
    over[0, 1] = 240
    rows = np.column_stack([e.x, e.y, e.p << 7, us % 8192 >> 8, us % 256]).astype(np.uint8)
    wraps = us // 8192
    parts = []
    for k in range(int(wraps[-1]) + 1):
        parts += [over] * (k > 0) + [rows[wraps == k]]
    np.concatenate(parts).tofile(tmp_path / "some.bin")
    recording, windows, stats = run(tmp_path / "some.bin")
    assert "128x128 pixels is assumed" in recording.note and stats.events == 2000
    for name in "xytp":
        found = np.concatenate([getattr(window.events, name) for window in windows])
        assert np.array_equal(found, getattr(e, name))


@pytest.mark.parametrize("content", [b"some text", np.random.default_rng(1).bytes(5000), b"\1\2\3"])
def test_a_bin_that_is_something_else(tmp_path, content):
    (tmp_path / "some.bin").write_bytes(content)
    with pytest.raises(InputError, match="is no file of events of 40 bits"):
        open_recording(tmp_path / "some.bin")


@pytest.mark.parametrize("name", ["calib.mat", "model.bin"])
def test_what_lies_beside_a_recording(tmp_path, name):
    (tmp_path / name).write_bytes(b"some")
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t=E.t, p=E.p, size=VGA)
    assert run(tmp_path)[2].events == 20_000
