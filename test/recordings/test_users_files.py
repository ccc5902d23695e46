"""What users' files are like: sizes and units unsaid, stray events, breaks, old formats."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from faulty import PACKETS
from whole_files import VGA, run, some_events

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


@pytest.mark.parametrize("head", ["", "x,y,polarity,timestamp\n"])
def test_text_of_other_orders(tmp_path, head):
    e = some_events()
    rows = zip(e.x, e.y, e.p, e.t // 1000, strict=True)
    path = tmp_path / "some.csv"
    path.write_text(head + "".join(f"{x},{y},{p},{t}\n" for x, y, p, t in rows))
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
