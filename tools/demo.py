#!/usr/bin/env python3
"""The whole path once, for real; `make demo` runs it.

Starts the `segment` node in its own process, plays a recording into it over DDS from another, and
listens to what it publishes. Writes demo.mp4 and demo.png, prints the figures, ends by itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from evlayerseg_ros.outputs.outputs import LAYER_DTYPE
from evlayerseg_ros.outputs.pictures import label_picture
from evlayerseg_ros.replay.video import VideoWriter, side_by_side

NAMESPACE = "/event_camera"
NODE = f"{NAMESPACE}/evlayerseg"
EVENTS = f"{NAMESPACE}/events"
PICTURES = {
    "mask_overlay": "events by layer",
    "flow_color": "motion: hue is direction, saturation speed",
    "sharpened_events": "events sharpened along the motion",
    "mask": "mask",
}
# s for the node to become active. Its first start after an installation compiles, which takes half
# a minute on an idle machine and several on a busy one.
START_TIMEOUT = 600.0
PATIENCE = 15.0  # s after which we say what we wait for
# s without a mask, after the recording has ended, that end the demo; longer if none came yet.
QUIET, FIRST = 2.0, 30.0


class Listener:
    """A ROS node that hears the events and the outputs, and when each went and came."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, int]] = []  # stamp, published; both ns
        self.masks: dict[int, int] = {}  # stamp to arrival, ns
        self.events: dict[int, int] = {}  # stamp to events of the window
        self.pictures: dict[str, dict[int, Image]] = {name: {} for name in PICTURES}
        self.diagnostics: dict[str, str] = {}
        self.said = "nothing"  # the diagnostics' sentence
        self._node = rclpy.create_node("demo")
        hear = self._node.create_subscription
        hear(PointCloud2, f"{NODE}/layers", self._hear_layers, 100)
        hear(DiagnosticArray, "/diagnostics", self._hear_diagnostics, 10)
        for name in PICTURES:
            hear(Image, f"{NODE}/{name}", self._picture_hearer(name), 100)

    def wait_for_node(self, process: subprocess.Popen[bytes]) -> None:
        """Returns when the node has become active: it has subscribed to the events."""
        begun, told = time.monotonic(), False
        while not any(
            info.node_name == "evlayerseg"
            for info in self._node.get_subscriptions_info_by_topic(EVENTS)
        ):
            if process.poll() is not None:
                raise SystemExit(f"The node ended with status {process.returncode}.")
            waited = time.monotonic() - begun
            if waited > START_TIMEOUT:
                raise SystemExit(
                    f"The node was not active after {START_TIMEOUT:.0f} s; it said: {self.said}"
                )
            if waited > PATIENCE and not told:
                told = True
                print("the node compiles, as it does at its first start", flush=True)
            rclpy.spin_once(self._node, timeout_sec=0.1)

    def listen(self, ended: Callable[[], bool]) -> None:
        """Hears everything until the recording has ended and no mask came for a while."""
        last, count = time.monotonic(), 0
        while not ended() or time.monotonic() - last < (QUIET if self.masks else FIRST):
            rclpy.spin_once(self._node, timeout_sec=0.1)
            if len(self.masks) > count or not ended():
                last, count = time.monotonic(), len(self.masks)

    def latencies(self) -> list[float]:
        """Seconds from the publication of the packet with a window's last event to its mask here.

        Publication is DDS's source timestamp; here is the subscriber's callback. Left out
        are the first windows, since the packets are heard only from the first mask on, and the one
        that is open when the recording ends: it is closed by the silence after it.
        """
        packets = sorted(self.packets)
        stamps = [stamp for stamp, _ in packets]
        # A packet's stamp is the time of its first event: a window's last event lies in the last
        # packet whose stamp is not later.
        at = ((bisect_right(stamps, stamp) - 1, arrival) for stamp, arrival in self.masks.items())
        inside = ((i, arrival) for i, arrival in at if 0 <= i < len(packets) - 1)
        return [(arrival - packets[i][1]) * 1e-9 for i, arrival in inside]

    def _hear_packets(self) -> None:
        """Not before the first mask: `play` waits for a subscriber, and that must be the node."""
        loose = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._node.create_subscription(EventPacket, EVENTS, self._hear_packet, loose)

    def _hear_packet(self, message: EventPacket, info: dict[str, int]) -> None:
        self.packets.append((_ns(message.header.stamp), info["source_timestamp"]))

    def _hear_layers(self, message: PointCloud2) -> None:
        table = np.frombuffer(message.data, LAYER_DTYPE)
        self.events[_ns(message.header.stamp)] = int(table["events"].sum())

    def _hear_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(NODE):
                self.diagnostics = {entry.key: entry.value for entry in status.values}
                self.said = status.message

    def _picture_hearer(self, name: str) -> Callable[[Image], None]:
        def hear(message: Image) -> None:
            stamp = _ns(message.header.stamp)
            self.pictures[name][stamp] = message
            if name == "mask":
                self.masks[stamp] = time.time_ns()
                if len(self.masks) == 1:
                    self._hear_packets()

        return hear


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our commands in its own process, ended on leaving as Ctrl-C would end it."""
    child = subprocess.Popen([sys.executable, "-m", "evlayerseg_ros.cli", *command])
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def simulated(folder: Path) -> Path:
    """A recording of a moving object before a moving background."""
    from evlayerseg_ros.simulation.presets import write_preset

    print("simulating a moving object before a moving background", flush=True)
    return write_preset("demo", folder, seed=3)[0]


def perform(recording: Path, listener: Listener) -> None:
    """Starts the node, plays the recording into it and listens until all is over."""
    remaps = ("-r", f"__ns:={NAMESPACE}", "-r", f"~/events:={EVENTS}")
    with process("segment", "--ros-args", *remaps) as node:
        listener.wait_for_node(node)
        print(f"the node is active; playing {recording}", flush=True)
        with process("play", str(recording), "--to", EVENTS, "--wait", "60") as player:
            listener.listen(lambda: player.poll() is not None)


def figures(listener: Listener) -> str:
    """What was measured, in lines of text."""
    arrivals = sorted(listener.masks.values())
    seconds = (arrivals[-1] - arrivals[0]) * 1e-9
    windows = len(arrivals) - 1  # after the first, whose arrival begins the time
    events = sum(listener.events.values()) - listener.events.get(min(listener.masks), 0)
    latencies = listener.latencies()
    latency = "not measured: the last packet was gone before the first mask came"
    if latencies:
        p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
        latency = (
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms (last event's packet published -> mask received)"
        )
    told = listener.diagnostics
    return "\n".join(
        [
            f"windows      {windows} in {seconds:.2f} s: {windows / seconds:.1f} windows/s",
            f"latency      {latency}",
            f"events       {events * 1e-6:.2f} M: {events * 1e-6 / seconds:.2f} Mev/s",
            f"node         dropped {told.get('windows dropped', '?')} windows, "
            f"lost {told.get('lost packets', '?')} packets, "
            f"ran on {told.get('provider', '?')}",
        ]
    )


def write_pictures(listener: Listener, out: Path) -> None:
    """Writes demo.mp4, a frame for each window of which every picture came, and demo.png."""

    def picture(name: str, stamp: int) -> np.ndarray:
        message = listener.pictures[name][stamp]
        data = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
        if name == "mask":
            return label_picture(data[..., 0])
        return data if data.shape[-1] == 3 else data[..., 0]

    stamps = sorted(set.intersection(*(set(heard) for heard in listener.pictures.values())))
    with VideoWriter(out / "demo.mp4", fps=30.0) as video:
        for i, stamp in enumerate(stamps):
            panels = {title: picture(name, stamp) for name, title in PICTURES.items()}
            seconds = (stamp - stamps[0]) * 1e-9
            frame = side_by_side(panels, f"t {seconds:6.3f} s   heard over DDS from {NODE}")
            video.write(frame)
            if i == len(stamps) // 2:
                cv2.imwrite(str(out / "demo.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    print(f"wrote {out / 'demo.mp4'} ({len(stamps)} frames) and {out / 'demo.png'}")


def main() -> int:
    """Runs the demo; 0 if masks came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, help="what to play; default: a simulated scene")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for demo.mp4, demo.png")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # A domain of our own: the demo does not mix with what else runs on this network.
    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # Pictures of 1 MB are more than the middleware makes room for by default.
    profile = Path(__file__).parents[1] / "config/fastdds.xml"
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(profile))
    rclpy.init(args=[])
    listener = Listener()
    with TemporaryDirectory() as folder:
        perform(arguments.recording or simulated(Path(folder)), listener)
    rclpy.try_shutdown()
    if len(listener.masks) < 2:
        print(
            f"{len(listener.masks)} masks came out. The node said: {listener.said} It counted: "
            + ", ".join(f"{name} {value}" for name, value in listener.diagnostics.items()),
            file=sys.stderr,
        )
        return 1
    print(figures(listener))
    write_pictures(listener, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
