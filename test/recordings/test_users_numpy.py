"""Tables that numpy wrote: one array, in an npy or an npz, or columns of odd shapes and types."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.kinds import recordings_in

E = some_events()
US = E.t // 1000
TABLES = {
    "n-imagenet": np.rec.fromarrays([E.x, E.y, US, E.p > 0], names="x,y,t,p"),
    "tonic": np.rec.fromarrays([US, E.x, E.y, E.p], names="timestamp,x,y,polarity"),
    "no polarity": np.rec.fromarrays([E.x, E.y, US], names="x,y,t"),
    "txyp": np.column_stack([US, E.x, E.y, E.p]),
    "xytp": np.column_stack([E.x, E.y, US * 1e-6, E.p]),
    "stacked": np.vstack([E.x, E.y, US, E.p]),
    "polarity first": np.column_stack([E.p, US, E.x, E.y]),
    "time first": np.column_stack([US, E.p, E.x, E.y]),
    "one more dimension": np.column_stack([US, E.x, E.y, E.p])[None],
    "dictionary": np.array({"x": E.x, "y": E.y, "t": US, "p": E.p, "camera": "left"}),
    "deeper": np.array({"info": 3, "events": {"x": E.x, "y": E.y, "ts": US, "pol": E.p > 0}}),
    "transposed": np.vstack([US, E.x, E.y, E.p * 2 - 1.0]).T,
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("suffix", ["npy", "npz", "compressed.npz"])
def test_one_array(tmp_path, name, suffix):
    path = tmp_path / f"some.{suffix}"
    if suffix == "npy":
        np.save(path, TABLES[name])
    else:
        save = np.savez_compressed if "compressed" in suffix else np.savez
        save(path, event_data=TABLES[name], label=3, frames=np.zeros((2, 4, 4)))
    recording, windows, stats = run(path)
    assert "640x480 pixels is assumed" in recording.note and "taken as" in recording.note
    assert stats.events == 20_000 and len(windows) == 16
    x, y, t, p = (np.concatenate([getattr(w.events, k) for w in windows]) for k in "xytp")
    assert np.array_equal(x, E.x) and np.array_equal(y, E.y) and np.array_equal(t, E.t)
    assert np.array_equal(p, E.p) or (name == "no polarity" and p.all())


def test_a_size_beside_a_table(tmp_path):
    np.savez(tmp_path / "some.npz", events=TABLES["txyp"], resolution=(720, 1280))
    recording = run(tmp_path / "some.npz")[0]
    assert (recording.width, recording.height) == (1280, 720)


@pytest.mark.parametrize(
    "table, told",
    [
        (np.zeros((5, 3)), "lacks t, x, y: expected x, y, t, p and size, or one table"),
        (np.array([{"x": 1}]), "lacks t, y: expected x, y, t, p and size, or one table"),
        (np.array([Path("/")]), "cut off, damaged or something else"),
        (TABLES["txyp"][:0], "holds no events"),
    ],
    ids=["columns", "objects", "other objects", "empty"],
)
def test_an_array_that_is_no_table(tmp_path, table, told):
    np.save(tmp_path / "some.npy", table)
    with pytest.raises(InputError, match=told):
        run(tmp_path / "some.npy")


@pytest.mark.parametrize("name", ["txyp", "n-imagenet"])
def test_an_npy_that_was_cut_off(tmp_path, name):
    path = tmp_path / "some.npy"
    np.save(path, TABLES[name])
    path.write_bytes(path.read_bytes()[: -TABLES[name][0].nbytes * 5000 - 3])
    _, _, stats = run(path)
    assert stats.events == 14_999
    assert "was cut off: 5001 of its events are missing" in stats.last_error


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_all_bounds_say_nothing_of_their_own(tmp_path):
    table = TABLES["txyp"].astype(float)
    table[40:44, 0] = np.inf
    np.savez(tmp_path / "some.npz", events=table, resolution=np.array([np.inf, 9], "f2"))
    _, _, stats = run(tmp_path / "some.npz")
    assert (stats.events, stats.stray_events) == (19_996, 4)


def test_several_tables_are_told_and_can_be_chosen(tmp_path):
    np.savez(tmp_path / "some.npz", left=TABLES["txyp"], right=TABLES["txyp"][:500])
    with pytest.raises(InputError, match="several tables of events, choose: left, right"):
        run(tmp_path / "some.npz")
    assert run(tmp_path / "some.npz", topic="right")[2].events == 500
    with pytest.raises(InputError, match="has no topic middle"):
        run(tmp_path / "some.npz", topic="middle")


@pytest.mark.parametrize(
    "other", [np.eye(4), np.zeros((0, 4)), np.zeros((0, 4), TABLES["tonic"].dtype)]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_matrix_or_an_empty_table_beside_the_events_is_none(tmp_path, other, first):
    parts = {"a": other, "b": TABLES["txyp"]} if first else {"a": TABLES["txyp"], "b": other}
    np.savez(tmp_path / "some.npz", **parts)
    assert run(tmp_path / "some.npz")[2].events == 20_000


@pytest.mark.parametrize("name", ["data", "dvs/events", "TD"])
@pytest.mark.parametrize("beside", [np.eye(4), np.zeros((0, 4)), np.zeros((90, 4))])
def test_hdf5_with_one_table_of_any_name(tmp_path, name, beside):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["a"], file[name] = beside, TABLES["txyp"]
    assert run(tmp_path / "some.h5")[2].events == 20_000


@pytest.mark.parametrize(
    "name, told",
    [("t_offset", ""), ("width", ""), ("events/p", ""), ("events/x", "holds no events")],
)
@pytest.mark.parametrize("empty", [h5py.Empty("f8"), np.zeros(0)], ids=["no space", "no rows"])
def test_hdf5_with_an_empty_data_set(tmp_path, name, told, empty):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        for k in "xytp":
            file[f"events/{k}"] = getattr(E, k) if k != "t" else US
        if name in file:
            del file[name]
        file[name] = empty
        file.attrs["geometry"] = empty
    if told:
        with pytest.raises(InputError, match=told):
            run(tmp_path / "some.h5")
    else:
        recording, windows, stats = run(tmp_path / "some.h5")
        assert stats.events == 20_000 and len(windows) == 16
        assert "640x480 pixels is assumed" in recording.note


@pytest.mark.parametrize("name", ["external", "soft", "broken", "twice"])
def test_hdf5_with_links(tmp_path, name):
    with h5py.File(tmp_path / "other.h5", "w") as other, h5py.File(tmp_path / "some.h5", "w") as f:
        for k in "xytp":
            file = other if name == "external" else f
            file[f"raw/{k}"] = getattr(E, k) if k != "t" else US
        if name == "broken":
            f["a"], f["raw/width"] = h5py.ExternalLink("gone.h5", "/a"), h5py.SoftLink("/gone")
        elif name == "twice":
            f["events"] = f["raw"]
        else:
            soft = h5py.SoftLink("/raw")
            f["events"] = soft if name == "soft" else h5py.ExternalLink("other.h5", "/raw")
    assert run(tmp_path / "some.h5")[2].events == 20_000


def test_npy_headers_of_version_3(tmp_path):
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        for k in "xytp":
            with archive.open(f"{k}.npy", "w") as file:
                np.lib.format.write_array(file, getattr(E, k), version=(3, 0))
    assert run(tmp_path / "some.npz")[2].events == 20_000


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_x_and_y_that_are_fractions_are_refused(tmp_path, suffix):
    part = Events(E.x / 640, E.y / 480, E.t, E.p, *VGA)
    path = tmp_path / f"some.{suffix}"
    if suffix == "txt":
        np.savetxt(path, np.column_stack([E.t * 1e-9, part.x, part.y, E.p]))
    else:
        write_table(path, part)
    with pytest.raises(InputError, match="its x and y are fractions of the sensor: expected px"):
        run(path)


def test_an_npz_with_a_file_that_is_no_array(tmp_path):
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t=E.t, p=E.p, size=VGA)
    with zipfile.ZipFile(tmp_path / "some.npz", "a") as archive:
        archive.writestr("README.txt", "recorded in the yard")
    assert run(tmp_path / "some.npz")[2].events == 20_000


def test_an_npz_whose_polarities_were_never_written(tmp_path):
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t=E.t, p=E.p[:0], size=VGA)
    _, windows, stats = run(tmp_path / "some.npz")
    assert stats.events == 20_000 and all(window.events.p.all() for window in windows)


@pytest.mark.parametrize("rest, us", [("time_usec", 1), ("time_nsec", 1000)])
@pytest.mark.parametrize("kind", ["columns", "named", "dictionary", "whole"])
def test_times_in_two_columns_of_numpy(tmp_path, kind, rest, us):
    """Seconds, and what is added to them or is the time by itself."""
    t = US * 6 + 1_700_000_000_600_000
    sec, part = np.divmod(t, 10**6)
    table = {"x": E.x, "y": E.y, "p": E.p, rest: (t if kind == "whole" else part) * us}
    table["time_sec"] = t * 1e-6 if kind == "whole" else sec
    path = tmp_path / ("some.npy" if kind == "named" else "some.npz")
    if kind == "named":
        np.save(path, np.rec.fromarrays(list(table.values()), names=list(table)))
    else:
        np.savez(path, **(table if kind != "dictionary" else {"events": np.array(table)}))
    assert recordings_in(tmp_path) == [path]
    windows = run(path)[1]
    assert np.array_equal(np.concatenate([w.events.t for w in windows]), t * 1000)
    assert np.array_equal(np.concatenate([w.events.p for w in windows]), E.p)


@pytest.mark.parametrize("seconds", [US[:5] * 0, np.full(len(E), "0")], ids=["short", "words"])
def test_two_columns_of_times_that_are_none(tmp_path, seconds):
    np.savez(tmp_path / "some.npz", x=E.x, y=E.y, t_nsec=E.t, t_sec=seconds)
    with pytest.raises(InputError, match=r"x, y, t_sec, t_nsec of one length, with numbers\.$"):
        run(tmp_path / "some.npz")


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_columns_that_are_matrices(tmp_path, suffix, axis):
    """As Matlab writes them, and SciPy loads them."""
    path = tmp_path / f"some.{suffix}"
    parts = {k: np.expand_dims(getattr(E, k), axis) for k in "xytp"}
    if suffix == "npz":
        np.savez(path, **parts, size=VGA)
    else:
        with h5py.File(path, "w") as file:
            for k, column in parts.items():
                file[f"TD/{k}"] = column if k != "t" else column // 1000
    _, windows, stats = run(path)
    assert stats.events == 20_000 and len(windows) == 16


@pytest.mark.parametrize("name", ["stacked", "transposed"])
def test_hdf5_with_an_event_a_column(tmp_path, name):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["events"] = TABLES[name]
    _, windows, stats = run(tmp_path / "some.h5")
    assert stats.events == 20_000 and len(windows) == 16
    assert np.array_equal(np.concatenate([w.events.x for w in windows]), E.x)


@pytest.mark.parametrize("name", ["t", "p"])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_column_of_words_is_told(tmp_path, suffix, name):
    path = tmp_path / f"some.{suffix}"
    parts = {k: getattr(E, k) for k in "xytp"} | {name: getattr(E, name).astype("S")}
    if suffix == "npz":
        np.savez(path, **parts)
    else:
        with h5py.File(path, "w") as file:
            for k, column in parts.items():
                file[f"events/{k}"] = column
    with pytest.raises(InputError, match=r"A column holds words: expected numbers\.$"):
        run(path)


@pytest.mark.parametrize("kind", ["npz", "named", "h5"])
@pytest.mark.parametrize("off, on", [("OFF", "ON"), ("neg", "pos"), ("false", "True")])
def test_polarities_in_words(tmp_path, kind, off, on):
    parts = {"x": E.x, "y": E.y, "t": E.t, "p": np.where(E.p, on, off)}
    path = tmp_path / f"some.{'h5' if kind == 'h5' else 'npz'}"
    if kind == "npz":
        np.savez(path, **parts)
    elif kind == "named":
        np.savez(path, events=np.rec.fromarrays(list(parts.values()), names=list(parts)))
    else:
        with h5py.File(path, "w") as file:
            file.update(parts | {"p": parts["p"].astype("S")})
    windows = run(path)[1]
    assert np.array_equal(np.concatenate([window.events.p for window in windows]), E.p)


@pytest.mark.parametrize("form", ["{side}_{k}", "{k}_{side}"])
def test_two_cameras_in_the_names_of_columns_can_be_chosen(tmp_path, form):
    parts = {}
    for side, n in (("left", 20_000), ("right", 5000)):
        parts |= {form.format(side=side, k=k): getattr(E, k)[:n] for k in "xytp"}
    np.savez(tmp_path / "some.npz", **parts)
    with pytest.raises(InputError, match="choose: left, right"):
        run(tmp_path / "some.npz")
    assert run(tmp_path / "some.npz", topic="right")[2].events == 5000


def test_of_many_tables_the_first_are_named(tmp_path):
    parts = {f"table_{k}": TABLES["txyp"][:9] for k in range(20)}
    np.savez(tmp_path / "some.npz", **parts)
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file.update(dict.fromkeys(parts, TABLES["n-imagenet"][:9]))
    for suffix in ("npz", "h5"):
        with pytest.raises(
            InputError, match=r"choose: table_0, .* and 12 more \(--topic NAME\)\.$"
        ):
            run(tmp_path / f"some.{suffix}")


def test_a_file_without_events_says_what_it_has(tmp_path):
    np.savez(tmp_path / "some.npz", frames=np.zeros((2, 5, 7)))
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["a/frames"] = np.zeros((2, 5, 7))
    for suffix in ("npz", "h5"):
        with pytest.raises(InputError, match=r"it has .*frames 2x5x7\.$"):
            run(tmp_path / f"some.{suffix}")


@pytest.mark.parametrize("fixed", [True, False])
def test_a_table_of_pandas_without_names_says_what_to_do(tmp_path, fixed):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        if fixed:
            file["df/block0_values"], file["df/block1_values"] = TABLES["txyp"][:, :3], US * 1e-6
        else:
            kind = [("index", "i8"), ("values_block_0", "i8", (3,))]
            file["df/table"] = np.zeros(9, kind)
    with pytest.raises(InputError, match=r"table of pandas.*data_columns=True"):
        run(tmp_path / "some.h5")
