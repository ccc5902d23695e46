"""Files that exist are not replaced unless one says so."""

from __future__ import annotations

import pytest
from called import done, refused


@pytest.mark.parametrize(("option", "name"), [("--video", "a.mp4"), ("-o", "a.mcap")])
def test_replay_keeps_what_exists(dots, tmp_path, option, name):
    path = tmp_path / name
    path.write_text("mine")
    result = refused("replay", dots, option, path)
    assert f"{path} exists already" in result.output and "--force" in result.output
    assert path.read_text() == "mine"
    done("replay", dots, option, path, "--force")
    assert path.read_bytes() != b"mine"


def test_view_keeps_what_exists_unless_force_is_said(dots):
    scene = dots.with_name("a.rrd")
    scene.write_text("mine")
    command = ["view", dots, "--save", scene]
    result = refused(*command)
    assert "a.rrd exists already" in result.output and "--force" in result.output
    assert scene.read_text() == "mine"
    done(*command, "--force")
    assert scene.read_bytes() != b"mine"


def test_simulate_keeps_sequences(tmp_path):
    (tmp_path / "demo.npz").write_text("mine")
    assert "--force" in refused("simulate", tmp_path).output


def test_train_keeps_a_finished_run_and_export_a_model(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "checkpoint.pt").write_text("mine")
    result = refused("train", tmp_path, "--preset", "smoke")
    assert "--force" in result.output and "--resume to go on" in result.output
    (tmp_path / "m.onnx").write_text("mine")
    assert "--force" in refused("export", "paper", "-o", tmp_path / "m.onnx").output


def test_help_of_the_node_helps_instead_of_starting_it(capsys):
    from evlayerseg_ros.node.segment import main as segment

    for flag in ("-h", "--help"):
        segment(["segment", flag])
        assert "--params-file" in capsys.readouterr().out
