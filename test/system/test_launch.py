"""The launch files, started for real as `ros2 launch` starts them; skipped where it is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from root import ROOT

pytest.importorskip("launch_ros", reason="the launch system is not installed")
pytest.importorskip("rclpy", reason="no ROS 2 here")

from faulty_files import array_bag
from ros import EPOCH, MS, TIMEOUT, Client, moving_box
from streams import save

from evlayerseg_ros.events import Events

SEGMENT = ROOT / "launch/segment.launch.py"
# What `ros2 launch` does, without its command line.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace


def include(path, *arguments):
    given = [tuple(argument.split(":=", 1)) for argument in arguments]
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=given)


def run(*entities):
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription(entities))
    sys.exit(service.run())
"""


class Launched:
    """A launch in a process of its own; `log` is what it printed."""

    def __init__(self, folder, body: str) -> None:
        self._log = folder / "launch.log"
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH + body],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        return self.process.wait(TIMEOUT)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()


@pytest.fixture
def launched(tmp_path):
    running = []

    def start(body: str) -> Launched:
        running.append(Launched(tmp_path, body))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def of_segment(*arguments: str) -> str:
    return f"run(include({str(SEGMENT)!r}, *{arguments!r}))"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return save(tmp_path_factory.mktemp("recording") / "box.npz", moving_box())


def test_a_launch_with_a_recording_plays_it_and_ends_clean(launched, recording):
    launch = launched(of_segment(f"bag:={recording}", "rviz:=true", "threads:=1"))
    assert launch.wait() == 0, launch.log
    assert "rviz2 is not installed: going on without it" in launch.log
    assert f"{recording}: " in launch.log and "on /event_camera/events" in launch.log
    assert launch.log.count("process has finished cleanly") == 2, launch.log
    assert "Traceback" not in launch.log and "process has died" not in launch.log


def test_one_of_the_topics_of_a_recording_is_played(launched, tmp_path):
    topics, path = ("/left/events", "/right/events"), tmp_path / "stereo"
    with array_bag(path, topics=topics) as add:
        for k in range(25):
            begin = EPOCH + k * 4 * MS
            e = Events.from_arrays([1], [2], [begin], [1], 128, 96)
            add(e, begin, topics[k % 5 == 0])  # 20 and 5
    launch = launched(of_segment(f"bag:={path}", "bag_topic:=/right/events"))
    assert launch.wait() == 0, launch.log
    assert f"{path}: 5 packets" in launch.log and "on /event_camera/events" in launch.log
    launch = launched(of_segment(f"bag:={path}"))
    assert launch.wait() == 1
    assert "several event topics, choose: /left/events, /right/events" in launch.log
    assert "Traceback" not in launch.log


def test_a_recording_that_is_missing_ends_the_launch_with_a_sentence(launched, tmp_path):
    launch = launched(of_segment(f"bag:={tmp_path / 'none.mcap'}"))
    assert launch.wait() == 1
    assert "none.mcap" in launch.log and "Traceback" not in launch.log


def test_a_model_that_is_missing_ends_the_launch_with_a_sentence(launched):
    launch = launched(of_segment("model:=nosuch"))
    assert launch.wait() == 1
    assert "model nosuch does not exist" in launch.log and "Traceback" not in launch.log


def test_a_shipped_model_is_taken_by_name(launched, client):
    launched(of_segment("model:=layernet-label-free", "threads:=1"))
    client.until(lambda: heard_by(client, "/event_camera/events"), "the node to listen")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "does not exist"),
        ("/**:\n  ros__parameters:\n    window: [", "cannot be read as YAML"),
        ("window:\n  duration_ms: 20.0", "holds no `ros__parameters:`"),
        (
            "/**:\n  ros__parameters:\n    window.duration: 20.0",
            "no parameter window.duration: is window.duration_ms meant?",
        ),
        ("/**:\n  ros__parameters:\n    window.duration_ms: long", "window.duration_ms"),
    ],
)
def test_a_wrong_parameter_file_is_told_in_a_sentence(launched, tmp_path, text, sentence):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    launch = launched(of_segment(f"params_file:={path}"))
    assert launch.wait() == 1
    assert sentence in launch.log and "Traceback" not in launch.log


def heard_by(client: Client, topic: str) -> list[str]:
    found = client.node.get_subscriptions_info_by_topic(topic)
    return [f"{info.node_namespace}/{info.node_name}" for info in found]


def heard_as(client: Client, node: str, topic: str) -> None:
    """Waits until that node alone hears a topic; discovery may not know its name at once."""
    client.until(lambda: heard_by(client, topic) == [node], f"{topic} to be heard by {node}")


# The same file twice in one launch, below a robot's name; a third with an absolute name.
THREE = f"""
one = {str(SEGMENT)!r}
run(
    GroupAction([
        PushRosNamespace("robot1"),
        include(one, "camera:=left", "threads:=1"),
        include(one, "camera:=right", "threads:=1"),
        include(one, "camera:=/robot2/davis", "threads:=1"),
    ])
)
"""


def test_cameras_under_any_namespace_hear_their_own_events_and_end_on_ctrl_c(launched, client):
    launch = launched(THREE)
    for camera in ("/robot1/left", "/robot1/right", "/robot2/davis"):
        heard_as(client, f"{camera}/evlayerseg", f"{camera}/events")
        heard_as(client, f"{camera}/evlayerseg", f"{camera}/camera_info")  # it stands beside
    assert not heard_by(client, "/event_camera/events")
    begun = time.monotonic()
    launch.stop()
    assert time.monotonic() - begun < 20
    assert launch.log.count("process has finished cleanly") == 3, launch.log


def test_whole_numbers_do_for_durations(launched, client, tmp_path):
    from rcl_interfaces.srv import GetParameters

    path = tmp_path / "mine.yaml"
    path.write_text("/**:\n  ros__parameters:\n    window: {duration_ms: 20}\n    threads: 1\n")
    launched(of_segment(f"params_file:={path}"))
    request = GetParameters.Request(names=["window.duration_ms"])
    answer = client.call(GetParameters, "/event_camera/evlayerseg/get_parameters", request)
    assert answer.values[0].double_value == 20.0


def test_a_gyro_is_heard_beside_the_events(launched, client, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("/**:\n  ros__parameters:\n    camera: {motion: imu}\n    threads: 1\n")
    launched(of_segment("camera:=robot/davis", f"params_file:={path}"))
    for topic in ("imu", "camera_info"):
        heard_as(client, "/robot/davis/evlayerseg", f"/robot/davis/{topic}")
