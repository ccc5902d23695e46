"""What a user sees of the commands: help, version, and one sentence for bad input."""

import os
import subprocess
import sys

import pytest
from called import done, refused, run
from click.testing import Result

from evlayerseg_ros import __version__
from evlayerseg_ros.cli import main


def told(result: Result, *words: str) -> None:
    """Of a command that was refused: one line on stderr, which has these words."""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("evlayerseg: ")]
    for word in words:
        assert word in line


def test_help_names_every_command() -> None:
    result = done("--help")
    for name in ("segment", "play", "replay", "evaluate"):
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself(name) -> None:
    assert "Usage:" in done(name, "--help").output


def test_version() -> None:
    assert run("--version").output == f"evlayerseg {__version__}\n"


def test_help_needs_neither_torch_nor_ros_nor_numpy() -> None:
    code = (
        "import sys; from evlayerseg_ros.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'rclpy', 'onnxruntime', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_missing_recording(tmp_path) -> None:
    told(refused("replay", tmp_path / "none.raw"), "none.raw")
    told(refused("evaluate", tmp_path / "none.npz"), "none.npz")


def test_unreadable_recording(tmp_path) -> None:
    path = tmp_path / "noise.raw"
    path.write_bytes(bytes(range(256)) * 10)
    told(refused("replay", path), "noise.raw")


def test_wrong_model(dots, tmp_path) -> None:
    told(refused("replay", dots, "--model", tmp_path / "none.onnx"), "none.onnx")
    corrupt = tmp_path / "corrupt.onnx"
    corrupt.write_bytes(b"not a model")
    told(refused("replay", dots, "--model", corrupt), "corrupt.onnx")


def test_wrong_outputs(dots, tmp_path) -> None:
    told(refused("replay", dots, "-o", tmp_path / "no folder" / "out.mcap"), "out.mcap")
    told(refused("replay", dots, "--video", tmp_path / "no folder" / "out.mp4"), "out.mp4")
    told(refused("replay", dots, "-o", tmp_path), str(tmp_path))
    told(refused("replay", dots, "--outputs", "mask,nonsense"), "nonsense", "mask_overlay")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_recording_that_may_not_be_read(dots) -> None:
    dots.chmod(0)
    told(refused("replay", dots), "dots.npz")


@pytest.mark.parametrize("missing", ["rclpy", "event_camera_msgs"])
def test_ros_commands_without_ros(dots, monkeypatch, missing) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for command in (("play", dots), ("segment",)):
        told(refused(*command), "ROS 2")


def test_wrong_windows(dots) -> None:
    both = refused("replay", dots, "--window-ms", "5", "--window-events", "7")
    assert "not both" in both.stderr
    told(refused("replay", dots, "--window-ms", "1e9"), "duration_ms")


@pytest.mark.parametrize("number", ["nan", "inf", "1e300"])
@pytest.mark.parametrize("option", ["--start", "--duration", "--window-ms", "--stride-ms"])
def test_numbers_that_are_none(dots, option, number) -> None:
    assert option in refused("replay", dots, option, number).stderr


def test_evaluate_without_masks(dots) -> None:
    assert "dots has no masks" in done("evaluate", dots).stderr
    told(refused("evaluate", dots, "--protocol", "paper"), "dots.npz", "masks")
