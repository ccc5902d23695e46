"""Odd machines: no folder to write to, missing modules, ROS arguments that make no sense."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bare_python import HIDE, numba_cache, run
from root import ROOT

from evlayerseg_ros import surroundings


@pytest.mark.parametrize(
    ("module", "name", "package"),
    [
        ("h5py", "some.h5", "h5py"),
        ("faery", "some.es", "faery"),
        ("rosbags", "some.mcap", "rosbags"),
        ("onnxruntime", "some.npz", "onnxruntime"),
        ("cv2", "some.npz", "opencv-python-headless"),
        ("click", "some.npz", "click"),
        ("numpy", "some.npz", "numpy"),
    ],
)
def test_a_module_that_is_missing_is_one_sentence(tmp_path, module, name, package):
    path = tmp_path / name
    if name == "some.npz":
        n = 300
        np.savez(
            path, x=np.ones(n), y=np.ones(n), t=np.arange(n) * 10**5, p=np.ones(n), size=(9, 9)
        )
    else:
        path.write_bytes(b"some bytes")
    video = ["--video", tmp_path / "out.mp4"] if module == "cv2" else []
    done = run(HIDE.format(module=module), "replay", path, *video, NUMBA_CACHE_DIR=numba_cache())
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{package}, which is not installed: pip install {package}." in done.stderr


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("torch", ("train", "OUT")),
        ("torch", ("export", "paper", "-o", "OUT")),
        ("rerun-sdk", ("view", "RECORDING")),
        ("matplotlib", ("evaluate", "RECORDING", "--report", "OUT")),
        ("distributed", ("evaluate", "RECORDING", "--cluster", "tcp://127.0.0.1:1")),
        ("av", ("replay", "RECORDING", "--video", "OUT.mp4")),
    ],
)
def test_a_package_that_only_one_command_needs_is_named_by_it(tmp_path, dots, package, command):
    names = {"OUT": str(tmp_path / "out"), "OUT.mp4": str(tmp_path / "out.mp4")}
    names["RECORDING"] = str(dots)
    code = HIDE.format(module=package.removesuffix("-sdk"))
    cache = os.environ.get("NUMBA_CACHE_DIR", "/tmp/numba")
    args = [names.get(arg, arg) for arg in command]
    done = run(code, *args, NUMBA_CACHE_DIR=cache)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{package}, which is not installed: pip install {package}." in done.stderr


@pytest.mark.parametrize("number", ["0", "-2"])
def test_a_number_of_threads_that_numba_refuses_is_one_sentence(dots, number):
    code = "from evlayerseg_ros.cli import main; main()"
    done = run(code, "replay", dots, NUMBA_NUM_THREADS=number)
    assert done.returncode == 2
    told = f"NUMBA_NUM_THREADS is '{number}': expected a whole number from 1 on."
    assert done.stderr == f"evlayerseg: {told}\n"


@pytest.mark.parametrize("number", ["abc", "+-3", ""])
def test_a_number_of_threads_that_is_none_is_told_and_not_used(dots, number):
    code = "from evlayerseg_ros.cli import main; main()"
    done = run(code, "replay", dots, NUMBA_NUM_THREADS=number, NUMBA_CACHE_DIR=numba_cache())
    told = f"evlayerseg: NUMBA_NUM_THREADS is {number!r} and is not used: expected a whole number."
    assert done.returncode == 0 and done.stderr.startswith(f"{told}\n") == bool(number)
    assert ("NUMBA" in done.stderr) == bool(number)


def test_code_is_compiled_whatever_numba_is_told(dots):
    code = "from evlayerseg_ros.cli import main; main()"
    done = run(code, "replay", dots, NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR=numba_cache())
    assert done.returncode == 0
    assert done.stderr.startswith("evlayerseg: NUMBA_DISABLE_JIT is not used: without compiled")


def test_damaged_code_that_no_file_is_known_of_is_in_a_cache():
    try:
        raise ValueError("bad marshal data (unknown type code)")
    except ValueError as error:
        assert surroundings.sentence_of(error).startswith("A file in __pycache__ is damaged")


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 0.5])
def test_compiled_code_that_is_damaged_is_compiled_anew(tmp_path, suffix, left):
    """As a disk leaves it that was full, or lost its power."""
    code = (
        "import numpy as np\n"
        "from evlayerseg_ros.events.codecs import Decoder\n"
        "print(len(Decoder('evt2', 9, 9).decode(np.zeros(8, np.uint8))))\n"
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout == "0\n"
    files = sorted(tmp_path.rglob(f"*.{suffix}"))
    sizes = [file.stat().st_size for file in files]
    for file in files:
        file.write_bytes(file.read_bytes()[: int(left * file.stat().st_size)])
    done = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert files and done.stdout == "0\n" and not done.stderr
    assert sizes == [file.stat().st_size for file in files]


def test_compiled_python_that_is_damaged_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    room = tmp_path / "evlayerseg_ros"
    shutil.copytree(ROOT / "evlayerseg_ros", room, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from evlayerseg_ros.cli import main; main(['--version'])"
    assert run(code, PYTHONPATH=str(tmp_path)).returncode == 0
    (file,) = (room / "commands/__pycache__").glob("bench*.pyc")
    file.write_bytes(file.read_bytes()[:200])
    done = run(code, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    told = f"evlayerseg: {file} is damaged, as after a disk was full: delete it.\n"
    assert done.stderr == told


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_change_nothing(tmp_path, dots, closed):
    code = "from evlayerseg_ros.cli import main; main()"
    out = tmp_path / "out"
    line = f'"$0" -c "$1" replay "$2" -o "$3" {closed}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, code, dots, out],
        env={"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": numba_cache(), "PATH": os.environ["PATH"]},
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 and (out / "metadata.yaml").is_file()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), ("replay", "--help"), ("replay", "RECORDING")]
)
def test_a_disk_that_is_full_is_one_sentence(dots, args):
    code = "from evlayerseg_ros.cli import main; main()"
    args = [str(dots) if arg == "RECORDING" else arg for arg in args]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            env={"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": numba_cache()},
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("evlayerseg: Cannot read or write: No space left on device.\n")
    assert "ignored" not in done.stderr


def test_an_unwritable_cache_is_replaced_and_told_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(surroundings, "_writable", lambda folder: False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/nowhere")
    monkeypatch.delenv("ROS_LOG_DIR", raising=False)
    monkeypatch.delenv("EVLAYERSEG_TOLD", raising=False)
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(tmp_path))
    surroundings.prepare()
    told = capsys.readouterr().err
    assert os.environ["NUMBA_CACHE_DIR"].startswith(str(tmp_path)) and told.count("\n") == 1
    assert os.environ["ROS_LOG_DIR"].startswith(str(tmp_path))
    surroundings.prepare()
    assert not capsys.readouterr().err


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(tmp_path))
    theirs = tmp_path / f"evlayerseg-numba-{os.getuid()}"
    theirs.mkdir(mode=0o777)
    theirs.chmod(0o777)
    assert surroundings._own_folder("numba") not in (None, str(theirs))


def test_what_libraries_write_is_kept_from_the_user(capfd):
    with surroundings.stderr_dropped():
        os.write(2, b"libpng warning: iCCP")
    os.write(2, b"an error")
    assert capfd.readouterr().err == "an error"


def test_freed_memory_goes_back_to_the_system():
    """What lies below something that is still used is kept by glibc otherwise."""
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("no glibc")
    code = """
import numpy as np
from evlayerseg_ros.bench.measure import Usage
from evlayerseg_ros.surroundings import give_back_memory, keep_freed_memory
import os
keep_freed_memory()
blocks = [np.ones(1 << 20, np.uint8) for _ in range(200)]
last = np.ones(1 << 20, np.uint8)
del blocks
before = Usage.of(os.getpid()).now
give_back_memory()
print((before - Usage.of(os.getpid()).now) >> 20, last[0])
"""
    done = run(code, NUMBA_CACHE_DIR=numba_cache())
    assert int(done.stdout.split()[0]) >= 190
