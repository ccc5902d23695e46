"""What messages users' bags hold: old names, other packages, as ROS 1 serializes them."""

from __future__ import annotations

import numpy as np
import pytest
import whole_files
from faulty import PACKETS, SIZE, bases
from faulty_files import (
    ROUNDS,
    STAMP,
    array_bag,
    as_mcap,
    camera_bag,
    counted,
    packet_bag,
    plain_mcap,
    stored,
)
from rosbags.rosbag1 import Writer
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Events
from evlayerseg_ros.recordings.storage import messages_in


def test_the_old_name_of_event_packets(tmp_path):
    bag = camera_bag(tmp_path / "some", kind="event_array_msgs/msg/EventArray")
    assert counted(bag)[0].packets == 12 * ROUNDS


@pytest.mark.parametrize("kind", ["packets", "arrays"])
def test_mcap_with_messages_as_ros_1_serializes_them(tmp_path, kind):
    bag, e = tmp_path / "some.bag", whole_files.some_events(1000, (240, 180))
    if kind == "packets":
        camera_bag(bag, "bag")
    else:
        with array_bag(bag, ros1=True) as add:
            for k in range(2):
                add(Events(e.x, e.y, STAMP + e.t + k * 10**9, e.p, 240, 180), STAMP + k * 10**9)
    path = as_mcap(bag, tmp_path / "some.mcap")
    stats, windows = counted(path)
    assert (stats, windows) == counted(bag)
    assert stats.bad_packets == 0 and stats.packets == (12 * ROUNDS if kind == "packets" else 2)
    path.write_bytes(path.read_bytes()[:-100])
    assert counted(path)[0].last_error.endswith("`mcap recover` mends it.")


def test_a_gyro_in_such_an_mcap(tmp_path):
    types = get_typestore(Stores.ROS1_NOETIC)
    new, kind = types.types, "sensor_msgs/msg/Imu"
    head = new["std_msgs/msg/Header"](7, new["builtin_interfaces/msg/Time"](12, 34), "imu")
    rate, none = new["geometry_msgs/msg/Vector3"](0.1, 0.2, 0.3), np.zeros(9)
    still = new["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    with Writer(tmp_path / "some.bag") as bag:
        connection = bag.add_connection("/imu", kind, typestore=types)
        message = new[kind](head, still, none, rate, none, rate, none)
        bag.write(connection, STAMP, bytes(types.serialize_ros1(message, kind)))
    path = as_mcap(tmp_path / "some.bag", tmp_path / "some.mcap")
    wanted = lambda _, found: found == kind  # noqa: E731
    ((topic, found),) = messages_in(path, wanted, lambda message, _: message)
    assert topic == "/imu" and found.header.stamp.sec == 12 and found.angular_velocity.z == 0.3


@pytest.mark.parametrize("ros1", [False, True])
@pytest.mark.parametrize("package", ["dvs_msgs", "prophesee_event_msgs", "dv_ros2_msgs"])
def test_event_arrays_of_three_packages(tmp_path, package, ros1):
    path = tmp_path / ("some.bag" if ros1 else "some")
    with array_bag(path, ros1, package) as add:
        for k in range(100):  # one of 10 ms a message
            t, x = STAMP + k * 10_000_000 + np.arange(50) * 200_000, np.arange(50)
            first = int(t[0])
            if k % 10 == 5:
                t[20] -= 99_000_000
                x[7] = 700
            add(Events(x, x * 0 + 3, t, x * 0 + 1, 240, 180), first)
    stats, windows = counted(path)
    assert (stats.packets, stats.events, windows) == (100, 4980, 31)
    assert (stats.out_of_range, stats.stray_events, stats.time_jumps) == (10, 10, 0)
    stats, _ = counted(path, size=(800, 180))
    assert (stats.events, stats.out_of_range) == (4990, 0)


def test_a_camera_without_events_beside_one_with_them(tmp_path):
    """Its messages come all the same, as of a covered one."""
    e = whole_files.some_events(2000)
    with array_bag(tmp_path / "some", topics=("/left", "/right")) as add:
        for k in range(0, 2000, 100):
            add(e[:0], STAMP + int(e.t[k]), "/left")
            add(e[k : k + 100], STAMP + int(e.t[k]), "/right")
    stats, _ = counted(tmp_path / "some")
    assert (stats.events, stats.bad_packets) == (2000, 0)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("encoding", ["evt3", "mono"])
@pytest.mark.parametrize("storage", ["mcap", "db3", "bag"])
def test_packets_without_a_stamp_get_the_time_of_their_record(tmp_path, storage, encoding, cut):
    path = tmp_path / ("some.bag" if storage == "bag" else "some")
    with packet_bag(path, storage) as (_, add):
        for seq, data in enumerate(PACKETS[encoding]):
            base = bases()[seq]
            add(0, *SIZE, seq, base, encoding, data, at=STAMP + base)
    if cut:  # then it is scanned
        path = path if storage == "bag" else stored(path)
        path.write_bytes(path.read_bytes()[:-40])
    _, windows, stats = whole_files.run(path)
    assert stats.unstamped >= 11 and stats.time_jumps == 0
    assert all(abs(window.stamp - STAMP) < 100_000_000 for window in windows)


@pytest.mark.parametrize(
    "kind", ["event_camera_msgs/EventPacket", "event_camera_msgs::msg::dds_::EventPacket_"]
)
@pytest.mark.parametrize("back", [0, 10**9])
def test_mcap_whose_types_are_spelt_otherwise_and_whose_clock_was_set_back(tmp_path, kind, back):
    """As recorders of DDS write them, without an index."""
    with Reader(camera_bag(tmp_path / "bag")) as reader:
        messages = [
            (stamp - back * (k > 99), bytes(data))
            for k, (_, stamp, data) in enumerate(reader.messages())
        ]
    path = plain_mcap(tmp_path / "some.mcap", messages, "/camera/events", kind)
    stats, _ = counted(path)
    assert stats.packets == 12 * ROUNDS and stats.bad_packets == stats.doubled_packets == 0


def test_event_arrays_whose_events_have_no_times_are_told(tmp_path):
    e = whole_files.some_events(2000)
    with array_bag(tmp_path / "some") as add:
        for k in range(0, 2000, 100):
            add(Events(e.x, e.y, e.t * 0, e.p, *whole_files.VGA)[k : k + 100], STAMP + int(e.t[k]))
    with pytest.raises(InputError, match=r"A message of 100 events without times \(ts is 0\)"):
        counted(tmp_path / "some")
