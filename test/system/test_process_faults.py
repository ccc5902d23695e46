"""Faults of processes, one a test, against the real node over DDS."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import TransitionEvent
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros import (
    ALL_WINDOWS,
    MS,
    ends,
    moved,
    moving_box,
    packets,
    running,
    stamp_of,
    values,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from evlayerseg_ros.bench.measure import Usage
from evlayerseg_ros.node.segment_node import SegmentNode

ENDS = ends(moving_box())


def test_killed_and_started_again_while_a_camera_streams(client, tmp_path):
    masks = client.hear(Image, "/evlayerseg/mask")
    publisher = client.publisher(reliable=False)
    seq = 0

    def stream_until_masks(n):
        nonlocal seq

        def heard():
            nonlocal seq
            turn = {"base": 10 * MS * seq, "stamp": 10 * MS * seq, "seq": seq}
            publisher.publish(moved(packets(moving_box(10 * MS)), **turn)[0])
            seq += 1
            return len(masks) >= n

        client.until(heard, f"{n} masks")

    with running(tmp_path / "first.log") as first:
        stream_until_masks(3)
        first.process.kill()
        assert first.process.wait() == -signal.SIGKILL
    with running(tmp_path / "second.log") as second:
        before = stamp_of(masks[-1])
        stream_until_masks(len(masks) + 3)
        assert stamp_of(masks[-1]) > before
        assert second.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_packets_come(client, log, number):
    """Exit status 0, after the lifecycle's last transition."""
    changes = client.hear(TransitionEvent, "/evlayerseg/transition_event")
    with running(log, *ALL_WINDOWS) as node:
        client.ready()
        client.send(packets(moving_box(2000 * MS)))
        assert node.stop(number) == 0
        client.until(lambda: changes and changes[-1].goal_state.label == "finalized", "the end")
    assert "Traceback" not in node.log


def test_simulated_time_that_stands_still_and_goes_back(client, log):
    """use_sim_time: diagnostics carry the time of /clock, outputs that of their packets."""
    clock = client.node.create_publisher(Clock, "/clock", 10)
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, "use_sim_time:=true", *ALL_WINDOWS) as node:
        client.ready("mask")
        publisher = client.matched(client.publisher())
        for turn, seconds in enumerate((1000, 2000, 5)):

            def told(seconds=seconds):
                clock.publish(Clock(clock=Time(sec=seconds)))
                return any(stamp_of(m) == seconds * 10**9 for m in client.diagnostics)

            client.until(told, f"a report at {seconds} s")
            moves = {"base": turn * 10**9, "stamp": turn * 10**9, "seq": 20 * turn}
            for message in moved(packets(moving_box()), **moves):
                publisher.publish(message)
            client.until(lambda turn=turn: len(masks) >= 7 * (turn + 1), "7 masks more")
    assert [stamp_of(m) for m in masks] == [end + turn * 10**9 for turn in range(3) for end in ENDS]
    assert "Traceback" not in node.log


# -- nodes in this process


@contextmanager
def here(*namespaces, **overrides):
    """SegmentNodes in this process, spun by a thread; `overrides` are parameters, _ for a dot."""
    context = rclpy.Context()
    rclpy.init(context=context)
    settings = {
        "threads": 1, "autostart": False, "max_backlog_windows": 1000, "max_wait_ms": 6e4,
        "qos.events_reliability": "reliable", "qos.events_depth": 1000, "qos.output_depth": 1000,
    }  # fmt: skip
    chosen = [Parameter(name, value=v) for name, v in (settings | overrides).items()]
    nodes = [
        SegmentNode(namespace=namespace, context=context, parameter_overrides=chosen)
        for namespace in namespaces or ("",)
    ]
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield nodes
    finally:
        executor.shutdown()
        thread.join()
        for node in nodes:
            node.finish()
            node.destroy_node()
        rclpy.shutdown(context=context)


def test_several_nodes_in_one_process(client):
    masks = {k: client.hear(Image, f"/{k}/evlayerseg/mask") for k in ("left", "right")}
    with here(*masks, autostart=True):
        for name in masks:
            client.connected(f"/{name}/evlayerseg/mask")
            qos = QoSProfile(depth=1000)
            topic = f"/{name}/evlayerseg/events"
            sent = packets(moving_box())
            publisher = client.matched(client.node.create_publisher(type(sent[0]), topic, qos))
            for message in sent:
                publisher.publish(message)
        client.until(lambda: all(len(m) >= 7 for m in masks.values()), "7 masks of each")
    assert all([stamp_of(m) for m in heard] == ENDS for heard in masks.values())


def test_100_turns_of_the_lifecycle_leak_nothing(tmp_path):
    """Neither threads nor memory: the last 80 turns take less than 8 MB."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    from faulty import tiny_model

    model = str(tiny_model(tmp_path / "tiny.onnx"))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = SegmentNode(
        context=context,
        parameter_overrides=[
            Parameter(name, value=value)
            for name, value in (
                ("autostart", False), ("model", model), ("threads", 1),
                ("sensor.width", 128), ("sensor.height", 96),
            )
        ],
    )  # fmt: skip
    used = []
    for _ in range(100):
        for change in ("configure", "activate", "deactivate", "cleanup"):
            assert getattr(node, f"trigger_{change}")() == TransitionCallbackReturn.SUCCESS
        used.append((threading.active_count(), Usage.of(os.getpid()).now))
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert used[99][0] == used[0][0]
    assert used[99][1] - used[19][1] < 8 << 20


class Broken:
    """A session whose device went away."""

    def run(self, *arguments):
        raise RuntimeError("CUDA error 700: an illegal memory access was encountered")


def test_inference_fails_and_falls_back_to_the_cpu(client):
    masks = client.hear(Image, "/evlayerseg/mask")
    with here(autostart=True) as (node,):
        client.ready("mask")
        node._segmenter._session, node._segmenter.provider = Broken(), "cuda"
        client.send(packets(moving_box()))
        client.until(lambda: len(masks) >= 7, "every mask, the failed one included")
        assert [stamp_of(m) for m in masks] == ENDS
        status = client.told(lambda s: "from now on" in s.message, "the fall-back")
        assert status.level == DiagnosticStatus.ERROR
        assert "CUDA error 700" in status.message
        told = values(client.told(lambda s: values(s)["provider"] == "cpu", "a lasting warning"))
        assert "from now on" in told["caution"]


@pytest.mark.parametrize("policy", ["error", "fallback"])
def test_inference_fails_on_the_cpu(client, tmp_path, policy, log):
    """A network that does another size than the camera's: out of memory looks the same."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from faulty import tiny_model

    path = tiny_model(tmp_path / "odd.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].input[0] = "sized"
    sized = np.zeros((1, 3, 120, 160), np.float32)  # cells of 640x480, the size of the warm-up
    model.graph.initializer.append(onnx.numpy_helper.from_array(sized, "size"))
    model.graph.node.insert(0, onnx.helper.make_node("Add", ["voxel", "size"], ["sized"]))
    onnx.save(model, str(path))
    client.hear(Image, "/evlayerseg/mask")
    with running(
        log,
        "provider:=cpu",
        f"model:={path}",
        f"on_inference_error:={policy}",
        *ALL_WINDOWS,
    ) as node:
        client.ready("mask")
        client.send(packets(moving_box()))
        status = client.told(lambda s: s.level == DiagnosticStatus.ERROR, "the failure")
        assert status.message.startswith("Model tiny failed on cpu: ")
        if policy == "error":
            client.until(lambda: client.state() == "unconfigured", "the end of its work")
            status = client.told(lambda s: "failed on cpu" in s.message, "the reason, still")
            assert values(status)["state"] == "unconfigured"
            assert client.change("configure")
        else:
            client.told(lambda s: values(s)["failures"] == "7", "7 failed windows")
            assert client.state() == "active"
        assert node.alive() and "Traceback" not in node.log
