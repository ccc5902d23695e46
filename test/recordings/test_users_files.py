"""What users' files are like: sizes and units unsaid, stray events, breaks, old formats."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from faulty import PACKETS
from whole_files import VGA, aedat_3, run, some_events

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.recordings.readers import CHUNK, open_recording

UNITS = {"s": 1e-9, "ms": 1e-6, "us": 1e-3, "ns": 1.0}


def write(path: Path, e: Events, t=None, size=None) -> Path:
    """An npz, text or HDF5 file (DSEC's layout) with times as they are given."""
    t = (e.t // 1000 if path.suffix == ".h5" else e.t * 1e-9) if t is None else t
    if path.suffix == ".npz":
        np.savez(path, x=e.x, y=e.y, t=t, p=e.p, **({} if size is None else {"size": size}))
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, column in zip("xytp", (e.x, e.y, t, e.p), strict=True):
                file[f"events/{name}"] = column
    else:
        form = "%d" if np.issubdtype(np.asarray(t).dtype, np.integer) else "%.9f"
        head = "" if size is None else f"{size[0]} {size[1]}"
        np.savetxt(
            path, np.column_stack([np.asarray(t), e.x, e.y, e.p]),
            fmt=[form, "%d", "%d", "%d"], header=head, comments="",
        )  # fmt: skip
    return path


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_unit_of_time_is_recognised(tmp_path, unit, suffix, whole):
    e = some_events()
    t = e.t * UNITS[unit]
    if whole and unit in ("us", "ns"):
        t = np.rint(t).astype(np.int64)
    recording, windows, stats = run(write(tmp_path / f"some.{suffix}", e, t, VGA))
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
    _, windows, _ = run(write(tmp_path / f"some.{suffix}", e, t, VGA))
    assert len(windows) == pytest.approx(1e5 / rate / 0.033, abs=1.5)


def test_the_unit_of_a_few_events(tmp_path):
    e = some_events(100, span_us=3000)
    recording, windows, _ = run(write(tmp_path / "some.txt", e, e.t // 1000, VGA))
    assert len(windows) == 1 and "taken as us" in recording.note


def test_times_of_no_unit_are_refused_in_a_sentence(tmp_path):
    e = some_events()
    path = write(tmp_path / "some.txt", e, e.t * 1e12)
    with pytest.raises(InputError, match=r"make no sense in s, ms, us or ns: expected s\."):
        open_recording(path)


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_one_bad_event_is_left_out_and_counted(tmp_path, suffix):
    e = some_events()
    bad = Events(e.x.astype(int), e.y.copy().astype(int), e.t.copy(), e.p, *VGA)
    bad.y[777] = 33_014
    bad.t[5000] -= 3000  # a little back: sorted
    bad.t[9000] -= 300_000_000  # a stray
    recording, windows, stats = run(write(tmp_path / f"some.{suffix}", bad, size=VGA))
    assert (recording.width, recording.height) == VGA
    assert (stats.events, stats.out_of_range, stats.stray_events) == (19_998, 1, 1)
    assert len(windows) == 16 and stats.time_jumps == 0


def test_numbers_that_are_none_are_left_out(tmp_path):
    e, t = some_events(), None
    t = e.t * 1e-9
    t[100] = np.nan
    _, _, stats = run(write(tmp_path / "some.npz", e, t, VGA))
    assert (stats.events, stats.stray_events) == (19_999, 1)


def test_a_stray_at_the_seam_of_two_chunks(tmp_path):
    e = some_events(CHUNK + 1000)
    t = e.t.copy()
    t[CHUNK] -= 200_000_000
    _, windows, stats = run(write(tmp_path / "some.npz", e, t, VGA))
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


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("size", [(240, 180), VGA, (1280, 720)])
def test_a_size_that_no_file_says_is_assumed_and_told(tmp_path, suffix, size):
    e = some_events(size=size)
    if size == VGA:
        e.x[5] = 640  # one stray does not make a larger sensor
    recording, _, stats = run(write(tmp_path / f"some.{suffix}", e))
    assert (recording.width, recording.height) == size
    assert f"a sensor of {size[0]}x{size[1]} pixels is assumed" in recording.note
    assert stats.out_of_range == (size == VGA)
    recording, _, stats = run(recording.path, size=(800, 768))
    assert (recording.width, recording.height) == (800, 768)
    assert "sensor" not in recording.note


def test_text_of_e2vid_says_its_size_in_the_first_line(tmp_path):
    recording, windows, _ = run(
        write(tmp_path / "some.txt", some_events(size=(200, 100)), size=VGA)
    )
    assert (recording.width, recording.height) == VGA and not recording.note
    assert len(windows) == 16


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
    path = write(tmp_path / "some.txt", e, size=VGA)
    lines = path.read_text().splitlines(keepends=True)
    lines[4000] = "0.1 12\n"
    path.write_text("".join(lines))
    _, windows, stats = run(path)
    assert (stats.events, stats.out_of_range, len(windows)) == (19_999, 1, 16)


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
        ("% evt 2.0\n% sensor_name GenX320\n", (320, 320)),
        ("% evt 2.0\n% system_ID 64\n", (320, 320)),
        ("% format EVT2;width=346;height=260\n", (346, 260)),
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
    assert "a sensor of 320x320 pixels is assumed" in recording.note  # the events' is 320x240


@pytest.mark.parametrize(("name", "encoding"), [("Gen3.1", "evt2"), ("IMX636", "evt3")])
def test_a_sensors_name_implies_its_encoding(tmp_path, name, encoding):
    path = tmp_path / "some.raw"
    head = f"% sensor_name {name}\n% geometry 0x0\n% end\n"
    path.write_bytes(head.encode() + b"".join(PACKETS[encoding]))
    recording, _, stats = run(path)
    assert recording.width in (640, 1280) and stats.events > 2000


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_a_stray_before_or_after_all_others(tmp_path, suffix, which):
    e = some_events()
    t = e.t.copy()
    t[1:] += 1_600_000_000 * 10**9 * (which == 0)
    t[which] += 10**15 * (which == -1)
    e = Events(e.x, e.y, t, e.p, *VGA)
    _, windows, stats = run(write(tmp_path / f"some.{suffix}", e, size=VGA))
    assert (stats.events, stats.stray_events, stats.time_jumps) == (19_999, 1, 0)
    assert len(windows) == 16


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
    recording, windows, _ = run(write(tmp_path / "some.npz", some_events(), size=(0, 0)))
    assert len(windows) == 16 and "640x480 pixels is assumed" in recording.note


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


def test_hdf5_whose_columns_differ_in_length(tmp_path):
    e = some_events()
    path = write(tmp_path / "some.h5", e)
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
    path = write(tmp_path / "some.txt", some_events())
    with pytest.raises(InputError, match=r"has no topic /left: .* the events of one"):
        open_recording(path, topic="/left")
