"""What users' text is like: written by spreadsheets, scripts and other programs."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import run, some_events

from evlayerseg_ros.errors import InputError

E = some_events()
US = E.t // 1000
ROWS = list(zip(US, E.x, E.y, E.p, strict=True))


def found_in(path):
    """x, y, t in us and p of all events that are read."""
    _, windows, stats = run(path)
    assert stats.out_of_range == stats.stray_events == 0
    events = [window.events for window in windows]
    x, y, t, p = (np.concatenate([getattr(e, name) for e in events]) for name in "xytp")
    return x, y, t // 1000, p


@pytest.mark.parametrize(
    "line",
    [
        "{s};{x};{y};{p}",
        "{comma};{x};{y};{p}",
        "{x};{y};{p};{comma}",
        "{comma}\t{x}\t{y}\t{p}",
        "[{s}, {x}, {y}, {p}]",
        '"{s}","{x}","{y}","{p}"',
        "{s},{x},{y},{bool}",
        "{s} {x} {y} {word}",
        "{s} {x} {y} {sign}",
        "{{{s}, {x}, {y}, {p}}},",
        "{s} | {x} | {y} | {p}",
        "{s} {x} {y} {p}  # fine",
        "  // a remark\n {s} {x} {y} {p}",
    ],
)
def test_text_as_programs_write_it(tmp_path, line):
    path = tmp_path / "some.csv"
    with path.open("w") as file:
        for t, x, y, p in ROWS:
            s = f"{t * 1e-6:.6f}"
            row = {
                "s": s,
                "comma": s.replace(".", ","),
                "bool": bool(p),
                "word": ("off", "ON")[p],
                "sign": "-+"[p],
            }
            print(line.format(x=x, y=y, p=p, **row), file=file)
    for found, right in zip(found_in(path), (E.x, E.y, US, E.p), strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize(
    "head",
    [
        '"y","x","t","p"',
        "y_coordinate,x_coordinate,timestamp_us,polarity",
        "event_y,event_x,time in us,event_p",
        "y_pos,x_pos,time [microseconds],pol",
        "row,column,time_stamp,sign",
        "v;u;times;pols",
        "pixel_y,pixel_x,ev_t,ev_p",
    ],
)
def test_names_of_columns_as_programs_write_them(tmp_path, head):
    path = tmp_path / "some.csv"
    lines = [f"{y},{x},{t},{p}" for t, x, y, p in ROWS]
    path.write_text("\n".join([head, *lines]))
    for found, right in zip(found_in(path), (E.x, E.y, US, E.p), strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize(
    "name, unit",
    [("t_usec", "us"), ("time in seconds", "s"), ("t [milliseconds]", "ms"), ("time ns", "ns")],
)
def test_a_unit_by_any_of_its_names(tmp_path, name, unit):
    """At a pace that tells nothing."""
    path = tmp_path / "some.csv"
    lines = [f"{k},{k % 640},{k % 480},1" for k in range(60)]
    path.write_text("\n".join([f"{name},x,y,p", *lines]))
    _, windows, _ = run(path)
    step = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]
    assert np.concatenate([window.events.t for window in windows])[-1] == 59 * step


@pytest.mark.parametrize(
    "head", ["sec,nsec,x,y,p", "ts_secs,ts_nsecs,x,y,p", "ts.sec,ts.nanosec,x,y,p"]
)
def test_times_in_two_columns_as_ros_has_them(tmp_path, head):
    path = tmp_path / "some.csv"
    begin = 1_700_000_000_600_000
    rows = [(*divmod(t + begin, 10**6), x, y, p) for t, x, y, p in ROWS]
    path.write_text("\n".join([head, *(f"{s},{us}000,{x},{y},{p}" for s, us, x, y, p in rows)]))
    for found, right in zip(found_in(path), (E.x, E.y, US + begin, E.p), strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize(
    "head, scale",
    [
        ("header.stamp.sec,header.stamp.nanosec,x,y,ts.sec,ts.nanosec,polarity", 1000),
        ("t_nsec,skip,x,y,t_sec,skip,p", 1000),
        ("t_usec,skip,x,y,t_sec,skip,p", 1),
    ],
    ids=["beside a header's", "nanoseconds first", "microseconds"],
)
def test_the_two_columns_of_the_events_own_times(tmp_path, head, scale):
    path = tmp_path / "some.csv"
    begin = 7_700_000  # us
    rows = [(*divmod(t + begin, 10**6), x, y, p) for t, x, y, p in ROWS]
    first = head.startswith("t_")
    lines = [
        f"{us * scale if first else 5},0,{x},{y},{s},{0 if first else us * scale},{p}"
        for s, us, x, y, p in rows
    ]
    path.write_text("\n".join([head, *lines]))
    for found, right in zip(found_in(path), (E.x, E.y, US + begin, E.p), strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize("whole", [False, True], ids=["fractions", "whole seconds"])
@pytest.mark.parametrize("begin", [0, 2_500_000])  # us
def test_two_columns_of_whole_times_are_not_added(tmp_path, begin, whole):
    path = tmp_path / "some.csv"
    lines = []
    for t, x, y, p in ROWS:
        us = t * 6 + begin
        lines.append(f"{x},{y},{p},{us},{us // 10**6 if whole else us * 1e-6}")
    path.write_text("\n".join(["x,y,p,t_usec,t_sec", *lines]))
    for found, right in zip(found_in(path), (E.x, E.y, US * 6 + begin, E.p), strict=True):
        assert np.array_equal(found, right)


def test_times_in_two_columns_of_hdf5_are_told(tmp_path):
    path, parts = tmp_path / "some.h5", {"x": E.x, "y": E.y, "t_nsec": E.t, "t_sec": US * 0}
    with h5py.File(path, "w") as file:
        file.update({f"events/{name}": column for name, column in parts.items()})
    with pytest.raises(InputError, match=r"some\.h5 .*two columns, t_sec and t_nsec: expected one"):
        run(path)


def test_lines_before_the_names_of_columns(tmp_path):
    path = tmp_path / "some.csv"
    lines = [f"{y},{x},{t},{p}" for t, x, y, p in ROWS]
    path.write_text("\n".join(["recorded by hand", "date: 2024", "", "y,x,t,p", *lines]))
    for found, right in zip(found_in(path), (E.x, E.y, US, E.p), strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize("at", [200_000, None], ids=["middle", "end"])
def test_zeros_amid_text_are_told(tmp_path, at):
    """As a file system leaves it that lost its power."""
    text = bytearray("".join(f"{t} {x} {y} {p}\n" for t, x, y, p in ROWS).encode())
    if at is None:
        text += bytes(4096)
    else:
        text[at : at + 4096] = bytes(4096)
    path = tmp_path / "some.txt"
    path.write_bytes(text)
    _, _, stats = run(path)
    assert 19_500 < stats.events <= 20_000
    assert "zeros amid its text: its recorder lost its power" in stats.last_error


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_text_in_utf_16_is_named(tmp_path, coding):
    """As PowerShell writes it."""
    path = tmp_path / "some.txt"
    mark = "" if coding == "utf-16" else "\ufeff"
    path.write_bytes(f"{mark}0 1 2 1\n".encode(coding))
    with pytest.raises(InputError, match="is text in UTF-16: save it as UTF-8"):
        run(path)


@pytest.mark.parametrize("begin", [0, 300_000])
@pytest.mark.parametrize("line", ["{t} {x} {y} {p}", "{x},{y},{p},{t}"])
def test_nanoseconds_without_zeros_before_them(tmp_path, begin, line):
    """As `secs.nsecs` of a ROS stamp prints."""
    e = some_events(span_us=900_000)
    us = e.t // 1000 + begin
    stamps = [f"{t // 10**6 + 1000}.{t % 10**6 * 1000}" for t in us.tolist()]
    rows = zip(stamps, e.x, e.y, e.p, strict=True)
    path = tmp_path / "some.txt"
    path.write_text("".join(line.format(t=t, x=x, y=y, p=p) + "\n" for t, x, y, p in rows))
    assert "nanoseconds without zeros" in run(path)[0].note
    x, _, t, _ = found_in(path)
    assert np.array_equal(t, us + 10**9) and np.array_equal(x, e.x)


@pytest.mark.parametrize("line", ["20000 4", "10 20", "0 20000"])
def test_a_first_line_of_two_numbers_that_are_no_size(tmp_path, line):
    rows = "".join(f"{t * 1e-6:.6f} {x} {y} {p}\n" for t, x, y, p in ROWS)
    (tmp_path / "some.txt").write_text(f"{line}\n{rows}")
    recording, _, stats = run(tmp_path / "some.txt")
    assert (recording.width, recording.height, stats.events) == (640, 480, 20_000)
    assert "640x480 pixels is assumed" in recording.note


def test_fractions_without_zeros_behind_them(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text(
        "".join(f"{t * 1e-6:.6f}".rstrip("0") + f" {x} {y} {p}\n" for t, x, y, p in ROWS)
    )
    assert np.array_equal(found_in(path)[2], US) and "nano" not in run(path)[0].note
