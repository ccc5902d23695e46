"""Tables in which what may look like something else has to be left as it is."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from test_users_columns import CAMERA, SUFFIXES, TRUE, US, E, N, check, read, table, text
from whole_files import VGA, run, some_events

from evlayerseg_ros.recordings import archives, npz
from evlayerseg_ros.recordings import text as module
from evlayerseg_ros.recordings.gyro_text import read_samples
from evlayerseg_ros.recordings.rows import Rows


@pytest.mark.parametrize(
    "head",
    [
        "t,gx,gy,gz,rpm",
        "# turntable speed in rpm: 30\nt,gx,gy,gz",
        "# the chip has mdps\nt,gx,gy,gz",
    ],
)
def test_another_columns_unit_is_not_that_of_rates(tmp_path, head, capsys):
    rows = "\n".join(f"{k * 0.005:.3f},1,2,3{',30' * head.endswith('rpm')}" for k in range(100))
    (tmp_path / "gyro.csv").write_text(f"{head}\n{rows}\n")
    assert np.array_equal(read_samples(tmp_path / "gyro.csv")[1][0], [1, 2, 3])
    assert "are taken as rad/s and may be " in capsys.readouterr().err


def test_deg_per_s_beside_another_unit_in_comments(tmp_path):
    rows = "\n".join(f"{k * 0.005:.3f} 1 2 3" for k in range(100))
    (tmp_path / "gyro.txt").write_text(f"# table: 30 turns, speed in rpm\n# rates: deg/s\n{rows}\n")
    assert np.allclose(read_samples(tmp_path / "gyro.txt")[1][0], np.deg2rad([1, 2, 3]))


@pytest.mark.parametrize(
    "comments",
    [
        "# voxel grid order [t, y, x, p]",
        "# t x y p\n# voxel grid order [t, y, x, p]",
        "# converted from a bag (x, y, t, p)",
        "# network input: t y x p",
        "# x y t p",
        "# columns: [x, y, t, p]",
    ],
)
def test_comments_about_something_else_tell_no_order(tmp_path, comments):
    check(text(tmp_path / "some.txt", comments, US, E.x, E.y, E.p, between=" "))


def test_an_order_by_a_comment_is_told(tmp_path):
    path = text(tmp_path / "some.txt", "# order: [t, y, x, p]", US, E.y, E.x, E.p, between=" ")
    check(path, "its columns are taken as t y x p by a comment")


@pytest.mark.parametrize("bad", [[-1], [3], [-1, 2]], ids=str)
def test_a_few_wrong_polarities_turn_none_around(bad):
    """At first all events are OFF, or all are ON."""
    for first in (0, 1):
        p = np.full(40_000, first)
        p[20_000:] = 1 - first
        p[100:20_000:400] = np.resize(bad, 50)
        rows, n = Rows(), np.arange(1, 20_001)
        parts = [rows.sound(n, n, n * 1000, part)[3] > 0 for part in (p[:20_000], p[20_000:])]
        assert np.count_nonzero(np.concatenate(parts) != (p == 1)) <= 50


def test_odd_polarities_lapse_when_usual_ones_come():
    rows, n, p = Rows(), np.arange(1, 1001), np.arange(1000) % 2
    found = [rows.sound(n, n, n * 1000, part)[3] > 0 for part in (p - 1, p, p)]
    assert np.array_equal(found, [p == 1] * 3)


def test_lines_that_are_no_events_turn_no_polarities_around(tmp_path):
    n = 150_000
    rows = [f"{k * 1e-5:.6f} 5 5 {int(k > 140_000)}" for k in range(1, n + 1)]
    rows[300::500] = ["garbage"] * len(rows[300::500])
    path = tmp_path / "some.txt"
    path.write_text("\n".join(rows))
    _, windows, _ = run(path, size=VGA)
    assert 9000 < sum(np.count_nonzero(window.events.p) for window in windows) < 10_000


@SUFFIXES
def test_polarities_that_begin_with_one_value_stay(tmp_path, suffix):
    """Beside another column of that name that holds two."""
    columns = {"t": US, "x": E.x, "y": E.y, "p": np.ones(N, int), "on": CAMERA}
    note, found = read(table(tmp_path / f"some.{suffix}", columns))
    assert found["p"].all() and "taken as polarities" not in note


def test_times_in_steps_of_one_beside_those_of_frames(tmp_path):
    t = np.arange(N)
    path = table(tmp_path / "some.npz", {**TRUE, "t": t, "timestamps": t // 300 * 300})
    assert np.array_equal(np.diff(read(path)[1]["t"]), np.ones(N - 1))


@SUFFIXES
def test_times_by_a_later_name_are_told(tmp_path, suffix):
    columns = {"t": np.arange(N), "ts": US, "x": E.x, "y": E.y, "p": E.p}
    check(table(tmp_path / f"some.{suffix}", columns), "its ts is taken as times")


@pytest.mark.parametrize(
    "name",
    ["moving", "is_moving", "motion", "segment", "cluster", "inlier", "foreground", "gt",
     "is_signal", "hot", "trigger", "channel", "z", "source", "side", "motion_on", "noise_type"],
)  # fmt: skip
def test_labels_are_no_polarities(tmp_path, name):
    path = table(tmp_path / "some.npz", {"t_us": US, "x": E.x, "y": E.y, name: CAMERA})
    note, found = read(path)
    assert "all events are taken as ON" in note and found["p"].all()


@pytest.mark.parametrize("name", ["source", "side", "view", "sensor"])
def test_labels_are_no_cameras(tmp_path, name):
    check(table(tmp_path / "some.csv", {**TRUE, name: CAMERA}))


def test_times_that_stay_for_a_while(tmp_path):
    """As rendered events have them."""
    e = some_events(100_000)
    t = np.arange(len(e)) // 8150 * 0.01
    np.save(tmp_path / "some.npy", np.column_stack([t, e.x, e.y, e.p]))
    assert run(tmp_path / "some.npy", size=VGA)[2].events == len(e)


def test_a_damaged_array_that_is_not_needed(tmp_path):
    path = table(tmp_path / "some.npz", {**TRUE, "t": E.t, "camera": np.zeros(N, int)})
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo("camera.npy").header_offset
    data = bytearray(path.read_bytes())
    data[begin + 300 : begin + 400] = b"\xff" * 100
    path.write_bytes(data)
    check(path)


def test_an_npz_of_many_arrays_is_opened_no_more_often(tmp_path, monkeypatch):
    small, opened = io.BytesIO(), []
    np.save(small, np.zeros(3))

    def counted(path, how=archives.opened):
        opened.append(path.name)
        return how(path)

    monkeypatch.setattr(npz, "opened", counted)
    few = table(tmp_path / "few.npz", {**TRUE, "t": E.t})
    many = table(tmp_path / "many.npz", {**TRUE, "t": E.t})
    with zipfile.ZipFile(many, "a") as archive:
        for k in range(50):
            archive.writestr(f"frame_{k}.npy", small.getvalue())
    for path in (few, many):
        check(path)
    assert opened.count("many.npz") == opened.count("few.npz")


def test_words_beside_events_are_not_read_line_by_line(tmp_path, monkeypatch):
    """But where a line among them is none."""
    lines = []

    def counted(line, order, how=module.event_in):
        lines.append(line)
        return how(line, order)

    monkeypatch.setattr(module, "event_in", counted)
    path = text(tmp_path / "some.csv", "t,x,y,p,label", US, E.x, E.y, E.p, ["car"] * N)
    check(path)
    assert len(lines) < N // 100


@pytest.mark.parametrize(
    "comment",
    [
        "# Data: (t, y, x, p) per line",
        "# Columns (t, y, x, p) of events",
        "# Each row: t y x p",
        "# The columns are [t, y, x, p]",
        "# columns in order: t y x p",
    ],
)
def test_a_comment_that_tells_the_order_in_other_words(tmp_path, comment):
    check(text(tmp_path / "some.txt", comment, US, E.y, E.x, E.p, between=" "))


@pytest.mark.parametrize("unit", ["mdps", "mrad/s", "rpm"])
def test_rates_that_are_too_fast_with_another_unit_in_a_comment(tmp_path, unit, capsys):
    rows = "\n".join(f"{k * 0.005:.3f},1000,2000,3000" for k in range(100))
    (tmp_path / "gyro.csv").write_text(f"# gyro in {unit}\nt,gx,gy,gz\n{rows}\n")
    read_samples(tmp_path / "gyro.csv")
    assert f"are taken as deg/s and may be {unit} (columns named" in capsys.readouterr().err
