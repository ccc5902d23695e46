"""The evaluate command on several recordings, models and processes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from called import done, refused
from streams import noise, save


@pytest.fixture
def recordings(tmp_path) -> list[str]:
    """Three short npz sequences with masks; object 2 is not in the last one."""
    paths = []
    for seed in range(3):
        masks = np.zeros((3, 120, 160), np.uint8)
        masks[:, 20:60, 30:80] = 1
        if seed < 2:
            masks[:, 80:100, 90:140] = 2
        events = noise(12_000, (160, 120), 100_000_000, seed=seed)
        times = np.array([5, 25, 45]) * 1_000_000
        path = tmp_path / f"scene{seed}.npz"
        paths.append(save(path, events, mask_t=times, masks=masks))
    return [str(path) for path in paths]


def scored(tmp_path: Path, *arguments: object) -> tuple[dict, str]:
    if "--report" in arguments:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    out = tmp_path / "scores.json"
    common = ["--provider", "cpu", "--window-events", "2000", "--json", str(out)]
    result = done("evaluate", *arguments, *common)
    return json.loads(out.read_text()), result.output


@pytest.mark.slow
def test_processes_change_nothing(recordings, tmp_path) -> None:
    one, text = scored(tmp_path, *recordings, "--jobs", "1", "--threads", "1")
    two, same_text = scored(tmp_path, *recordings, "--jobs", "2", "--threads", "1")
    assert one == two and text == same_text
    assert list(one["sequences"]) == ["scene0", "scene1", "scene2"]
    assert one["sequences"]["scene0"]["object_pixel_iou"] is not None
    assert one["sequences"]["scene2"]["object_pixel_iou"] is None  # one object only


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_bad_recording_is_named_and_the_others_are_scored(recordings, tmp_path, jobs) -> None:
    """A folder stands for the recordings in it; the exit status tells that not all is well."""
    whole, _ = scored(tmp_path, *recordings)
    Path(recordings[1]).write_text("no archive")
    (Path(recordings[0]).parent / "notes.txt").write_text("no recording")
    out = tmp_path / "some.json"
    folder = str(Path(recordings[0]).parent)
    common = ["--window-events", "2000", "--provider", "cpu", "--json", str(out)]
    result = refused("evaluate", folder, "--jobs", jobs, *common)
    assert "left out: " in result.output and "scene1.npz" in result.output
    data = json.loads(out.read_text())
    assert list(data["sequences"]) == ["scene0", "scene2"]
    assert data["sequences"]["scene0"]["iou"] == whole["sequences"]["scene0"]["iou"]
    assert len(data["left_out"]) == 1 and "scene1.npz" in data["left_out"][0]
    assert "scene1.npz" in refused("evaluate", recordings[1], recordings[1]).output
    (tmp_path / "empty").mkdir()
    assert "holds no recordings" in refused("evaluate", tmp_path / "empty").output


def test_a_folder_without_recordings_or_masks_is_named_too(recordings, tmp_path) -> None:
    empty, lacking, out = (tmp_path / name for name in ("empty", "evimo", "scores.json"))
    empty.mkdir()
    lacking.mkdir()
    (lacking / "dataset_info.npz").write_text("no archive")
    common = ["--window-events", "2000", "--provider", "cpu", "--jobs", "1", "--json", out]
    result = refused("evaluate", empty, recordings[0], lacking, *common)
    data = json.loads(out.read_text())
    assert list(data["sequences"]) == ["scene0"] and data["sequences"]["scene0"]["windows"] == 3
    assert [str(folder) in told for folder, told in zip((empty, lacking), data["left_out"])] == [
        True, True,
    ]  # fmt: skip
    assert result.output.count("left out: ") == 2


def test_labels_shifted_by_an_event_outside_the_sensor_are_not_scored(tmp_path) -> None:
    events = noise(12_000, (160, 120), 100_000_000)
    more = {"mask_t": [50_000_000], "masks": np.ones((1, 120, 160), np.uint8)}
    path = save(tmp_path / "scene.npz", events, label=np.ones(12_000, np.uint8), **more)
    whole, _ = scored(tmp_path, path)
    assert whole["sequences"]["scene"]["event_accuracy"] is not None
    columns = dict(np.load(path))
    columns["x"][100] = 60_000
    np.savez(path, **columns)
    data, text = scored(tmp_path, path)
    assert data["sequences"]["scene"]["event_accuracy"] is None
    assert data["sequences"]["scene"]["iou"] is not None
    assert "its labels of events are left out, as they are 12000 for the 11999 events" in text


@pytest.mark.slow
def test_a_recording_whose_masks_have_no_window_is_left_out(recordings, tmp_path) -> None:
    short = Path(recordings[1])
    columns = dict(np.load(short))
    np.savez(short, **{**columns, "mask_t": columns["mask_t"] + 10**9})
    page, table = tmp_path / "report", tmp_path / "scores.csv"
    data, text = scored(
        tmp_path, *recordings, "--jobs", "1", "--report", page, "--csv", table
    )  # fmt: skip
    missing = data["sequences"]["scene1"]
    assert (missing["windows"], missing["skipped"], missing["iou"]) == (0, 3, None)
    others = [data["sequences"][name]["iou"] for name in ("scene0", "scene2")]
    assert data["mean"]["iou"] == pytest.approx(np.mean(others))
    warning = "scene1 is not scored: none of its 3 masks (1.005..1.045 s) falls into a window"
    assert data["warnings"] == [f"{warning} in the recording."]
    assert f"warning: {warning}" in text
    header, line = (row.split() for row in text.splitlines()[0:3:2])
    assert header[-2:] == ["windows", "skipped"] and line[-2:] == ["0", "3"]
    assert (page / "index.html").read_text().count(warning) == 2
    # None at all is a fault.
    alone = refused("evaluate", short, "--window-events", "2000")
    assert f"{short}: {warning}" in alone.output


def test_without_masks_a_recording_is_scored_by_sharpness(recordings, tmp_path) -> None:
    bare = Path(recordings[0])
    columns = dict(np.load(bare))
    np.savez(bare, **{k: columns[k] for k in ("x", "y", "t", "p", "size")})
    page = tmp_path / "report"
    data, text = scored(tmp_path, bare, "--report", page)
    assert data["mean"]["iou"] is None and data["mean"]["fwl"] is not None
    assert data["sequences"]["scene0"]["windows"] == 6
    assert "scene0 has no masks" in text
    assert text.splitlines()[0].split() == ["sequence", "fwl", "rsat", "windows"]
    assert "data:image/webp" in (page / "index.html").read_text()
    assert "has no masks" in refused("evaluate", bare, "--protocol", "paper").output


@pytest.mark.slow
def test_a_dask_clusters_workers_give_the_same(recordings, tmp_path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    one, text = scored(tmp_path, *recordings, "--jobs", "1", "--threads", "1")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        many, same_text = scored(
            tmp_path, *recordings, "--cluster", cluster.scheduler_address, "--threads", "1"
        )
    assert one == many and text == same_text


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told(recordings) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    result = refused("evaluate", *recordings, "--cluster", "tcp://127.0.0.1:1")
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in result.output


@pytest.mark.slow
def test_two_models_side_by_side(recordings, tmp_path) -> None:
    # A model against itself: the same figures twice, and no difference.
    table = tmp_path / "scores.csv"
    page = tmp_path / "report"
    data, text = scored(
        tmp_path, *recordings, "--jobs", "1", "--provider", "cpu", "--compare", "layernet-int8",
        "--csv", table, "--report", page,
    )  # fmt: skip
    assert data["sequences"] == data["compare"]["sequences"]
    assert data["compare"]["difference"]["iou"] == 0
    assert data["model"] == "default" and data["compare"]["model"] == "layernet-int8"
    assert text.splitlines()[0].split()[:2] == ["sequence", "model"]
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows if row["sequence"] == "mean"] == [
        "default",
        "layernet-int8",
    ]
    assert "layernet-int8 worst window" in (page / "index.html").read_text()


@pytest.mark.slow
def test_a_line_a_suite_unless_all_are_asked_for(recordings, tmp_path) -> None:
    for path in recordings:
        columns = dict(np.load(path))
        inside = columns["masks"][0][columns["y"], columns["x"]]
        np.savez(path, **columns, label=inside)
    data, text = scored(tmp_path, *recordings)
    assert data["suites"]["scene"]["sequences"] == 3
    assert "suite " in text and "scene0" not in text
    _, wide = scored(tmp_path, *recordings, "--wide")
    assert "suite " not in wide and "scene0" in wide
