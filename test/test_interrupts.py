"""Ctrl-C: one line and status 130, whenever it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from called import run
from root import ROOT

from evlayerseg_ros import interrupts


def run_python(script, folder):
    """What it printed, with the modules that lie in a folder."""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
    )  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True])
def test_ctrl_c_is_one_sentence_and_status_130(dots, monkeypatch, wrapped):
    from evlayerseg_ros.recordings import readers

    def interrupted(*args):
        if wrapped:  # as numba does
            try:
                raise SystemError from KeyboardInterrupt()
            except SystemError as error:
                raise SystemError from error
        raise KeyboardInterrupt

    monkeypatch.setattr(readers, "open_recording", interrupted)
    result = run("replay", dots)
    assert result.exit_code == 130 and result.output.strip() == "evlayerseg: interrupted."


@pytest.mark.parametrize("seconds", [0.3, 5.0])
def test_ctrl_c_inside_an_import_waits_until_it_is_over_but_not_for_long(tmp_path, seconds):
    """An exception in there may abort the process, or come out as an ImportError."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"    end = time.monotonic() + {seconds}\n"
        "    while time.monotonic() < end: time.sleep(0.01)\n"
        "except KeyboardInterrupt:\n"
        "    raise ImportError('initialization failed')\n"
        "print('imported', flush=True)\n"
    )
    script = (
        "import click\n"
        "from evlayerseg_ros.cli import main\n"
        "@main.command()\n"
        "def test():\n"
        "    import slow\n"
        "    print('went on')\n"
        "main(['test'])\n"
    )
    done = run_python(script, tmp_path)
    assert done.returncode == 130 and done.stderr.strip() == "evlayerseg: interrupted."
    assert ("imported" in done.stdout) == (seconds < 1)


def test_what_answered_signals_before_does_so_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)]
    with pytest.raises(KeyboardInterrupt), interrupts.none_in_imports():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)] == before


def test_ctrl_c_at_an_import_s_end_also_ends_a_call_that_waits(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(10**6): pass\n"
    )
    script = (
        "import os, time\n"
        "from evlayerseg_ros import interrupts\n"
        "before = time.monotonic()\n"
        "try:\n"
        "    with interrupts.none_in_imports():\n"
        "        import slow\n"
        "        os.read(os.pipe()[0], 1)\n"  # which nobody ever writes to
        "except KeyboardInterrupt:\n"
        "    print('ended')\n"
    )
    done = run_python(script, tmp_path)
    assert done.stdout == "ended\n"
