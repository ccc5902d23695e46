"""Places of events, and sizes in words that others use: taken, told, or not believed."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from whole_files import VGA, run, some_events, write_table

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.readers import open_recording


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_event_without_a_place_is_left_out(tmp_path, suffix, bad):
    e = some_events(size=(2000, 1500))  # no known sensor's
    path, x = tmp_path / f"some.{suffix}", e.x.astype(float)
    x[7] = bad
    if suffix == "npz":
        np.savez(path, x=x, y=e.y, t=e.t, p=e.p)
    else:
        with h5py.File(path, "w") as file:
            for name, column in zip("xytp", (x, e.y, e.t // 1000, e.p), strict=True):
                file[name] = column
    recording, _, stats = run(path)
    assert stats.events == 19_999 and stats.out_of_range == 1
    assert (recording.width, recording.height) == (2000, 1500)


@pytest.mark.parametrize("suffix", ["npz", "h5", "txt"])
def test_places_that_were_fractions_once_are_whole_pixels(tmp_path, suffix):
    e, path = some_events(), tmp_path / f"some.{suffix}"
    x = e.x.astype("f4") / np.float32(639) * np.float32(639)
    y = (2 * e.y.astype("f4") / np.float32(479) - 1 + 1) / 2 * 479
    assert np.any(np.floor(x) != e.x) and np.any(np.floor(y) != e.y)
    if suffix == "txt":
        np.savetxt(path, np.column_stack([e.t * 1e-9, x, y, e.p]), "%.9f")
    elif suffix == "npz":
        np.savez(path, x=x, y=y, t=e.t, p=e.p)
    else:
        with h5py.File(path, "w") as file:
            file.update(x=x, y=y, t=e.t // 1000, p=e.p)
    windows = run(path)[1]
    for name in "xy":
        found = np.concatenate([getattr(window.events, name) for window in windows])
        assert np.array_equal(found, getattr(e, name))


def test_half_pixels_belong_to_the_pixel_below(tmp_path):
    e = some_events()
    np.savez(tmp_path / "some.npz", x=e.x + 0.5, y=e.y + 0.99, t=e.t, p=e.p)
    windows = run(tmp_path / "some.npz")[1]
    assert np.array_equal(np.concatenate([window.events.x for window in windows]), e.x)
    assert np.array_equal(np.concatenate([window.events.y for window in windows]), e.y)


def test_places_that_no_sensor_has_do_not_make_a_larger_one(tmp_path):
    e = some_events()
    y = e.y.astype(int)
    y[3000:3030] = 33_014
    np.savez(tmp_path / "some.npz", x=e.x, y=y, t=e.t, p=e.p)
    recording, _, stats = run(tmp_path / "some.npz")
    assert (recording.width, recording.height, stats.out_of_range) == (*VGA, 30)


def test_rows_that_were_never_filled_do_not_make_a_smaller_sensor(tmp_path):
    e = some_events(1000)
    columns = (np.concatenate([c, np.zeros(1_500_000, c.dtype)]) for c in (e.x, e.y, e.t, e.p))
    np.savez_compressed(tmp_path / "some.npz", **dict(zip("xytp", columns, strict=True)))
    recording, _, stats = run(tmp_path / "some.npz")
    assert (recording.width, recording.height, stats.events) == (*VGA, 1000)


def test_places_that_count_from_the_middle_are_refused(tmp_path):
    e = some_events()
    np.savez(tmp_path / "some.npz", x=e.x.astype(int) - 320, y=e.y.astype(int) - 240, t=e.t, p=e.p)
    with pytest.raises(InputError, match=r"many of its x or y are negative.*expected px"):
        open_recording(tmp_path / "some.npz")
    assert run(tmp_path / "some.npz", size=VGA)[2].out_of_range > 10_000


def test_places_that_are_cut_out_of_a_larger_sensor_are_counted_as_outside(tmp_path):
    e = some_events()
    np.savez(tmp_path / "some.npz", x=e.x.astype(int) - 100, y=e.y, t=e.t, p=e.p)
    _, _, stats = run(tmp_path / "some.npz")
    assert stats.out_of_range == np.count_nonzero(e.x < 100) > 2000


@pytest.mark.parametrize("name", ["sensor_size", "geometry", "img_size"])
def test_a_size_that_says_the_height_first_where_it_fits_both_ways(tmp_path, name):
    e = some_events(size=(200, 100))
    np.savez(tmp_path / "some.npz", x=e.x, y=e.y, t=e.t, p=e.p, **{name: VGA[::-1]})
    recording, *_ = run(tmp_path / "some.npz")
    assert (recording.width, recording.height) == VGA
    assert "it says 480x640 pixels, and is taken as 640x480" in recording.note


@pytest.mark.parametrize(("name", "size"), [("size", (260, 346)), ("sensor_size", (300, 400))])
def test_a_camera_that_stands_upright_where_its_size_is_sure(tmp_path, name, size):
    e = some_events(size=(200, 100))
    np.savez(tmp_path / "some.npz", x=e.x, y=e.y, t=e.t, p=e.p, **{name: size})
    recording, *_ = run(tmp_path / "some.npz")
    assert (recording.width, recording.height) == size and not recording.note


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize(
    "said",
    [
        *({"image_size": (1440, 1080)}, {"frame_shape": (1080, 1440)}, {"res": (1000, 1000)}),
        *({"shape": (1024, 1024)}, {"w": 700, "h": 500}, {"WIDTH": 700, "HEIGHT": 500}),
    ],
)  # fmt: skip
def test_the_size_of_something_else(tmp_path, suffix, said):
    e = some_events()
    path = write_table(tmp_path / f"some.{suffix}", e)
    if suffix == "npz":
        np.savez(path, x=e.x, y=e.y, t=e.t * 1e-9, p=e.p, **said)
    else:
        with h5py.File(path, "a") as file:
            file.attrs.update(said)
    assert "a sensor of 640x480 pixels is assumed" in run(path)[0].note


@pytest.mark.parametrize("mark", ["# ", ""])
@pytest.mark.parametrize(
    "head", ["camera: 1920x1080", "frame_size=1920x1080", "rows: 1000 cols: 1000", "size 320x240"]
)
def test_words_for_the_size_of_something_else_in_text(tmp_path, mark, head):
    path = write_table(tmp_path / "some.txt", some_events())
    path.write_text(f"{mark}{head}\n{path.read_text()}")
    recording, _, stats = run(path)
    assert "a sensor of 640x480 pixels is assumed" in recording.note
    assert stats.events == 20_000


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize(
    "names",
    [
        *("image_size", "Resolution", "frame_size", "shape", "dims", "res"),
        *("sensorSize", "imageSize"),
        *(("resolution_x", "resolution_y"), ("num_cols", "num_rows"), ("cols", "rows")),
        *(("sensor_width", "sensor_height"), ("WIDTH", "HEIGHT"), ("W", "H"), ("res_x", "res_y")),
    ],
)  # fmt: skip
def test_other_names_of_sizes(tmp_path, suffix, names):
    e = some_events(size=(200, 100))
    path = write_table(tmp_path / f"some.{suffix}", e)
    said = {names: VGA} if isinstance(names, str) else dict(zip(names, VGA, strict=True))
    if suffix == "npz":
        np.savez(path, x=e.x, y=e.y, t=e.t * 1e-9, p=e.p, **said)
    else:
        with h5py.File(path, "a") as file:
            file["events"].attrs.update(said)
    recording, *_ = run(path)
    assert (recording.width, recording.height) == VGA and "assumed" not in recording.note


@pytest.mark.parametrize(
    "head",
    [
        *("# resolution: [640, 480]", "# sensor_size = 640, 480", "# 640×480", "# Sensor: 640x480"),
        *("# sensor_width: 640\n# sensor_height: 480", "# height,width: 480,640"),
        *("# cols=640 rows=480", "# sensor size: 640 by 480"),
    ],
)
def test_other_words_for_sizes_in_text(tmp_path, head):
    path = write_table(tmp_path / "some.txt", some_events(size=(200, 100)))
    path.write_text(f"{head}\n{path.read_text()}", encoding="utf-8")
    recording, _, stats = run(path)
    assert (recording.width, recording.height, stats.events) == (*VGA, 20_000)
    assert not recording.note
