"""Files that exist are not replaced unless one says so."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from evlayerseg_ros.cli import main


@pytest.mark.parametrize(("option", "name"), [("--video", "a.mp4"), ("-o", "a.mcap")])
def test_replay_keeps_what_exists(dots, tmp_path, option, name):
    path = tmp_path / name
    path.write_text("mine")
    result = CliRunner().invoke(main, ["replay", str(dots), option, str(path)])
    assert result.exit_code == 2
    assert f"{path} exists already" in result.output and "--force" in result.output
    assert path.read_text() == "mine"
    again = CliRunner().invoke(main, ["replay", str(dots), option, str(path), "--force"])
    assert again.exit_code == 0, again.output
    assert path.read_bytes() != b"mine"


def test_view_keeps_what_exists_unless_force_is_said(dots):
    scene = dots.with_name("a.rrd")
    scene.write_text("mine")
    command = ["view", str(dots), "--save", str(scene)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "a.rrd exists already" in result.output and "--force" in result.output
    assert scene.read_text() == "mine"
    result = CliRunner().invoke(main, [*command, "--force"])
    assert result.exit_code == 0, result.output
    assert scene.read_bytes() != b"mine"


def test_simulate_keeps_sequences(tmp_path):
    (tmp_path / "demo.npz").write_text("mine")
    result = CliRunner().invoke(main, ["simulate", str(tmp_path)])
    assert result.exit_code == 2 and "--force" in result.output


def test_train_keeps_a_finished_run_and_export_a_model(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "checkpoint.pt").write_text("mine")
    result = CliRunner().invoke(main, ["train", str(tmp_path), "--preset", "smoke"])
    assert result.exit_code == 2
    assert "--force" in result.output and "--resume to go on" in result.output
    (tmp_path / "m.onnx").write_text("mine")
    result = CliRunner().invoke(main, ["export", "paper", "-o", str(tmp_path / "m.onnx")])
    assert result.exit_code == 2 and "--force" in result.output


def test_help_of_the_node_helps_instead_of_starting_it(capsys):
    from evlayerseg_ros.node.segment import main as segment

    for flag in ("-h", "--help"):
        segment(["segment", flag])
        assert "--params-file" in capsys.readouterr().out
