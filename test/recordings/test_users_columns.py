"""What the columns of users' tables are: by their names, and by their values where these lie."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events

from evlayerseg_ros.errors import InputError

E = some_events()
US = E.t // 1000
N = len(E)
TRUE = {"t": US, "x": E.x, "y": E.y, "p": E.p}
CAMERA = np.arange(N) % 2


def text(path, head, *columns, between=","):
    lines = (between.join(map(str, row)) for row in zip(*columns, strict=True))
    path.write_text("\n".join([*([head] if head else []), *lines]))
    return path


def table(path, columns):
    """A file with these columns by name: text, npz, or npy with a compound array."""
    if path.suffix == ".csv":
        return text(path, ",".join(columns), *columns.values())
    if path.suffix == ".npz":
        np.savez(path, **columns)
    else:
        np.save(path, np.rec.fromarrays(list(columns.values()), names=",".join(columns)))
    return path


def read(path):
    """The note, and the events' x, y, t in us and p by name."""
    recording, windows, stats = run(path, size=VGA)
    assert stats.time_jumps == stats.bad_packets == 0
    found = {k: np.concatenate([getattr(w.events, k) for w in windows]) for k in "xytp"}
    return recording.note, found | {"t": found["t"] // 1000}


def check(path, told=""):
    note, found = read(path)
    assert told in note and all(np.array_equal(found[k], TRUE[k]) for k in "xytp")
    return note


SUFFIXES = pytest.mark.parametrize("suffix", ["csv", "npz", "npy"])


@SUFFIXES
@pytest.mark.parametrize("name", ["isOn", "on_off", "val", "type"])
def test_polarities_by_another_name(tmp_path, suffix, name):
    columns = {"t_us": US, "x": E.x, "y": E.y, "label": CAMERA, name: E.p}
    check(table(tmp_path / f"some.{suffix}", columns), f"its {name} is taken as polarities")


@SUFFIXES
def test_no_polarities_are_told(tmp_path, suffix):
    columns = {"t_us": US, "x": E.x, "y": E.y, "z": US % 7}
    note, found = read(table(tmp_path / f"some.{suffix}", columns))
    assert "names no polarities: all events are taken as ON" in note and found["p"].all()


@SUFFIXES
@pytest.mark.parametrize("off, on", [(3, 4), (48, 49), (127, 255), (0.1, 0.9), (-1, 0)])
def test_polarities_of_two_odd_values(tmp_path, suffix, off, on):
    columns = {"t_us": US, "x": E.x, "y": E.y, "p": np.where(E.p, on, off)}
    told = f"polarities are {off} and {on}, the larger is taken as ON"
    check(table(tmp_path / f"some.{suffix}", columns), told)


@SUFFIXES
@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("name", ["camera", "cam_id", "sensor_id"])
def test_events_of_two_cameras_are_refused(tmp_path, suffix, name, words):
    which = np.array(["left", "right"])[CAMERA] if words else CAMERA
    columns = {"t_us": US, "x": E.x, "y": E.y, "p": E.p}
    with pytest.raises(InputError, match=f"several cameras, told by {name}"):
        read(table(tmp_path / f"some.{suffix}", {**columns, name: which}))
    check(table(tmp_path / f"one.{suffix}", {**columns, name: np.full(N, which[0])}))


@pytest.mark.parametrize("names", ["right", "x_right y_right t_right", "x1 y1"])
def test_another_cameras_arrays_beside_an_npz_are_told(tmp_path, names):
    others = dict.fromkeys(names.split(), E.x)
    told = f"{', '.join(others)} may be another camera's"
    check(table(tmp_path / "some.npz", {"x": E.x, "y": E.y, "t": E.t, "p": E.p, **others}), told)


@pytest.mark.parametrize(
    "head",
    [
        "# columns: timestamp, y, x, polarity",
        "# Format: t y x p",
        "# [t, y, x, p]",
        "# (t,y,x,p)",
        "# each line: t y x p",
        "# t [us] y [px] x [px] p [-]",
        "# (timestamp [us], row, col, polarity)",
        "t|y|x|p",
        "t µs|y|x|p",
        "ypos xpos", "pos_y pos_x", "coord_y coord_x", "y_px x_px", "py px", "y_raw x_raw",
        "y-coordinate x-coordinate", "image_y image_x", "pixelY pixelX", "yaddr xaddr",
        "y_idx x_idx", "location.y location.x", "e.y e.x", "vertical horizontal",
    ],
)  # fmt: skip
def test_names_of_another_order(tmp_path, head):
    head = head if "#" in head or "|" in head else f"t,{head.replace(' ', ',')},p"
    check(text(tmp_path / "some.csv", head, US, E.y, E.x, E.p))


def test_a_first_line_that_is_not_understood_is_told(tmp_path):
    path = text(tmp_path / "some.csv", "foo,bar,baz,qux", US, E.x, E.y, E.p)
    check(path, "line 'foo,bar,baz,qux' names no columns that are known")


@pytest.mark.parametrize("columns", ["pos_x,pos_y,t", "pos_x,pos_y,pos_z,t,p"])
def test_positions_are_no_pixels(tmp_path, columns):
    path = table(tmp_path / "some.npz", dict.fromkeys(columns.split(","), US))
    with pytest.raises(InputError, match="lacks x, y"):
        read(path)


@SUFFIXES
@pytest.mark.parametrize(
    "more",
    [
        {"t": np.arange(N), "ts": US, "p": E.p},
        {"time": US // 10_000, "timestamp": US, "p": E.p},
        {"t": US, "p": np.linspace(0, 1, N), "polarity": E.p},
    ],
    ids=["a counter", "coarse times", "a probability"],
)
def test_of_several_columns_the_one_whose_values_fit(tmp_path, suffix, more):
    check(table(tmp_path / f"some.{suffix}", {"x": E.x, "y": E.y, **more}))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_times_of_frames_beside_those_of_events(tmp_path, suffix):
    path, columns = tmp_path / f"some.{suffix}", {"x": E.x, "y": E.y, "p": E.p, "t": US[:30]}
    if suffix == "npz":
        np.savez(path, **columns, timestamps=US)
    else:
        np.save(path, np.array({**columns, "timestamps": US}))
    check(path)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize(
    "more",
    [
        {"xs": E.x, "ys": E.y, "ts": US, "ps": E.p, **dict.fromkeys("xyt", US[:100])},
        {"x": E.x, "y": E.y, "timestamps": US, "p": E.p, "time": 5.0},
        {"x": E.x, "y": E.y, "t": US, "pol": E.p, "p": np.zeros((100, 3))},
        {"events": np.column_stack([US, E.x, E.y, E.p]), **dict.fromkeys("xytwh", US[:900])},
        {"events": np.rec.fromarrays(list(TRUE.values()), names="t,x,y,p"), "x": US[:9],
         "y": US[:9], "ts": US[:9]},
    ],
    ids=["a pose", "one time", "a place in space", "boxes", "boxes by name"],
)  # fmt: skip
def test_short_columns_beside_the_events_are_none_of_theirs(tmp_path, suffix, more):
    path = tmp_path / f"some.{suffix}"
    if suffix == "npz":
        np.savez(path, **more)
    else:
        with h5py.File(path, "w") as file:
            file.update(more)
    check(path)


def test_a_longer_table_of_something_else_beside_the_columns_of_events(tmp_path):
    """They stay columns in ns of our layout, however long the other is."""
    turns = np.random.default_rng(1).normal(size=(50_000, 4))
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t=E.t, p=E.p, size=VGA, turns=turns)
    recording = run(tmp_path / "some.npz")[0]
    assert recording.kind == "an npz recording" and not recording.note


def test_names_that_the_values_contradict_are_refused(tmp_path):
    path = text(tmp_path / "some.csv", "x,y,t,p", US, E.x, E.y, E.p)
    with pytest.raises(InputError, match="column t falls, and x rises as times do"):
        read(path)


@pytest.mark.parametrize("scale, told", [(10, "taken as ns and may be us"), (1000, "")])
def test_an_npz_with_a_size_and_quiet_times(tmp_path, scale, told):
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t=US * scale, p=E.p, size=VGA)
    note = run(tmp_path / "some.npz")[0].note
    assert told in note and bool(told) == bool(note)


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt"])
@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_times_that_are_not_quite_in_order(tmp_path, suffix, order):
    """Beside x that rises more slowly."""
    rng = np.random.default_rng(1)
    x = np.clip(np.linspace(0, 600, N) + rng.normal(0, 20, N), 0, 639).astype(int)
    columns = {"t": US + rng.integers(0, 1000, N), "x": x, "y": E.y, "p": E.p}
    path = tmp_path / f"some.{suffix}"
    if suffix == "npy":
        np.save(path, np.column_stack([columns[k] for k in order]))
    else:
        text(path, "", *(columns[k] for k in order))
    _, found = read(path)
    for name in "txyp":
        assert np.array_equal(np.sort(found[name]), np.sort(columns[name]))


@pytest.mark.parametrize("bad", ["nan 1 1 1", "1e30 1 1 1"])
def test_a_bad_first_row(tmp_path, bad):
    check(text(tmp_path / "some.txt", bad, US, E.x, E.y, E.p, between=" "))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_x_that_is_no_number_hides_no_order(tmp_path, value):
    x = E.x.astype(float)
    x[500] = value
    np.save(tmp_path / "some.npy", np.column_stack([US, x, E.y, E.p]))
    assert len(read(tmp_path / "some.npy")[1]["x"]) == N - 1


@pytest.mark.parametrize("head", ["t,x,y,p,label", "label,t,x,y,p"])
def test_words_in_a_column_that_is_not_used(tmp_path, head):
    columns = {**TRUE, "label": ["car"] * N}
    check(text(tmp_path / "some.csv", head, *(columns[k] for k in head.split(","))))


@pytest.mark.parametrize("signs", ["F T", "N P", "neg pos", "negative positive", "\u22121 1"])
def test_polarities_in_more_words(tmp_path, signs):
    check(text(tmp_path / "some.csv", "t,x,y,p", US, E.x, E.y, np.array(signs.split())[E.p]))


def test_a_table_of_r(tmp_path):
    """Its rows are counted, without a name for that."""
    number = [f'"{k}"' for k in range(1, N + 1)]
    head = '"t" "x" "y" "p"'
    check(text(tmp_path / "some.txt", head, number, US, E.x, E.y, E.p, between=" "))


def test_decimal_commas_between_spaces(tmp_path):
    t = [f"{t * 1e-6:.6f}".replace(".", ",") for t in US]
    check(text(tmp_path / "some.txt", "", t, E.x, E.y, E.p, between=" "))
