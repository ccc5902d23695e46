"""Faults of streams, one a test, against one real node over DDS."""

from __future__ import annotations

import time
from array import array
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import HistoryPolicy, QoSProfile
from ros import (
    ALL_WINDOWS,
    EPOCH,
    MS,
    ends,
    moved,
    moving_box,
    packets,
    running,
    stamp_of,
    values,
)
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from evlayerseg_ros.bench.encode import encode


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """One node for all faults of streams: each test finds it as the one before left it."""
    with running(tmp_path_factory.mktemp("faults") / "node.log", *ALL_WINDOWS) as node:
        yield node
        assert node.alive() and "Traceback" not in node.log


class Camera:
    """Publishes into the running node, hears its masks, and knows how its counters grew."""

    def __init__(self, client):
        self.client = client
        self.masks = client.hear(Image, "/evlayerseg/mask")
        client.ready("mask")
        client.call(Trigger, "/evlayerseg/reset", Trigger.Request())
        self.publisher = client.matched(client.publisher())
        self._before = values(client.told(lambda s: True, "a report"))

    def send(self, messages):
        for message in messages:
            self.publisher.publish(message)
        return self

    def stamps(self, n):
        """Stamps of the first n masks."""
        self.client.until(lambda: len(self.masks) >= n, f"{n} masks")
        return [stamp_of(m) for m in self.masks]

    def stamps_after(self, time, n):
        """Stamps of the first n masks of the scene after that time."""
        found = []

        def enough():
            found[:] = [s for s in map(stamp_of, self.masks) if s > time]
            return len(found) >= n

        self.client.until(enough, f"{n} masks after {time}")
        return found

    def told(self, counter, n):
        """What the diagnostics say about the last fault once there are n more of that kind."""
        expected = n + int(self._before.get(counter, 0))
        status = self.client.told(
            lambda s: values(s).get(counter) == str(expected), f"{n} more {counter}"
        )
        return values(status)["last fault"]


@pytest.fixture
def camera(client, node):
    return Camera(client)


def test_packets_lost(camera):
    sent = packets(moving_box())
    camera.send(sent[:5] + sent[8:])
    camera.client.told(
        lambda s: (
            s.level == DiagnosticStatus.WARN and s.message == "3 packets were lost on the way."
        ),
        "a warning",
    )
    events = moving_box()
    lost = (events.t >= 50 * MS) & (events.t < 80 * MS)
    assert camera.stamps(7) == ends(events[~lost])
    assert camera.told("lost packets", 3) == "3 packets were lost before packet 8."


def test_packets_without_a_stamp(camera):
    sent = packets(moving_box())
    for message in sent:
        message.header.stamp = Time()
    camera.send(sent)
    told = "packets had no header stamp: the times at which they came are used."
    camera.client.told(lambda s: s.level == DiagnosticStatus.WARN and told in s.message, "that")
    stamps = camera.stamps(7)
    assert stamps == sorted(stamps) and abs(stamps[0] - time.time_ns()) < 20_000 * MS
    camera.told("unstamped", len(sent))


def test_packets_doubled_and_late(camera):
    sent = packets(moving_box())
    camera.send([*sent[:6], sent[5], sent[6], sent[3], *sent[7:]])
    assert camera.stamps(7) == ends(moving_box())
    assert camera.told("doubled packets", 2) == "Packet 3 came again, or after packet 6."


def test_camera_started_again_with_another_size_and_encoding(camera):
    camera.send(packets(moving_box()))
    camera.stamps(7)
    events = replace(moving_box(), width=160, height=120)
    again = packets(events)
    for message in again:
        part = events[(events.t >= message.time_base) & (events.t < message.time_base + 10 * MS)]
        part = replace(part, t=part.t // 1000 * 1000)
        message.encoding, message.width, message.height = "libcaer", 160, 120
        message.events = array("B", encode("libcaer", part).tobytes())
        message.time_base = 0
    camera.send(moved(again, stamp=10**9))
    first = camera.stamps(8)[7]
    assert EPOCH + 10**9 < first <= EPOCH + 10**9 + 33 * MS
    assert (camera.masks[7].width, camera.masks[7].height) == (160, 120)
    said = "The camera changed from mono 128x96 to libcaer 160x120."
    assert camera.told("restarts", 1) == said


def test_bag_that_loops(camera):
    events = moving_box(1200 * MS)
    for _ in range(2):
        camera.send(packets(events))
    assert camera.stamps(74) == 2 * ends(events)
    assert camera.told("restarts", 1) == "The publisher began again with packet 0."


def test_clock_of_the_camera_set_back(camera):
    hour = 3600 * 10**9
    camera.send(moved(packets(moving_box()), base=hour))
    assert camera.stamps(7) == ends(moving_box())
    camera.send(moved(packets(moving_box()), stamp=10**9, seq=20))
    assert camera.stamps(14)[7:] == [end + 10**9 for end in ends(moving_box())]
    assert camera.told("time jumps", 1) == "The sensor's clock jumped by -3600.200 s."


def test_clock_of_the_host_set_back(camera):
    """As when a simulation starts again: outputs take the new time with the second packet."""
    camera.send(packets(moving_box()))
    camera.stamps(7)
    day = 86_400 * 10**9
    camera.send(moved(packets(moving_box()), base=200 * MS, stamp=200 * MS - day, seq=20))
    stamps = camera.stamps(14)[8:]
    assert all(EPOCH - day + 200 * MS <= stamp <= EPOCH - day + 400 * MS for stamp in stamps)


def test_two_publishers(camera):
    other = camera.client.matched(camera.client.publisher())
    status = camera.client.told(lambda s: "has 2 publishers" in s.message, "two publishers")
    assert status.level == DiagnosticStatus.WARN
    before = int(values(status)["restarts"])
    sent = 0

    def mixed():
        """Sends a packet of each and says whether that was noticed."""
        nonlocal sent
        for publisher, seq in ((camera.publisher, 0), (other, 10**8)):
            turn = {"base": 10 * MS * sent, "stamp": 10 * MS * sent, "seq": seq + sent}
            publisher.publish(moved(packets(moving_box(10 * MS)), **turn)[0])
        sent += 1
        last = camera.client.diagnostics[-1].status[0]
        return int(values(last)["restarts"]) > before + 5

    camera.client.until(mixed, "restarts")
    camera.client.node.destroy_publisher(other)
    camera.client.told(lambda s: "publishers" not in s.message, "one publisher")
    hour = 3600 * 10**9
    camera.send(moved(packets(moving_box()), base=hour, stamp=hour, seq=10**12))
    assert camera.stamps_after(EPOCH + hour, 7) == [end + hour for end in ends(moving_box())]


def test_parameters_changed_while_packets_come(camera):
    change = lambda ms: camera.client.set("window.duration_ms", type=3, double_value=ms)  # noqa: E731
    for k, message in enumerate(packets(moving_box())):
        camera.send([message])
        if k % 5 == 4:
            assert change(20.0 + k)[0]
    assert change(33.0)[0]
    for _ in range(2):  # the second one was made after the change
        camera.client.told(lambda s: True, "a report")
    # On a slow machine packets may still wait: windows begin anew with the next one.
    assert camera.client.call(Trigger, "/evlayerseg/reset", Trigger.Request()).success
    camera.client.told(lambda s: True, "a report")
    camera.send(moved(packets(moving_box()), base=10**9, stamp=10**9, seq=20))
    assert camera.stamps_after(EPOCH + 10**9, 7) == [end + 10**9 for end in ends(moving_box())]


def test_subscriber_that_is_slow(camera):
    """One that takes no message at all delays nobody."""
    keep_all = QoSProfile(history=HistoryPolicy.KEEP_ALL)
    context = rclpy.Context()
    rclpy.init(context=context)
    slow = rclpy.create_node("slow", context=context)
    for name in ("mask", "flow", "flow_color"):
        slow.create_subscription(Image, f"/evlayerseg/{name}", lambda m: None, keep_all)
    flows = camera.client.hear(Image, "/evlayerseg/flow")
    camera.client.connected("/evlayerseg/flow")
    for k in range(5):
        turn = {"base": 200 * MS * k, "stamp": 200 * MS * k, "seq": 20 * k}
        camera.send(moved(packets(moving_box()), **turn))
    # 1 s is 30 windows and a rest of 10 ms.
    assert len(camera.stamps(31)) == 31
    camera.client.until(lambda: len(flows) >= 31, "31 flows")
    slow.destroy_node()
    rclpy.shutdown(context=context)
