"""What the start of a node or of a command with ROS refuses, each in a sentence."""

from __future__ import annotations

import os
from importlib import util

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from bare_python import HIDE, run

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.node import standalone_node

pytestmark = pytest.mark.ros
SECURED = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize("kind", ["FASTRTPS", "FASTDDS"])
def test_fast_dds_has_room_unless_the_user_has_settings(monkeypatch, tmp_path, kind):
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
    mine = tmp_path / "mine.xml"
    mine.write_text("<dds></dds>")
    monkeypatch.setattr(os, "environ", {name: str(mine)})
    standalone_node.prepare_dds()
    assert os.environ == {name: str(mine)}


def test_ros_packages_that_are_missing_come_from_apt(tmp_path):
    done = run(HIDE.format(module="vision_msgs"), "segment", HOME=str(tmp_path))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "sudo apt install ros-$ROS_DISTRO-vision-msgs." in done.stderr


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
    code = "from evlayerseg_ros.cli import main; main()"
    args = [dots if arg == "RECORDING" else arg for arg in args]
    done = run(code, *args, **{"HOME": str(tmp_path), **environment})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("evlayerseg: ") and told in done.stderr


def test_a_node_that_cannot_be_made_is_a_sentence(monkeypatch):
    """As where DDS finds none of the peers; not every middleware asks for them at the start."""

    def refuse(name, context):
        contexts.append(context)
        raise RuntimeError("error creating node: Unable to resolve peer robot-1\n, at x.cpp:234")

    contexts = []
    monkeypatch.setattr(rclpy, "create_node", refuse)
    with pytest.raises(InputError, match="ROS_STATIC_PEERS names robot-1, whose address cannot"):
        standalone_node.StandaloneNode("some")
    assert not contexts[0].ok()


@pytest.mark.parametrize(
    ("args", "environment", "told"),
    [
        ((), {"ROS_DOMAIN_ID": "abc"}, "ROS_DOMAIN_ID is 'abc': expected a whole number"),
        (("--params-file", "/nowhere.yaml"), {}, "The parameters in /nowhere.yaml cannot be read"),
        (("-p", "model:="), {}, "model:= gives no value: expected NAME:=VALUE."),
        (("-r", "__ns:=bad ns"), {}, "ROS takes no name such as one in '__ns:=bad ns': expected"),
        (
            ("-r", "~/events:=//davis/events"),
            {},
            "one in '~/events:=//davis/events': expected words",
        ),
        (("-r", "~/events:=/event-camera/x"), {}, "one in '~/events:=/event-camera/x': expected"),
        (("-r", "~/events:=/1cam/events"), {}, "none of which begins with a digit, between"),
        (("-r", "__ns:=cam"), {}, "'__ns:=cam': expected words of letters, digits and _, none of"),
        (("--log-config-file", "/no"), {}, "The settings of the log in /no cannot be read.\n"),
        ((), {"RCUTILS_COLORIZED_OUTPUT": "maybe"}, "_OUTPUT is 'maybe': expected 0 or 1.\n"),
        ((), {"FASTRTPS_DEFAULT_PROFILES_FILE": "/no.xml"}, "names /no.xml, which is no XML file"),
        (("-p", "window.stride_ms:=0.05"), {}, "expected 0, or 0.1 or more.\n"),
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
    code = "from evlayerseg_ros.node.segment import main; main()"
    return run(code, *args, **environment)


@pytest.mark.parametrize(
    ("args", "said"),
    [(("-p", "window.mode:=count"), "'-p window.mode:=count'"), (("--foo",), "'--foo'")],
)
def test_arguments_before_ros_args_are_refused(tmp_path, args, said):
    done = start(*args, "--ros-args", "-p", "autostart:=false", HOME=str(tmp_path))
    assert done.returncode == 2
    told = f"{said} is not understood: expected arguments of ROS, after --ros-args."
    assert done.stderr == f"segment: {told}\n"


def test_a_full_disk_under_stderr_keeps_no_node_from_its_start(tmp_path):
    """Nor does it change how the node ends."""
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


def test_names_that_are_no_ascii_are_read_in_any_locale(tmp_path):
    """As in the manifest of rmw_fastrtps_shared_cpp."""
    code = """
from evlayerseg_ros.node import standalone_node
standalone_node.get_package_share_directory = lambda name: {!r}
print(*standalone_node.profile_names())
"""
    manifest = "<author>Jos\u00e9</author><version>9.1.2</version>"
    (tmp_path / "package.xml").write_text(manifest, "utf-8")
    done = run(code.format(str(tmp_path)), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.stdout == "FASTDDS_DEFAULT_PROFILES_FILE\n", done.stderr
