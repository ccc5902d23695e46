"""The evaluate command on several recordings, models and processes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from evlayerseg_ros.cli import main


@pytest.fixture
def recordings(tmp_path) -> list[str]:
    """Three short npz sequences with masks; object 2 is not in the last one."""
    paths = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n = 12_000
        masks = np.zeros((3, 120, 160), np.uint8)
        masks[:, 20:60, 30:80] = 1
        if seed < 2:
            masks[:, 80:100, 90:140] = 2
        paths.append(tmp_path / f"scene{seed}.npz")
        np.savez(
            paths[-1],
            x=rng.integers(0, 160, n).astype(np.uint16),
            y=rng.integers(0, 120, n).astype(np.uint16),
            t=np.sort(rng.integers(0, 100_000_000, n)),
            p=rng.integers(0, 2, n).astype(np.uint8),
            size=[160, 120],
            mask_t=np.array([0, 20, 40]) * 1_000_000,
            masks=masks,
        )
    return [str(path) for path in paths]


def run(tmp_path: Path, *arguments: str) -> tuple[dict, str]:
    out = tmp_path / "scores.json"
    common = ["--provider", "cpu", "--window-events", "2000", "--json", str(out)]
    result = CliRunner().invoke(main, ["evaluate", *arguments, *common])
    assert result.exit_code == 0, result.output
    return json.loads(out.read_text()), result.output


def test_processes_change_nothing(recordings, tmp_path) -> None:
    one, text = run(tmp_path, *recordings, "--jobs", "1", "--threads", "1")
    two, same_text = run(tmp_path, *recordings, "--jobs", "2", "--threads", "1")
    assert one == two and text == same_text
    assert list(one["sequences"]) == ["scene0", "scene1", "scene2"]
    assert one["sequences"]["scene0"]["object_iou"] is not None
    assert one["sequences"]["scene2"]["object_iou"] is None  # one object only


def test_a_fault_in_a_process_is_told_in_one_sentence(recordings) -> None:
    broken = Path(recordings[1])
    broken.write_text("no archive")
    result = CliRunner().invoke(
        main, ["evaluate", *recordings, "--jobs", "2", "--window-events", "2000"]
    )
    assert result.exit_code == 2
    assert "scene1.npz" in result.output and "Traceback" not in result.output


def test_two_models_side_by_side(recordings, tmp_path) -> None:
    # A model against itself: the same figures twice, and no difference.
    table = tmp_path / "scores.csv"
    page = tmp_path / "report"
    data, text = run(
        tmp_path, *recordings, "--jobs", "1", "--compare", "layernet",
        "--csv", str(table), "--report", str(page),
    )  # fmt: skip
    assert data["sequences"] == data["compare"]["sequences"]
    assert data["compare"]["difference"]["iou"] == 0
    assert data["model"] == "default" and data["compare"]["model"] == "layernet"
    assert text.splitlines()[0].split()[:2] == ["sequence", "model"]
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows if row["sequence"] == "mean"] == ["default", "layernet"]
    assert "layernet worst window" in (page / "index.html").read_text()
