"""What users' files are like: sensors unsaid, breaks, old formats and other layouts."""

from __future__ import annotations

import bz2
import lzma
import re
import subprocess
import sys
from pathlib import Path

import h5py
import lz4.frame
import numpy as np
import pytest
from faulty import PACKETS
from whole_files import VGA, aedat_3, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.packed import zstd
from evlayerseg_ros.recordings.readers import open_recording


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("% system_ID 21\n", VGA),
        ("% system_ID 28\n% evt 2.0\n", VGA),
        ("% evt 2.0\n% sensor_generation 3.1\n", VGA),
        ("% evt 2.0\n% sensor_name Gen3.1\n", VGA),
        ("% evt 2.0\n% plugin_name hal_plugin_gen31_fx3\n", VGA),
        ("% evt 2.0\n% system_ID 49\n", (1280, 720)),
        ("% evt 2.0\n% sensor_name IMX636\n", (1280, 720)),
        ("% evt 2.0\n% sensor_generation 4.2\n", (1280, 720)),
        ("% evt 2.0\n% sensor_generation 320.0\n", (320, 320)),
        ("% evt 2.0\n% sensor_generation 1.0\n", (304, 240)),
        ("% evt 2.0\n% subsystem_ID 537921537\n% system_ID 30\n", (1280, 720)),
        ("% evt 2.0\n% system_ID 59\n", (320, 320)),
        ("% evt 2.0\n% sensor_name IMX637\n", (640, 512)),  # as Lucid's Triton2 EVS
        ("% evt 2.0\n% system_ID 54\n", (640, 512)),  # EVK3 with an IMX647
        ("% evt 2.0\n% sensor_name GenX320\n", (320, 320)),
        ("% evt 2.0\n% system_ID 64\n", (320, 320)),
        ("% format EVT2;width=346;height=260\n", (346, 260)),
        ("% evt 2.0\n% Geometry 346x260\n", (346, 260)),
        ("% EVT 2.0\n% geometry: 346,260\n% END\n", (346, 260)),
    ],
)
def test_headers_of_raw_files_imply_their_sensor(tmp_path, header, size):
    path = tmp_path / "some.raw"
    path.write_bytes(header.encode() + b"".join(PACKETS["evt2"]))
    recording, _, stats = run(path)
    assert (recording.width, recording.height) == size and not recording.note
    assert stats.events > 2000


def test_a_raw_file_without_a_word_on_its_sensor(tmp_path):
    path = tmp_path / "some.raw"
    path.write_bytes(b"% evt 2.0\n" + b"".join(PACKETS["evt2"]))
    recording, _, _ = run(path)
    assert "a sensor of 320x240 pixels is assumed" in recording.note


def test_the_size_of_a_small_dvs(tmp_path):
    """Of 132x104 pixels (Li et al., VLSI 2019, and ColibriUAV's description of the DVS132S)."""
    path = tmp_path / "some.aedat"
    head = b"#!AER-DAT3.1\r\n#Source 1: DVS132S\r\n#!END-HEADER\r\n"
    path.write_bytes(head + aedat_3(some_events(size=(132, 104)), 1))
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (132, 104, 20_000)


@pytest.mark.parametrize(
    ("name", "encoding"), [("Gen3.1", "evt2"), ("IMX636", "evt3"), ("IMX637", "evt3")]
)
def test_a_sensors_name_implies_its_encoding(tmp_path, name, encoding):
    path = tmp_path / "some.raw"
    head = f"% sensor_name {name}\n% geometry 0x0\n% end\n"
    path.write_bytes(head.encode() + b"".join(PACKETS[encoding]))
    recording, _, stats = run(path)
    assert recording.width in (640, 1280) and stats.events > 2000


def test_one_damaged_block_of_hdf5_is_left_out(tmp_path):
    e = some_events(200_000, span_us=2_000_000)
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        for name in "xytp":
            column = getattr(e, name) // (1000 if name == "t" else 1)
            file.create_dataset(f"events/{name}", data=column, chunks=(8192,), compression="gzip")
        block = file["events/x"].id.get_chunk_info(5)
    content = bytearray(path.read_bytes())
    content[block.byte_offset + 9 : block.byte_offset + 200] = bytes(191)
    path.write_bytes(content)
    _, _, stats = run(path)
    assert stats.events == 200_000 - 8192
    assert "some.h5 is damaged: 8192 of its events cannot be read." in stats.last_error


WRITER = """
import h5py, os, sys
file = h5py.File(sys.argv[1], "w", libver="latest")
file["events/x"] = [1]
file.flush()
print("written", flush=True)
sys.stdin.read()
os._exit(9)  # as one that is killed
"""


def test_hdf5_that_is_not_closed(tmp_path):
    path = tmp_path / "some.h5"
    command = [sys.executable, "-c", WRITER, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as writer:
        assert writer.stdout.readline() == b"written\n"
        with pytest.raises(InputError, match=r"another process, which writes it: close it there"):
            open_recording(path)
    with pytest.raises(InputError, match=r"was not closed by what wrote it: .*`h5clear -s`"):
        open_recording(path)


def test_hdf5_whose_columns_differ_in_length(tmp_path):
    e = some_events()
    path = write_table(tmp_path / "some.h5", e)
    with h5py.File(path, "a") as file:
        del file["events/p"]
        file["events/p"] = e.p[:-7]
        for name in "xytp":
            file[f"right/{name}"] = np.empty(0, int)  # a camera without events
    recording, _, stats = run(path)
    assert stats.events == 19_993 and "the first 19993 events are used" in recording.note


@pytest.mark.parametrize("suffix", ["dat", "raw", "aedat"])
def test_a_file_that_ends_within_an_event_is_told(tmp_path, suffix):
    e = some_events(size=(128, 128))
    path = tmp_path / f"some.{suffix}"
    words = np.column_stack([e.t // 1000, e.x | e.y.astype(np.uint32) << 14]).astype("<u4")
    path.write_bytes({
        "dat": b"% Version 2\n\x0c\x08" + words.tobytes(),
        "raw": b"% evt 2.0\n" + b"".join(PACKETS["evt2"]),
        "aedat": b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n" + aedat_3(e, 1),
    }[suffix][:-3])  # fmt: skip
    _, _, stats = run(path)
    assert stats.events > 2000 and stats.bad_packets == 1
    assert "was cut off within" in stats.last_error


@pytest.mark.parametrize("suffix", ["dat", "raw", "aedat", "2.aedat"])
def test_a_file_that_ends_in_zeros(tmp_path, suffix):
    """As a file system leaves it that lost its power: they are no events."""
    e = some_events(size=(128, 128))
    ticks, path = e.t // 1000, tmp_path / f"some.{suffix}"
    content, n = {
        "dat": (b"% Version 2\n\x0c\x08" + _words(ticks, e.x | e.y.astype("u4") << 14), len(e)),
        "raw": (b"% evt 2.0\n" + b"".join(PACKETS["evt2"]), 2460),
        "aedat": (b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + aedat_3(e, 1), len(e)),
        "2.aedat": (b"#!AER-DAT2.0\r\n" + _words(e.x << 1 | e.y << 8, ticks, ">u4"), len(e)),
    }[suffix]
    path.write_bytes(content + bytes(4096))
    _, _, stats = run(path)
    assert (stats.events, stats.bad_packets) == (n, 1)
    assert stats.last_error.endswith("ends in zeros: its recorder lost its power.")


def _words(first, second, kind="<u4") -> bytes:
    return np.column_stack([first, second]).astype(kind).tobytes()


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_table_that_was_cut_off_is_named_with_what_to_do(tmp_path, suffix):
    path = write_table(tmp_path / f"some.{suffix}", some_events())
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"was cut off.*copy or download it again\."):
        open_recording(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("some.mcap", b"SQLite format 3\0", "is a database of rosbag2 .* rename it to end in .db3"),
        ("some.bag", b"\x89MCAP0\r\n", "is an mcap file by its first bytes"),
        ("some.raw", b"\x89HDF\r\n\x1a\n", "is an HDF5 file by its first bytes"),
        ("some.zip", b"PK\x03\x04", "is an archive: unpack it first"),
        ("some.txt.gz", b"\x1f\x8b\x08", "is compressed: unpack it with gunzip first"),
        ("some.raw.xz", lzma.compress(b"some"), "is compressed: unpack it with unxz first"),
        ("some.raw.bz2", bz2.compress(b"some"), "is compressed: unpack it with bunzip2 first"),
        ("some.raw.lz4", lz4.frame.compress(b"some"), "is compressed: unpack it with unlz4 first"),
        ("some.raw.zst", zstd.compress(b"some"), "with zstd: unpack it with unzstd first"),
        ("some.bag.zst", zstd.compress(b"some"), "with zstd: unpack it with unzstd first"),
        ("some.h5", zstd.compress(b"some"), "with zstd: unpack it with unzstd first"),
        ("some.mcap", zstd.compress(b"some"), "with zstd by its first bytes: rename it"),
        ("some.h5", b"<!DOCTYPE html>", "is a web page: download it again"),
        ("some.mcap", bytes(257) + b"ustar", "is a tar archive: unpack it with `tar -xf` first"),
        ("some.tgz", b"\x1f\x8b\x08", "is compressed: unpack it with `tar -xf` first"),
        ("some.dat", b"1 2 3 1\n" * 9, "is text by its first bytes: rename it to end in .txt"),
        ("some.npz", b"version https://git-lfs.github.com/spec/v1", "`git lfs pull` fetches"),
        ("some.aedat", b"#!AER-DAT1.0\r\n", "is AEDAT 1.0: expected AEDAT 2.0, 3.1 or 4"),
        ("some.aedat", b"\1" * 99, "has no AEDAT header"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        open_recording(tmp_path / name)


@pytest.mark.parametrize("call", ["open", "exists", "iterdir"])
def test_a_recording_that_may_not_be_read(tmp_path, monkeypatch, call):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = write_table(tmp_path / "some.txt", some_events(100))
    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied\.$"):
        open_recording(tmp_path if call == "iterdir" else path)


@pytest.mark.parametrize(
    ("group", "number", "told"),
    [
        ("CD", 36559, "does not have this filter; Metavision's tools convert Prophesee's files."),
        ("events", 40000, "is not installed: hdf5plugin does not have this filter."),
    ],
)
def test_a_filter_that_no_package_has(tmp_path, group, number, told):
    """Prophesee's own, ECF, or any other: hdf5plugin does not bring it."""
    with h5py.File(tmp_path / "some.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((8192,))
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        kind = h5py.h5t.py_create(
            np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        )
        space = h5py.h5s.create_simple((8192,))
        data = h5py.h5d.create(file.create_group(group).id, b"events", kind, space, properties)
        data.write_direct_chunk((0,), bytes(400))
    with pytest.raises(InputError, match=f"{re.escape(told)}$"):
        open_recording(tmp_path / "some.h5")


def test_evt4_is_named(tmp_path):
    path = tmp_path / "some.raw"
    path.write_bytes(b"% evt 4.0\n% format EVT4;height=320;width=320\n% end\n12345678")
    with pytest.raises(InputError, match="is EVT4, which is not read"):
        open_recording(path)


@pytest.mark.parametrize("kind", [0, 12])
@pytest.mark.parametrize("first", [0, (1 << 32) - 250_000])
def test_dat_of_both_types(tmp_path, kind, first):
    e = some_events(size=(304, 240))
    path = tmp_path / "some.dat"
    words = np.empty((len(e), 2), "<u4")
    words[:, 0] = (e.t // 1000 + first) % (1 << 32)  # wraps after half of them
    words[:, 1] = e.x | e.y.astype(np.uint32) << 14 | e.p.astype(np.uint32) << 28
    header = b"% Data file containing Event2D events.\n% Version 2\n"
    path.write_bytes(header + bytes([kind, 8]) + words.tobytes() + b"cut")
    recording, windows, stats = run(path)
    assert (recording.width, recording.height) == (304, 240)
    assert stats.events == 20_000 and len(windows) == 16 and stats.time_jumps == 0


@pytest.mark.parametrize("layout", ["v2e", "compound", "mvsec", "root"])
def test_other_layouts_of_hdf5(tmp_path, layout):
    e, path = some_events(), tmp_path / "some.h5"
    us = e.t // 1000
    with h5py.File(path, "w") as file:
        if layout == "v2e":
            file["events"] = np.column_stack([us, e.x, e.y, e.p]).astype(np.uint32)
        elif layout == "mvsec":
            file["davis/left/events"] = np.column_stack([e.x, e.y, e.t * 1e-9, e.p * 2.0 - 1])
        elif layout == "compound":
            kinds = [("x", "<u2"), ("y", "<u2"), ("p", "i1"), ("t", "<i8")]
            file["CD/events"] = np.array(list(zip(e.x, e.y, e.p, us, strict=True)), kinds)
        else:
            for name, column in zip("xytp", (e.x, e.y, us, e.p), strict=True):
                file[name] = column
    with open_recording(path) as recording:
        got = Events.concatenate([packet.events for packet in recording])
    assert all(np.array_equal(getattr(got, k), getattr(e, k)) for k in "xyp")
    assert np.abs(got.t - e.t).max() < 100


def test_two_cameras_in_hdf5(tmp_path):
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        for k, side in enumerate(("left", "right")):
            e = some_events(seed=k)
            file[f"davis/{side}/events"] = np.column_stack([e.x, e.y, e.t * 1e-9, e.p])
    with pytest.raises(InputError, match="choose: davis/left/events, davis/right/events"):
        open_recording(path)
    assert run(path, topic="davis/right/events")[2].events == 20_000


def test_a_choice_of_a_camera_where_there_is_one(tmp_path):
    path = write_table(tmp_path / "some.txt", some_events())
    with pytest.raises(InputError, match=r"has no topic /left: .* the events of one"):
        open_recording(path, topic="/left")
