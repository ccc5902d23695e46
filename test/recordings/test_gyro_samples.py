"""A gyro's samples and the camera's matrix, of a bag or said beside a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from turning import LENGTH, LENS, TICK, H, W, gyro, windows

from evlayerseg_ros.cli import main
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events
from evlayerseg_ros.outputs.messages import DEFINITIONS
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.recordings.imu import read_samples, turn_of
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.config import SegmenterConfig

STAMP = 1_700_000_000_000_000_000
COUNT = 24
PACKET = "event_camera_msgs/msg/EventPacket"
IMU_CONFIG = PipelineConfig(segmenter=SegmenterConfig(camera_motion="imu"))


def rate(t: float) -> np.ndarray:
    return np.array((0.4 * np.sin(31 * t + 1), 0.6 * np.sin(25 * t), 0.3 * np.sin(19 * t)))


@pytest.fixture(scope="module")
def events() -> Events:
    return Events.concatenate([window.events for window in windows(rate, COUNT)])


@pytest.fixture
def file(tmp_path: Path, events: Events) -> Path:
    path = tmp_path / "some.npz"
    np.savez(path, x=events.x, y=events.y, t=events.t, p=events.p, size=(W, H))
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "gyro.txt"
    t = np.arange(COUNT * LENGTH // TICK) * 1e-3
    np.savetxt(path, [(at, *rate(at)) for at in t], header="t x y z", fmt="%.9f")
    return path


def bag(path: Path, events: Events, imus=("/camera/imu",), fx=300.0, size=(W, H)) -> Path:
    """A bag with events, samples and a matrix as a driver records them, in ROS time."""
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(DEFINITIONS[PACKET], PACKET))
    make = types.types

    def header(stamp: int):
        time = make["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
        return make["std_msgs/msg/Header"](stamp=time, frame_id="camera")

    def vector(x, y, z):
        return make["geometry_msgs/msg/Vector3"](*map(float, (x, y, z)))

    still = make["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:

        def add(topic, kind, stamp, **fields):
            message = make[kind](header=header(stamp), **fields)
            if topic not in connected:
                connected[topic] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connected[topic], stamp, types.serialize_cdr(message, kind))

        connected = {}
        roi = make["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        k = np.array((fx, 0, LENS.cx, 0, fx, LENS.cy, 0, 0, 1))
        add(
            "/camera/camera_info", "sensor_msgs/msg/CameraInfo", STAMP,
            height=size[1], width=size[0], distortion_model="", d=np.zeros(0), k=k, r=np.zeros(9),
            p=np.zeros(12), binning_x=0, binning_y=0, roi=roi,
        )  # fmt: skip
        for t in range(0, COUNT * LENGTH, TICK):
            for topic in imus:
                add(
                    topic, "sensor_msgs/msg/Imu", STAMP + t, orientation=still,
                    orientation_covariance=np.zeros(9), angular_velocity=vector(*rate(t * 1e-9)),
                    angular_velocity_covariance=np.zeros(9), linear_acceleration=vector(0, 0, 0),
                    linear_acceleration_covariance=np.zeros(9),
                )  # fmt: skip
        length = 10 * TICK
        for seq, begin in enumerate(range(0, COUNT * LENGTH, length)):
            first, last = np.searchsorted(events.t, (begin, begin + length))
            data = np.frombuffer(bytes(encode_mono(events[first:last], begin)), np.uint8)
            add(
                "/camera/events", PACKET, STAMP + begin, height=H, width=W, seq=seq,
                time_base=begin, encoding="mono", is_bigendian=False, events=data,
            )  # fmt: skip
    return path


def asked(path: Path, config: PipelineConfig = IMU_CONFIG, **said):
    with open_recording(path) as opened:
        return turn_of(opened, replace(config, **said))


def assert_exact(turn, offset: int = 0) -> None:
    """The turn of some window is that of the samples, whose clock is `offset` ns ahead."""
    window = windows(rate, 3)[-1]
    wanted = gyro(rate, COUNT * LENGTH // TICK).turn(window)
    found = turn(replace(window, stamp=window.end + offset))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_a_bag_s_own_samples_and_matrix(tmp_path, events) -> None:
    path = bag(tmp_path / "bag", events)
    assert_exact(asked(path), STAMP)
    assert asked(path, PipelineConfig()) is None


def test_of_several_the_one_beside_the_events_is_taken_or_the_one_that_is_said(tmp_path, events):
    path = bag(tmp_path / "bag", events, ("/base/imu", "/camera/imu"))
    assert_exact(asked(path), STAMP)
    assert_exact(asked(path, imu="/base/imu"), STAMP)
    path = bag(tmp_path / "other", events, ("/base/imu", "/arm/imu"))
    with pytest.raises(InputError, match=r"several .*--imu says which: /arm/imu, /base/imu"):
        asked(path)


def test_a_text_file_and_a_matrix(file, samples) -> None:
    assert_exact(asked(file, imu=str(samples), camera_matrix=(300.0, 300.0, LENS.cx, LENS.cy)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.5 0.1 0.2 0.3\n1 1 2 3\n", (0.1, 0.2, 0.3)),
        ("# rates in deg/s\n0.5,90,0,180\n", (np.pi / 2, 0, np.pi)),
        ("0.5 9 9 9 0.1 0.2 0.3\n", (0.1, 0.2, 0.3)),
        ("1 1 2 3\n0.5 0.1 0.2 0.3\n0.5 7 7 7\n", (0.1, 0.2, 0.3)),
    ],
    ids=["plain", "degrees", "with accelerations", "in disorder"],
)
def test_samples_as_text(tmp_path, text, wanted) -> None:
    (tmp_path / "gyro.txt").write_text(text)
    t, rates = read_samples(tmp_path / "gyro.txt")
    assert t[0] == 500_000_000 and rates[0] == pytest.approx(wanted)
    assert (np.diff(t) > 0).all()


def test_samples_that_are_no_numbers_are_left_out_and_told(tmp_path, capsys) -> None:
    path = tmp_path / "gyro.txt"
    path.write_text("0.1 1 2 3\n0.2 nan 2 3\nnan 1 2 3\n0.4 4 5 6\n")
    t, rates = read_samples(path)
    assert t.tolist() == [100_000_000, 400_000_000] and rates.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert f"{path}: 2 of 4 samples are not finite and are left out." in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1 2 3\n", "one two three four\n", "1 nan 0 0\n"])
def test_other_text_is_refused(tmp_path, text) -> None:
    path = tmp_path / "gyro.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"gyro\.txt .*expected lines `t x y z`"):
        read_samples(path)


def test_what_is_missing_is_said_with_its_remedy(tmp_path, events, file, samples) -> None:
    matrix = (300.0, 300.0, 160.0, 120.0)
    with pytest.raises(InputError, match="--camera-matrix FX,FY,CX,CY"):
        asked(file, imu=str(samples))
    with pytest.raises(InputError, match="has no sensor_msgs/msg/Imu: --imu FILE"):
        asked(file, camera_matrix=matrix)
    with pytest.raises(InputError, match=r"nothing\.txt"):
        asked(file, camera_matrix=matrix, imu=str(tmp_path / "nothing.txt"))
    with pytest.raises(InputError, match="/arm/imu"):
        asked(bag(tmp_path / "bag", events), imu="/arm/imu")
    with pytest.raises(InputError, match="calibrate the camera"):
        asked(bag(tmp_path / "raw", events, fx=0.0))
    with pytest.raises(InputError, match=f"640x480 px, the events are of {W}x{H}"):
        asked(bag(tmp_path / "large", events, size=(640, 480)))


def run(*words: object):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_replay_says_what_was_wrong_with_the_gyro(tmp_path, file, samples) -> None:
    how = ("--camera-motion", "imu", "--camera-matrix", f"300,300,{LENS.cx},{LENS.cy}")
    good = run("replay", file, *how, "--imu", samples)
    assert good.exit_code == 0 and "gyro" not in good.output.replace("gyro.txt", "")
    late = tmp_path / "late.txt"
    late.write_text("1000 0 0 0\n")
    bad = run("replay", file, *how, "--imu", late)
    assert bad.exit_code == 0 and "22 of 22 windows had no gyro samples" in bad.output
    assert run("replay", file, "--imu", samples).exit_code == 2
    assert run("replay", file, *how[:3], "300,300").exit_code == 2


def test_evaluate_takes_the_bag_s_own(tmp_path, events) -> None:
    path = bag(tmp_path / "bag", events)
    done = run("evaluate", path, "--camera-motion", "imu", "--jobs", 1)
    assert done.exit_code == 0, done.output
    without = tmp_path / "some.npz"
    np.savez(without, x=events.x, y=events.y, t=events.t, p=events.p, size=(W, H))
    done = run("evaluate", without, "--camera-motion", "imu", "--jobs", 1)
    assert done.exit_code == 2 and "--camera-matrix" in done.output
