"""Odd machines: no folder to write to, missing modules, ROS arguments that make no sense."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from importlib import util

import numpy as np
import pytest
from root import ROOT

from evlayerseg_ros import surroundings
from evlayerseg_ros.errors import InputError

HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Hidden())
from evlayerseg_ros.cli import main
main()
"""


SECURED = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


def numba_cache():
    return os.environ.get("NUMBA_CACHE_DIR", "/tmp/numba")


def run(code, *args, **environment):
    """A Python of its own, with nothing in its environment but this."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


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


@pytest.mark.ros
@pytest.mark.parametrize("kind", ["FASTRTPS", "FASTDDS"])
def test_fast_dds_has_room_unless_the_user_has_settings(monkeypatch, kind):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from evlayerseg_ros.node import standalone_node

    name = f"{kind}_DEFAULT_PROFILES_FILE"  # of Humble and Jazzy; of Kilted and later
    monkeypatch.setattr(os, "environ", {**os.environ})
    for profile in standalone_node.PROFILES:
        os.environ.pop(profile, None)
    standalone_node.prepare_dds()
    # From Kilted on there is the new name alone.
    new = util.find_spec("fastdds") or os.environ.get("ROS_DISTRO", "") >= "kilted"
    if kind == "FASTRTPS" and new:
        assert name not in os.environ
    else:
        assert os.environ[name].endswith("config/fastdds.xml")
    monkeypatch.setattr(os, "environ", {name: "mine.xml"})
    standalone_node.prepare_dds()
    assert os.environ == {name: "mine.xml"}


@pytest.mark.ros
def test_ros_packages_that_are_missing_come_from_apt(tmp_path):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    done = run(HIDE.format(module="vision_msgs"), "segment", HOME=str(tmp_path))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "sudo apt install ros-$ROS_DISTRO-vision-msgs." in done.stderr


@pytest.mark.ros
@pytest.mark.parametrize(
    ("args", "environment", "told"),
    [
        (("play", "RECORDING"), {"ROS_DOMAIN_ID": "300"}, "ROS_DOMAIN_ID is '300': expected"),
        (("segment",), {"RMW_IMPLEMENTATION": "rmw_none"}, "not installed: there is rmw_"),
        (("demo",), {"ROS_DOMAIN_ID": "a"}, "ROS_DOMAIN_ID is 'a': expected"),
        (("play", "RECORDING"), {"ROS_LOG_DIR": "/proc/none"}, "ROS can write no log"),
        (("play", "RECORDING"), SECURED, "KEYSTORE (not set) holds no keys for this node: `ros2"),
        (("play", "RECORDING", "--to", "//x"), {}, "ROS takes no name such as"),
        (("play", "RECORDING", "--to", "a b"), {}, "ROS takes no name such as"),
    ],
)
def test_what_ros_refuses_in_any_command_is_one_sentence(tmp_path, dots, args, environment, told):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    code = "from evlayerseg_ros.cli import main; main()"
    args = [dots if arg == "RECORDING" else arg for arg in args]
    done = run(code, *args, **{"HOME": str(tmp_path), **environment})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("evlayerseg: ") and told in done.stderr


@pytest.mark.ros
def test_a_node_that_cannot_be_made_is_a_sentence(monkeypatch):
    """As where DDS finds none of the peers; not every middleware asks for them at the start."""
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from evlayerseg_ros.node.standalone_node import StandaloneNode

    def refuse(name, context):
        contexts.append(context)
        raise RuntimeError("error creating node: Unable to resolve peer robot-1\n, at x.cpp:234")

    contexts = []
    monkeypatch.setattr(rclpy, "create_node", refuse)
    with pytest.raises(InputError, match="ROS_STATIC_PEERS names robot-1, whose address cannot"):
        StandaloneNode("some")
    assert not contexts[0].ok()


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


@pytest.mark.ros
@pytest.mark.parametrize(
    ("args", "environment", "told"),
    [
        ((), {"ROS_DOMAIN_ID": "abc"}, "ROS_DOMAIN_ID is 'abc': expected a whole number"),
        (("--params-file", "/nowhere.yaml"), {}, "The parameters in /nowhere.yaml cannot be read"),
        (("-p", "model:="), {}, "model:= gives no value: expected NAME:=VALUE."),
        (("-r", "__ns:=bad ns"), {}, "ROS takes no name such as one in '__ns:=bad ns': expected"),
        (("-r", "~/events:=//davis/events"), {}, "expected words between single /."),
        (("-p", "provider:=gpu"), {}, "provider is 'gpu': expected auto or cpu"),
        ((), {"ROS_LOG_DIR": "/proc/none"}, "ROS can write no log: set ROS_LOG_DIR"),
        ((), {**SECURED, "ROS_SECURITY_KEYSTORE": "/none"}, "KEYSTORE (/none) holds no keys"),
        ((), SECURED, "ROS_SECURITY_ENABLE is true, but ROS_SECURITY_KEYSTORE (not set) holds"),
        ((), {"NUMBA_NUM_THREADS": "0"}, "NUMBA_NUM_THREADS is '0': expected a whole number"),
        (("--log-level", "foo"), {}, "are not understood"),
        ((), {"ROS_DOMAIN_ID": " "}, "ROS_DOMAIN_ID is ' ': expected a whole number"),
        ((), {"ROS_DOMAIN_ID": "\u0663"}, "ROS_DOMAIN_ID is '\u0663': expected a whole number"),
        (("-p", "threads:=-1"), {}, "Min: 0, Max: 256, value: -1.\n"),
        (("-p", "window.mode:=counts"), {}, "is 'counts': expected time or count.\n"),
    ],
)
def test_a_start_that_ros_refuses_is_one_sentence(tmp_path, args, environment, told):
    ros = ["--ros-args", *args] if args else []
    done = start(*ros, **{"HOME": str(tmp_path), **environment})
    assert done.returncode == 2
    assert done.stderr.startswith("segment: ") and done.stderr.count("\n") == 1
    assert told in done.stderr


def start(*args, **environment):
    """The node, which does not start."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    code = "from evlayerseg_ros.node.segment import main; main()"
    return run(code, *args, **environment)


@pytest.mark.ros
@pytest.mark.parametrize(
    ("args", "said"),
    [(("-p", "window.mode:=count"), "'-p window.mode:=count'"), (("--foo",), "'--foo'")],
)
def test_arguments_before_ros_args_are_refused(tmp_path, args, said):
    done = start(*args, "--ros-args", "-p", "autostart:=false", HOME=str(tmp_path))
    assert done.returncode == 2
    told = f"{said} is not understood: expected arguments of ROS, after --ros-args."
    assert done.stderr == f"segment: {told}\n"


@pytest.mark.ros
def test_a_full_disk_under_stderr_keeps_no_node_from_its_start(tmp_path):
    """Nor does it change how the node ends."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    code = """
import os, threading, sys
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
from evlayerseg_ros.node import segment
segment.spin = lambda node, stopping: print("spins", flush=True)
segment.main()
"""
    done = run(code, "--ros-args", "-p", "autostart:=false", HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "spins\n")
    assert run(code, "--ros-args", "-p", "modell:=x", HOME=str(tmp_path)).returncode == 2
    assert run(code, "--ros-args", "-p", "threads:=-1", HOME=str(tmp_path)).returncode == 2


@pytest.mark.ros
def test_names_that_are_no_ascii_are_read_in_any_locale(tmp_path):
    """As in the manifest of rmw_fastrtps_shared_cpp."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    code = """
from evlayerseg_ros.node import standalone_node
standalone_node.get_package_share_directory = lambda name: {!r}
print(*standalone_node.profile_names())
"""
    manifest = "<author>Jos\u00e9</author><version>9.1.2</version>"
    (tmp_path / "package.xml").write_text(manifest, "utf-8")
    done = run(code.format(str(tmp_path)), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.stdout == "FASTDDS_DEFAULT_PROFILES_FILE\n", done.stderr


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
