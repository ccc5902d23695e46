"""What users' tables are like (npz, text, HDF5): sizes and units unsaid, stray events, breaks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.recordings.readers import CHUNK, open_recording

UNITS = {"s": 1e-9, "ms": 1e-6, "us": 1e-3, "ns": 1.0}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_unit_of_time_is_recognised(tmp_path, unit, suffix, whole):
    e = some_events()
    t = e.t * UNITS[unit]
    if whole and unit in ("us", "ns"):
        t = np.rint(t).astype(np.int64)
    recording, windows, stats = run(write_table(tmp_path / f"some.{suffix}", e, t, VGA))
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
    _, windows, _ = run(write_table(tmp_path / f"some.{suffix}", e, t, VGA))
    assert len(windows) == pytest.approx(1e5 / rate / 0.033, abs=1.5)


@pytest.mark.parametrize(
    ("suffix", "unit", "other", "n", "seconds", "size"),
    [
        ("npz", "us", "ns", 60_000, 60, (346, 260)),  # or 1 Mev/s for 60 ms
        ("h5", "ns", "us", 250_000, 1, (160, 120)),  # as 4 Mev/s of VGA, or 4 kev/s for 1000 s
        ("h5", "ns", "us", 250_000, 0.5, (160, 120)),  # as 8 Mev/s of VGA
        ("h5", "us", "ns", 184_000, 600, (64, 48)),  # as 30 kev/s of VGA, or 30 Mev/s for 0.6 s
    ],
)
def test_a_unit_in_doubt_is_told_with_how_to_say_another(
    tmp_path, suffix, unit, other, n, seconds, size
):
    """Whole numbers, of which nothing but pace and length tells what they count."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, int(seconds * 1e9 / (1000 if unit == "us" else 1)), n))
    e = some_events(n, size)
    path = write_table(tmp_path / f"some.{suffix}", e, t)
    with open_recording(path, size=size) as recording:
        packets = list(recording)
    found = int(packets[-1].events.t[-1]) - int(packets[0].events.t[0])
    assert found == pytest.approx(seconds * 1e9, rel=0.01)
    told = f"taken as {unit} and may be {other} (a column named t_{other} says so)"
    assert told in recording.note


def test_the_unit_of_dsecs_layout_is_beyond_doubt(tmp_path):
    """A quiet hour in us, which might be 3.6 s in ns."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 3_600_000_000, 144_000))
    path = write_table(tmp_path / "some.h5", some_events(144_000, (64, 48)), t)
    with h5py.File(path, "a") as file:
        file["ms_to_idx"] = np.zeros(9, int)
    with open_recording(path, size=(64, 48)) as recording:
        assert recording.duration == pytest.approx(3600, rel=0.01) and not recording.note


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_times_that_hardly_differ_are_refused(tmp_path, suffix):
    """As float32 makes of seconds since 1970."""
    e = some_events()
    path = write_table(tmp_path / f"some.{suffix}", e, (1.6e9 + e.t * 1e-9).astype(np.float32))
    with pytest.raises(InputError, match=r"hardly differ: .*float32 cannot hold seconds since"):
        open_recording(path)


def test_the_unit_of_a_few_events(tmp_path):
    e = some_events(100, span_us=3000)
    recording, windows, _ = run(write_table(tmp_path / "some.txt", e, e.t // 1000, VGA))
    assert len(windows) == 1 and "taken as us" in recording.note


@pytest.mark.parametrize("name", ["timestamp (us)", "t_us"])
@pytest.mark.parametrize("suffix", ["csv", "npz", "h5"])
def test_a_unit_that_is_named_is_believed_at_any_pace(tmp_path, suffix, name):
    e = some_events(300, span_us=10_000_000)  # which by their pace might be ns
    table = dict(zip([name, *"xyp"], (e.t // 1000, e.x, e.y, e.p), strict=True))
    path = tmp_path / f"some.{suffix}"
    if suffix == "npz":
        np.savez(path, **table, size=VGA)
    elif suffix == "h5":
        with h5py.File(path, "w") as file:
            for key, column in table.items():
                file[f"events/{key}"] = column
    else:
        rows = np.column_stack(list(table.values()))
        np.savetxt(path, rows, "%d", ",", header=",".join(table))  # a comment
    _, windows, _ = run(path, size=VGA)
    assert windows[-1].end - windows[0].start == pytest.approx(10e9, rel=0.05)


def test_times_of_no_unit_are_refused_in_a_sentence(tmp_path):
    e = some_events()
    path = write_table(tmp_path / "some.txt", e, e.t * 1e12)
    with pytest.raises(InputError, match=r"make no sense in s, ms, us or ns: expected s\."):
        open_recording(path)


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
