"""What a user sees of the commands: help, version, and one sentence for bad input."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from evlayerseg_ros import __version__
from evlayerseg_ros.cli import main


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def refused(result: Result, *words: str) -> None:
    """Exit status 2, one line on stderr that has these words, no traceback."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("evlayerseg: ")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]
    assert "Traceback" not in result.output


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in ("segment", "play", "replay", "evaluate"):
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself(name) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_version() -> None:
    assert run("--version").output == f"evlayerseg {__version__}\n"


def test_help_needs_neither_torch_nor_ros_nor_numpy() -> None:
    code = (
        "import sys; from evlayerseg_ros.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'rclpy', 'onnxruntime', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_missing_recording(tmp_path) -> None:
    refused(run("replay", tmp_path / "none.raw"), "none.raw")
    refused(run("evaluate", tmp_path / "none.npz"), "none.npz")


def test_unreadable_recording(tmp_path) -> None:
    path = tmp_path / "noise.raw"
    path.write_bytes(bytes(range(256)) * 10)
    refused(run("replay", path), "noise.raw")


def test_wrong_model(dots, tmp_path) -> None:
    refused(run("replay", dots, "--model", tmp_path / "none.onnx"), "none.onnx")
    corrupt = tmp_path / "corrupt.onnx"
    corrupt.write_bytes(b"not a model")
    refused(run("replay", dots, "--model", corrupt), "corrupt.onnx")


def test_wrong_outputs(dots, tmp_path) -> None:
    refused(run("replay", dots, "-o", tmp_path / "no folder" / "out.mcap"), "out.mcap")
    refused(run("replay", dots, "--video", tmp_path / "no folder" / "out.mp4"), "out.mp4")
    refused(run("replay", dots, "-o", tmp_path), str(tmp_path))
    refused(run("replay", dots, "--outputs", "mask,nonsense"), "nonsense", "mask_overlay")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_recording_that_may_not_be_read(dots) -> None:
    dots.chmod(0)
    refused(run("replay", dots), "dots.npz")


@pytest.mark.parametrize("missing", ["rclpy", "event_camera_msgs"])
def test_ros_commands_without_ros(dots, monkeypatch, missing) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for command in (("play", dots), ("segment",)):
        refused(run(*command), "ROS 2")


def test_wrong_windows(dots) -> None:
    both = run("replay", dots, "--window-ms", "5", "--window-events", "7")
    assert both.exit_code == 2
    assert "not both" in both.stderr
    refused(run("replay", dots, "--window-ms", "1e9"), "duration_ms")


@pytest.mark.parametrize("number", ["nan", "inf", "1e300"])
@pytest.mark.parametrize("option", ["--start", "--duration", "--window-ms", "--stride-ms"])
def test_numbers_that_are_none(dots, option, number) -> None:
    result = run("replay", dots, option, number)
    assert result.exit_code == 2 and option in result.stderr


def test_evaluate_without_masks(dots) -> None:
    result = run("evaluate", dots)
    assert result.exit_code == 0 and "dots has no masks" in result.stderr
    refused(run("evaluate", dots, "--protocol", "paper"), "dots.npz", "masks")
