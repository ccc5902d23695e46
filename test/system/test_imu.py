"""A gyro and a calibration in, from the real node: used, or said why not."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from ros import ALL_WINDOWS, EPOCH, MS, packets, running, stamp_of, values
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2
from turning import LENGTH, LENS, TICK, H, W, gyro, windows

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.node.imu import lens_of
from evlayerseg_ros.outputs.outputs import LAYER_DTYPE

COUNT = 40  # windows of LENGTH
MOST_PLAYS = 20
PERIOD = 5 * MS  # of the gyro, ns
DONE = COUNT * LENGTH // (33 * MS) - 1  # windows of the node


def rate(t: float) -> np.ndarray:
    """A camera that is shaken: its turn is another in each window."""
    return np.array((0.4 * np.sin(31 * t + 1), 0.6 * np.sin(25 * t), 0.3 * np.sin(19 * t)))


@pytest.fixture(scope="module")
def events() -> Events:
    return Events.concatenate([window.events for window in windows(rate, COUNT)])


class Camera:
    """Publishes what a camera with a gyro does."""

    def __init__(self, client, events, frame="camera_optical", matrix=LENS, offset=0):
        self._client, self._events, self._frame, self._offset = client, events, frame, offset
        node = client.node
        self._imu = node.create_publisher(Imu, "/evlayerseg/imu", 2000)
        self._info = node.create_publisher(CameraInfo, "/evlayerseg/events_camera_info", 1)
        self._packets = client.matched(client.publisher())
        client.until(self._imu.get_subscription_count, "the node to hear the gyro")
        client.until(self._info.get_subscription_count, "the node to hear the calibration")
        self.info = CameraInfo(width=W, height=H)
        if matrix is not None:
            self.info.k = [matrix.fx, 0.0, matrix.cx, 0.0, matrix.fy, matrix.cy, 0.0, 0.0, 1.0]

    def play(self, said=rate, after=0, samples=True):
        """The recording, begun `after` ns later; `said` is what the gyro says, in its time."""
        self._info.publish(self.info)
        began = time.monotonic()
        for packet in packets(self._events, size=(W, H)):
            begin = packet.time_base
            if samples:
                for t in range(begin, begin + 10 * MS, PERIOD):
                    self.sample(t, after, said)
            packet.time_base += after
            packet.seq += after // (10 * MS)
            stamp = EPOCH + begin + after
            packet.header.stamp.sec, packet.header.stamp.nanosec = divmod(stamp, 10**9)
            self._packets.publish(packet)
            # At its own pace: what is compared is when events and samples come.
            while (left := began + (begin + 10 * MS) * 1e-9 - time.monotonic()) > 0:
                self._client.executor.spin_once(timeout_sec=left)

    def play_until(self, ready, said=rate):
        """The recording again and again, as if it went on, until something is seen."""
        for k in range(MOST_PLAYS):
            self.play(said, after=k * COUNT * LENGTH)
            if ready():
                return
        raise AssertionError(f"not seen in {MOST_PLAYS} times the recording")

    def sample(self, t, after=0, said=rate):
        """One sample of the gyro."""
        message = Imu()
        stamp = EPOCH + t + after + self._offset
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        message.header.frame_id = self._frame
        velocity = message.angular_velocity
        velocity.x, velocity.y, velocity.z = (float(value) for value in said(t * 1e-9))
        self._imu.publish(message)


def caution(status) -> str:
    """What is not as asked; the status' message may tell something worse."""
    return values(status)["caution"]


def backgrounds(messages) -> dict[int, np.ndarray]:
    """px/s at the image's middle, by sensor time in ns."""
    found = {}
    for message in messages:
        one = np.frombuffer(bytes(message.data), LAYER_DTYPE)[0]
        a = np.array([[one[f"a_{axis}{k}"] for k in "xy0"] for axis in "uv"])
        found[stamp_of(message) - EPOCH] = a @ (W / 2, H / 2, 1)
    return found


def test_the_turn_is_taken_from_the_gyro(client, log, events):
    """The node follows a camera that shakes, by what the gyro says, as an exact rotation moves."""
    layers = client.hear(PointCloud2, "/evlayerseg/layers")
    with running(log, *ALL_WINDOWS, "camera.motion:=imu") as node:
        client.ready("layers")
        camera, begin = Camera(client, events), 0

        def sampled(status):
            camera.sample(begin + COUNT * LENGTH)  # a gyro goes on when nothing moves
            return True

        for k in range(MOST_PLAYS):  # again where a busy machine was late
            begin = k * COUNT * LENGTH
            camera.play(after=begin)
            client.until(lambda n=(k + 1) * DONE: len(layers) >= n, f"{DONE} windows")
            if not caution(client.told(sampled, "diagnostics")):
                break
        else:
            raise AssertionError("diagnostics never said that all is well")
    sensed, off = gyro(rate, COUNT * LENGTH // TICK), []
    for end, found in backgrounds(layers).items():
        if begin + COUNT * LENGTH // 2 < end < begin + COUNT * LENGTH:
            turn = sensed.rate(end - begin - 33 * MS, end - begin)
            wanted = LENS.motion(turn, W, H) @ (W / 2, H / 2, 1)
            off.append(np.hypot(*(found - wanted)) * 0.033)
    assert len(off) > DONE // 3 and np.median(off) < 1  # px a window; without the gyro it is 7
    assert not any(word in node.log for word in ("contradict", "stamps", "ERROR"))


def test_what_is_wrong_with_the_samples_is_said_and_it_goes_on(client, log, events):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "camera.motion:=imu") as node:
        client.ready("mask")
        # On a busy machine the message may be by then that nobody publishes events.
        status = client.told(lambda s: "yet" in caution(s), "no sample so far")
        assert status.level == DiagnosticStatus.WARN
        assert "/evlayerseg/imu" in caution(status) and "camera.motion auto" in caution(status)
        camera = Camera(client, events)
        camera.play()
        client.until(lambda: len(masks) >= DONE, f"{DONE} masks")
        client.told(lambda s: "No sample came" in caution(s) and " for " in caution(s), "the end")
        camera.play(after=2_000 * MS, samples=False)
        client.until(lambda: len(masks) >= 2 * DONE, "masks without samples")
        assert node.log.count("No sample came") == 2  # once for each time, not each second


@pytest.mark.parametrize("frame", ["imu_link", "camera_optical"])
def test_a_wrong_frame_is_said(client, log, events, frame):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "camera.motion:=imu") as node:
        client.ready("mask")
        camera = Camera(client, events, frame)
        camera.play_until(lambda: "contradict" in node.log, lambda t: rate(t)[[1, 2, 0]])
        client.until(lambda: len(masks) >= DONE, "masks all the same")
    (line,) = [line for line in node.log.splitlines() if "contradict" in line]
    assert "x right, y down, z forward" in line and "camera_optical" in line
    assert ("imu_link" in line) == (frame == "imu_link")


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({"matrix": None}, "calibrate the camera"),
        ({"offset": -2_000 * MS}, "2.00 s behind those of the events"),
        ({"offset": 300 * MS}, "0.30 s ahead of those of the events"),
    ],
    ids=["no calibration", "behind", "ahead"],
)
def test_no_calibration_and_other_clocks_are_said(client, log, events, how, wanted):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "camera.motion:=imu"):
        client.ready("mask")
        camera = Camera(client, events, **how)
        client.diagnostics.clear()

        def told():
            return [s for m in client.diagnostics for s in m.status if wanted in caution(s)]

        camera.play_until(told)
        assert told()[0].level == DiagnosticStatus.WARN
        client.until(lambda: len(masks) >= DONE, "masks all the same")


def test_a_calibration_of_another_size_is_none():
    info = CameraInfo(width=640, height=480)
    lens, why = lens_of(info, W, H, "/camera_info")
    assert lens is None and "640x480" in why and f"{W}x{H}" in why
    info.k = [300.0, 0.0, 320.0, 0.0, 301.0, 240.0, 0.0, 0.0, 1.0]
    lens, why = lens_of(info, 640, 480, "/camera_info")
    assert why == "" and (lens.fx, lens.fy, lens.cx, lens.cy) == (300, 301, 320, 240)
