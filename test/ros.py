"""The real node in its own process, and a client that talks to it over DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy

from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events

TIMEOUT = 180.0  # a node that compiles on a busy machine takes more than one minute
MS = 1_000_000
# ROS time at which moving_box() begins, ns.
EPOCH = 1_700_000_000_000_000_000
# Parameters with which nothing is dropped and no pause is seen, however slow the machine.
ALL_WINDOWS = (
    "window.max_age_ms:=1000.0",
    "max_backlog_windows:=1000",
    "max_wait_ms:=60000.0",
    "qos.events_reliability:=reliable",
    "qos.events_depth:=1000",
    "qos.output_depth:=1000",
)


class Client:
    """A ROS node beside the one under test."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("client", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.diagnostics = self.hear(DiagnosticArray, "/diagnostics")

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def hear(self, kind: type, topic: str, depth: int = 1000) -> list[Any]:
        """Subscribes; what comes lands in the list."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, depth)
        return heard

    def until(self, ready: Callable[[], Any], what: str) -> Any:
        """Spins until ready() says something true, and returns it."""
        deadline = time.monotonic() + TIMEOUT
        while not (result := ready()):
            assert time.monotonic() < deadline, f"waited {TIMEOUT} s for {what}"
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def call(self, kind: type, name: str, request: Any, again: bool = True) -> Any:
        """Calls a service; with `again`, once more where no answer comes.

        An answer is lost if the node does not know our side of the service yet.
        """
        client = self.node.create_client(kind, name)
        asked: list[tuple[float, Any]] = []

        def answer() -> Any:
            late = asked and again and time.monotonic() - asked[-1][0] > 3
            if client.service_is_ready() and (not asked or late):
                asked.append((time.monotonic(), client.call_async(request)))
            return next((future.result() for _, future in asked if future.done()), None)

        found = self.until(answer, f"an answer of {name}")
        self.node.destroy_client(client)
        return found

    def state(self) -> str:
        return self.call(GetState, "/evlayerseg/get_state", GetState.Request()).current_state.label

    def change(self, label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        # Not again: a transition that has been made cannot be made twice.
        name = "/evlayerseg/change_state"
        return self.call(ChangeState, name, request, again=False).success

    def ready(self, *outputs: str) -> None:
        """Waits until the node is active and its publishers of these outputs are there."""
        self.until(lambda: self.state() == "active", "the node to be active")
        for name in outputs:
            self.connected(f"/evlayerseg/{name}")

    def set(self, name: str, **value: Any) -> tuple[bool, str]:
        """Sets a parameter, such as type=3, double_value=20.0; whether that is done, or why not."""
        request = SetParameters.Request()
        request.parameters = [Parameter(name=name, value=ParameterValue(**value))]
        done = self.call(SetParameters, "/evlayerseg/set_parameters", request).results[0]
        return done.successful, done.reason

    def send(self, messages: Iterable[Any]) -> Any:
        """Publishes messages where the node hears them, and returns the publisher."""
        publisher = self.matched(self.publisher())
        for message in messages:
            publisher.publish(message)
        return publisher

    def publisher(self, kind: type = EventPacket, reliable: bool = True) -> Any:
        """A publisher on the node's ~/events that the node hears."""
        qos = QoSProfile(depth=1000)
        if not reliable:
            qos.reliability = ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(kind, "/evlayerseg/events", qos)

    def matched(self, publisher: Any) -> Any:
        self.until(publisher.get_subscription_count, "the node to subscribe")
        return publisher

    def connected(self, topic: str) -> None:
        """Waits until somebody publishes a topic."""
        self.until(lambda: self.node.count_publishers(topic), f"a publisher of {topic}")

    def told(self, wanted: Callable[[Any], bool], what: str) -> Any:
        """The first diagnostic status from now on that is wanted."""
        self.diagnostics.clear()

        def found() -> Any:
            statuses = [s for message in self.diagnostics for s in message.status]
            return next((s for s in statuses if wanted(s)), None)

        return self.until(found, what)


class NodeProcess:
    """`evlayerseg segment`; its output is in `log`."""

    def __init__(self, log: Path, *parameters: str) -> None:
        arguments = [word for parameter in parameters for word in ("-p", parameter)]
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "evlayerseg_ros.cli",
                    "segment",
                    "--ros-args",
                    "-p",
                    "threads:=1",
                    *arguments,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, number: int = signal.SIGINT) -> int:
        """Sends a signal and returns the exit status."""
        if self.alive():
            self.process.send_signal(number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def running(log: Path, *parameters: str) -> Iterator[NodeProcess]:
    """The node, ended on leaving; `parameters` as NAME:=VALUE."""
    node = NodeProcess(log, *parameters)
    try:
        yield node
    finally:
        node.stop()


def moving_box(duration: int = 200 * MS, rate: int = 200_000) -> Events:
    """A textured background at 40 px/s and a box at 200 px/s on 128x96 px.

    Args:
        duration: ns.
        rate: events per second.
    """
    rng = np.random.default_rng(3)
    n = int(rate * duration * 1e-9)
    t = np.sort(rng.integers(0, duration, n))
    t[0], t[-1] = 0, duration - 1
    boxed = rng.random(n) < 0.4
    dot = rng.integers(0, 60, n)
    places = rng.random((60, 2))
    x = np.where(boxed, 20 + 30 * places[dot, 0] + t * 200e-9, 127 * places[dot, 0] + t * 40e-9)
    y = np.where(boxed, 30 + 30 * places[dot, 1], 95 * places[dot, 1])
    return Events.from_arrays(x.astype(int) % 128, y.astype(int), t, rng.integers(0, 2, n), 128, 96)


def ends(events: Events, length: int = 33 * MS) -> list[int]:
    """Stamps of the windows, `length` ns each, of events whose first one is at EPOCH."""
    t = events.t - events.t[0]
    last = (t[t < (k + 1) * length][-1] for k in range(int(t[-1]) // length + 1))
    return [EPOCH + int(end) for end in last]


def packets(
    events: Events, length: int = 10 * MS, encoding: str = "mono", size: tuple[int, int] = (128, 96)
) -> list[EventPacket]:
    """The events as EventPackets of `length` ns each, stamped from EPOCH on."""
    width, height = size
    out = []
    for seq, begin in enumerate(range(0, int(events.t[-1]) + 1, length)):
        first, last = np.searchsorted(events.t, [begin, begin + length])
        data = array("B", encode_mono(events[first:last], begin))
        packet = EventPacket(
            height=height, width=width, seq=seq, time_base=begin, encoding=encoding, events=data
        )
        stamp = EPOCH + begin
        packet.header.stamp.sec, packet.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        packet.header.frame_id = "camera_optical"
        out.append(packet)
    return out


def moved(messages, base=0, stamp=0, seq=0):
    """The packets with times (ns) and numbers moved on."""
    for message in messages:
        message.time_base += base
        message.seq += seq
        total = stamp_of(message) + stamp
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(total, 10**9)
    return messages


def values(status: Any) -> dict[str, str]:
    """What a diagnostic status says, by key."""
    return {value.key: value.value for value in status.values}


def stamp_of(message: Any) -> int:
    """A message's header stamp in ns."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
