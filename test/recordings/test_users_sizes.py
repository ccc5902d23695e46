"""Sizes that users' tables (npz, text, HDF5) state in many ways, or do not state."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from faulty import PACKETS, SIZE, bases
from faulty_files import STAMP, array_bag, packet_bag
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings import arrays, npz, raw


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


def test_packets_that_say_no_size_at_first(tmp_path):
    """As of a driver that asks its camera later."""
    with packet_bag(tmp_path / "some") as (_, add):
        for seq, data in enumerate(PACKETS["mono"]):
            size = (0, 0) if seq < 3 else SIZE
            add(STAMP + bases()[seq], *size, seq, bases()[seq], "mono", data)
    recording, _, stats = run(tmp_path / "some")
    assert (recording.width, recording.height) == SIZE and stats.bad_packets == 3


@pytest.mark.parametrize("ros1", [False, True])
@pytest.mark.parametrize("how", ["mono", "arrays"])
def test_messages_that_say_the_height_for_the_width(tmp_path, how, ros1):
    path = tmp_path / ("some.bag" if ros1 else "some")
    if how == "mono":
        with packet_bag(path, "bag" if ros1 else "mcap") as (_, add):
            for seq, data in enumerate(PACKETS["mono"]):
                add(STAMP + bases()[seq], *SIZE[::-1], seq, bases()[seq], "mono", data)
    else:
        e = some_events(size=SIZE)
        with array_bag(path, ros1) as add:
            for part in range(0, len(e), 500):
                some = e[part : part + 500]
                add(replace(some, width=SIZE[1], height=SIZE[0]), STAMP + int(some.t[0]))
    recording, _, stats = run(path)
    assert (recording.width, recording.height) == SIZE and stats.out_of_range == 0
    assert "it says 240x320 pixels, and is taken as 320x240" in recording.note


def test_messages_of_a_camera_that_stands_upright(tmp_path):
    e = some_events(size=SIZE[::-1])
    with array_bag(tmp_path / "some") as add:
        add(e, STAMP)
    recording, _, stats = run(tmp_path / "some")
    assert (recording.width, recording.height) == SIZE[::-1] and not recording.note
    assert stats.events == 20_000


@pytest.mark.parametrize("kind", ["raw", "dat", "txt"])
def test_headers_that_say_the_height_for_the_width(tmp_path, kind):
    e = some_events()
    path = tmp_path / f"some.{kind}"
    if kind == "txt":
        write_table(path, e, size=VGA[::-1])
    elif kind == "raw":
        path.write_bytes(b"% evt 3.0\n% geometry 480x640\n" + encode("evt3", e, 0).tobytes())
    else:
        words = e.p.astype("u4") << 28 | e.y.astype("u4") << 14 | e.x
        rows = np.column_stack([e.t // 1000, words]).astype("<u4").tobytes()
        path.write_bytes(b"% Version 2\n% Width 480\n% Height 640\n\x0c\x08" + rows)
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert "it says 480x640 pixels, and is taken as 640x480" in recording.note


@pytest.mark.parametrize("encoding, unit", [("evt2", "u4"), ("evt21", "u8"), ("evt3", "u2")])
def test_raw_files_whose_header_says_that_their_words_are_big_endian(tmp_path, encoding, unit):
    e, path = some_events(), tmp_path / "some.raw"
    words = np.frombuffer(encode(encoding, e, 0).tobytes(), f"<{unit}").astype(f">{unit}")
    name = encoding.upper()
    head = f"% format {name};height=480;width=640;endianness=big\n% end\n"
    path.write_bytes(head.encode() + words.tobytes())
    _, windows, stats = run(path)
    assert stats.events == 20_000 and len(windows) == 16


@pytest.mark.parametrize("kind", ["raw", "dat"])
def test_a_header_with_a_size_that_no_sensor_has_is_told(tmp_path, kind):
    path = tmp_path / f"some.{kind}"
    head = b"% evt 3.0\n% Width 320\n% Height 32768\n% end\n"
    path.write_bytes(head + b"\x0c\x08" * (kind == "dat") + bytes(range(64)))
    with pytest.raises(InputError, match=r"some\..* A sensor of 320x32768 pixels: expected 1 to"):
        run(path)


def test_a_dat_of_zeros_is_told(tmp_path):
    (tmp_path / "some.dat").write_bytes(b"% Version 2\n\x0c\x08" + bytes(8000))
    with pytest.raises(InputError, match="ends in zeros: its recorder lost its power"):
        run(tmp_path / "some.dat")


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


@pytest.mark.parametrize("encoding", ["evt2", "evt21", "evt3"])
def test_a_raw_file_that_begins_with_a_thing_in_a_corner(tmp_path, monkeypatch, encoding):
    """Its header says no size: events from all of it tell."""
    monkeypatch.setattr(raw, "_BLOCK", 1 << 14)
    e = some_events()
    begun = e.t < 250_000_000
    x, y = np.where(begun, e.x % 200, e.x), np.where(begun, e.y % 150, e.y)
    e = Events.from_arrays(x, y, e.t, e.p, *VGA)
    head = f"% evt {encoding[3:4]}.{encoding[4:] or 0}\n% end\n".encode()
    (tmp_path / "some.raw").write_bytes(head + encode(encoding, e, 0).tobytes())
    recording, _, stats = run(tmp_path / "some.raw")
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)


@pytest.mark.parametrize("block", [1 << 14, 1 << 20])
@pytest.mark.parametrize("kind", ["evt2", "evt3", "dat"])
def test_raw_files_that_were_joined(tmp_path, monkeypatch, kind, block):
    """The second header is passed over; its length is no multiple of a word."""
    monkeypatch.setattr(raw, "_BLOCK", block)
    e = some_events()
    head = b"% Date 2024-01-01\n\n% evt " + kind[3:].encode() + b".0\n% geometry 640x480\n% end\n"
    if kind == "dat":
        head = b"% Data file of events\n% Width 640\n% Height 480\n\x0c\x08"
    content = b""
    for part in (e[:9999], e[9999:]):
        address = part.x | part.y.astype("u4") << 14 | part.p.astype("u4") << 28
        words = np.column_stack([part.t // 1000, address])
        data = words.astype("<u4") if kind == "dat" else encode(kind, part, 0)
        content += head + data.tobytes()
    path = tmp_path / f"some.{'dat' if kind == 'dat' else 'raw'}"
    path.write_bytes(content)
    _, windows, stats = run(path)
    assert (stats.events, stats.in_words()) == (20_000, "")
    for name in "xytp":
        found = np.concatenate([getattr(window.events, name) for window in windows])
        np.testing.assert_array_equal(found, getattr(e, name))
