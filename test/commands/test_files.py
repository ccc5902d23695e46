"""Files that exist are not replaced unless one says so."""

from __future__ import annotations

import shutil

import pytest
from called import done, refused
from rosbags.rosbag2 import Reader


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


@pytest.mark.parametrize("say", [(), ("--force",)])
def test_what_is_read_is_never_replaced(dots, say):
    for command in (("replay", dots, "-o"), ("replay", dots, "--video"), ("view", dots, "--save")):
        whole = dots.read_bytes()
        result = refused(*command, dots, *say)
        assert "dots.npz is read itself, and would be lost: name another" in result.output
        (link := dots.with_name("link.npz")).symlink_to(dots)
        assert "is read itself" in refused(*command, link, *say).output
        link.unlink()
        assert dots.read_bytes() == whole


def test_nor_is_a_file_of_the_bag_that_is_read(dots):
    bag = dots.with_name("bag")
    done("replay", dots, "-o", bag, "--outputs", "mask")
    (file,) = bag.glob("*.mcap*")
    plain = shutil.copy(file, bag / "bag_1.mcap")
    for read in (bag, bag / "metadata.yaml", file):
        assert "is read itself" in refused("replay", read, "-o", file, "--force").output
    assert file.read_bytes() == plain.read_bytes()


def test_export_never_replaces_its_checkpoint(tmp_path):
    (checkpoint := tmp_path / "checkpoint.pt").write_text("mine")
    for option in (("-o", checkpoint), ("-o", tmp_path / "m.onnx", "--int8", checkpoint)):
        assert "is read itself" in refused("export", checkpoint, *option, "--force").output
    assert checkpoint.read_text() == "mine"


def test_an_output_that_is_named_twice_is_written_once(dots):
    out = dots.with_name("bag")
    done("replay", dots, "-o", out, "--outputs", "mask, mask,layers")
    with Reader(out) as reader:
        counts = {c.topic.rpartition("/")[2]: c.msgcount for c in reader.connections}
    assert counts["mask"] == counts["layers"] > 0


@pytest.mark.parametrize("name", ["noise.pt", "noise.onnx"])
def test_what_is_no_checkpoint_is_refused_in_our_words(tmp_path, name):
    pytest.importorskip("torch")
    (noise := tmp_path / name).write_bytes(b"not a checkpoint")
    result = refused("export", noise, "-o", tmp_path / "m.onnx")
    assert result.output.endswith(
        "is not a checkpoint: expected a checkpoint.pt of `evlayerseg train`.\n"
    )
    result = refused("train", tmp_path / "run", "--preset", "smoke", "--init", noise)
    assert "expected" in result.output and "evlayerseg export" in result.output
    assert "(" not in result.output and len(result.output.splitlines()) == 1


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_scores_replace_no_recording(dots, option):
    """As in `evaluate --json *.npz`, with the file's name forgotten."""
    other, before = dots.with_name("other.npz"), dots.read_bytes()
    other.write_bytes(before)
    assert "is read itself" in refused("evaluate", dots, option, dots).output
    assert "exists, and is no" in refused("evaluate", other, option, dots).output
    assert dots.read_bytes() == before


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
