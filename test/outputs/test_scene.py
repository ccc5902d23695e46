"""What `evlayerseg view` shows, read back from the file that it saves."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("rerun", reason="the extra [view] is not installed")

from evlayerseg_ros.cli import main


@pytest.fixture
def recording(tmp_path):
    """0.2 s of a dot pattern of which a part moves by itself, 64x48."""
    rng = np.random.default_rng(1)
    n = 8000
    t = np.sort(rng.integers(0, 200_000_000, n))
    x, y = rng.integers(0, 64, n), rng.integers(0, 48, n)
    path = tmp_path / "dots.npz"
    np.savez(path, x=x, y=y, t=t, p=rng.integers(0, 2, n), size=(64, 48))
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["view", *map(str, arguments)])


def entities(path) -> set[str]:
    import rerun as rr

    data = path.read_bytes()
    assert rr.__version__ and data[:4] == b"RRF2"
    names = ("/camera/events", "/camera/mask", "/camera/motion", "/sharpened", "/speed/background")
    return {name for name in names if name.encode() in data}


def test_a_recording_is_segmented_and_saved(recording, tmp_path):
    out = tmp_path / "out.rrd"
    result = run(recording, "--save", out)
    assert result.exit_code == 0, result.output
    assert "6 windows shown" in result.output or "7 windows shown" in result.output
    assert out.stat().st_size > 10_000
    assert "/camera/events" in entities(out)


def test_a_bag_of_outputs_is_shown_without_segmenting(recording, tmp_path):
    bag, out = tmp_path / "out.mcap", tmp_path / "out.rrd"
    written = CliRunner().invoke(main, ["replay", str(recording), "-o", str(bag)])
    assert written.exit_code == 0, written.output
    result = run(bag, "--save", out)
    assert result.exit_code == 0, result.output
    assert "0 windows" not in result.output and "windows shown" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give a RECORDING or --live"),
        (("none.mcap",), "none.mcap"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == 2 and sentence in result.output


def test_without_a_display_it_says_what_to_do(recording, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = run(recording)
    assert result.exit_code == 2
    assert "--web" in result.output and "--save" in result.output
