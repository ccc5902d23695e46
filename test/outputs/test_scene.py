"""What `evlayerseg view` shows, read back from the file that it saves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from called import done, refused, run
from root import ROOT

rerun = pytest.importorskip("rerun", reason="the extra [view] is not installed")

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.outputs import LAYER_DTYPE, Image, Points
from evlayerseg_ros.outputs.scene import Scene


def entities(path) -> set[str]:
    import rerun as rr

    data = path.read_bytes()
    assert rr.__version__ and data[:4] == b"RRF2"
    names = ("/camera/events", "/camera/mask", "/camera/motion", "/sharpened", "/speed/background")
    return {name for name in names if name.encode() in data}


def test_a_recording_is_segmented_and_saved(dots, tmp_path):
    out = tmp_path / "out.rrd"
    result = done("view", dots, "--save", out)
    assert "6 windows shown" in result.output or "7 windows shown" in result.output
    assert out.stat().st_size > 10_000
    assert "/camera/events" in entities(out)


def test_a_scene_that_no_disk_takes_is_one_sentence_and_ends(tmp_path, dots):
    code = "from evlayerseg_ros.cli import main; main()"
    env = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    env["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR", "/tmp/numba")

    def view(limit: str) -> subprocess.CompletedProcess[str]:
        line = f'ulimit -f {limit}; "$0" -c "$1" view "$2" --save "$3"'
        parts = [sys.executable, code, dots, tmp_path / f"{limit}.rrd"]
        return subprocess.run(["bash", "-c", line, *parts], env=env, capture_output=True, text=True)

    assert view("unlimited").returncode == 0  # everything is compiled by now
    done = view("20")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Rerun cannot write or send it all: is the disk full?" in done.stderr


def test_no_viewer_is_one_sentence(dots, tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    result = run("view", dots)
    assert result.exit_code == 2 and "The program `rerun` is not found" in result.output


def test_a_viewer_that_fails_is_not_called_missing(dots, tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "rerun").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "rerun").chmod(0o755)
    assert "`rerun` does not start (what it said stands above)" in refused("view", dots).output

    def fail(*args, **options):
        raise RuntimeError("Failed to spawn it: no memory.\nMore of it.")

    monkeypatch.setattr(rerun.RecordingStream, "spawn", fail)
    assert "not start (Failed to spawn it: no memory)" in refused("view", dots).output


@pytest.mark.parametrize("error", [OSError("no room"), BaseException("a panic")])
def test_whatever_fails_in_saving_is_one_sentence(dots, tmp_path, monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(rerun.RecordingStream, "save", fail)
    result = refused("view", dots, "--save", tmp_path / "out.rrd")
    assert f"out.rrd ({error}): expected a new file" in result.output


def test_ctrl_c_says_that_the_file_is_there(dots, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scene, "say", interrupted)  # after the first window
    out = tmp_path / "out.rrd"
    result = run("view", dots, "--save", out)
    assert result.exit_code == 130 and f"interrupted; {out} holds" in result.output
    assert "/camera/events" in entities(out)


def test_a_bag_of_outputs_is_shown_without_segmenting(dots, tmp_path):
    bag, out = tmp_path / "out.mcap", tmp_path / "out.rrd"
    done("replay", dots, "-o", bag)
    result = done("view", bag, "--save", out)
    assert "0 windows" not in result.output and "windows shown" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give a RECORDING or --live"),
        (("none.mcap",), "none.mcap"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(arguments, sentence):
    result = refused("view", *arguments)
    assert sentence in result.output


def test_without_a_display_it_says_what_to_do(dots, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = refused("view", dots)
    assert "--web" in result.output and "--save" in result.output


def test_a_port_that_is_taken_is_told_in_a_sentence(dots):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        result = refused("view", dots, "--web", "--no-browser", "--web-port", port)
        assert f"Port {port}" in result.output


def layers(*labels):
    table = np.zeros(1 + len(labels), LAYER_DTYPE)
    table["label"], table["events"] = (0, *labels), 9
    return Points(table)


@pytest.fixture
def logged(monkeypatch):
    """A scene and what it logs: (path, what)."""
    scene, said = Scene("test"), []
    monkeypatch.setattr(scene._stream, "log", lambda path, what: said.append((path, what)))
    return scene, said


MASK = Image("mono8", np.ones((8, 8), np.uint8))


def test_the_line_of_an_object_that_is_gone_ends(logged):
    scene, said = logged
    for k, labels in enumerate([(1,), (), (), (1,)]):
        scene.log(k, {"mask": MASK, "layers": layers(*labels)})
    found = [type(what).__name__ for path, what in said if path == ["speed", "moving 1"]]
    assert found == ["Scalars", "Clear", "Scalars"]


def test_arrows_of_slow_objects_can_be_seen_and_texts_read(logged):
    scene, said = logged
    table = layers(1)
    for speed, length in ((25, 15), (400, 40)):
        table.data["a_u0"][1] = speed
        scene.log(0, {"mask": MASK, "layers": table})
        shown = {path: what for path, what in said if isinstance(path, str)}
        assert shown["camera/motion"].vectors.as_arrow_array().to_pylist() == [[length, 0]]
        names = shown["camera/names"]
        assert names.labels.as_arrow_array().to_pylist() == [f"1: {speed} px/s"]
        assert names.colors.as_arrow_array().to_pylist() == [0xFFFFFFFF]


def test_the_disk_is_doubted_only_where_a_file_is_written(monkeypatch, tmp_path):
    def fail(**options):
        raise RuntimeError("timeout")

    for saved, doubt in ((False, "the viewer gone"), (True, "the disk full")):
        scene = Scene("test")
        if saved:
            scene.save(tmp_path / "out.rrd")
        monkeypatch.setattr(scene._stream, "flush", fail)
        with pytest.raises(InputError, match=rf"cannot write or send it all: is {doubt}\?"):
            scene.close()


def test_a_recording_is_played_and_a_node_followed():
    from evlayerseg_ros.outputs.blueprint import blueprint

    for live, state in ((False, "playing"), (True, "following")):
        assert blueprint(live).time_panel.play_state == state
