"""The node's parameters: described, refused with a reason, and followed while it runs."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import DescribeParameters
from ros import (
    ALL_WINDOWS,
    MS,
    TIMEOUT,
    ends,
    moving_box,
    packets,
    running,
    stamp_of,
    values,
)
from sensor_msgs.msg import Image

from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node.messages import packet_of
from evlayerseg_ros.pipeline import windows_of


@pytest.mark.parametrize("kind", ["missing", "corrupt"])
def test_a_wrong_model_is_one_sentence_and_the_node_stays(client, log, tmp_path, kind):
    model = tmp_path / f"{kind}.onnx"
    if kind == "corrupt":
        model.write_bytes(b"this is no model" * 100)
    with running(log, f"model:={model}") as node:
        status = client.told(lambda s: s.level == DiagnosticStatus.ERROR, "an ERROR")
        assert str(model) in status.message
        assert client.state() == "unconfigured"
        assert not client.change("configure")
        assert node.alive()
    errors = [line for line in node.log.splitlines() if "[ERROR]" in line]
    assert len(errors) == 2  # one for each try
    assert all(str(model) in line for line in errors)
    assert "Traceback" not in node.log


def test_parameters_are_described_and_wrong_values_refused_with_a_reason(client, log):
    with running(log, "autostart:=false"):
        described = client.call(
            DescribeParameters,
            "/evlayerseg/describe_parameters",
            DescribeParameters.Request(names=["window.duration_ms", "model", "window.mode"]),
        ).descriptors
        assert all(d.description for d in described)
        assert described[0].floating_point_range[0].from_value == pytest.approx(0.1)
        assert described[1].read_only
        assert described[2].additional_constraints == "One of: time, count."

        assert client.set("window.duration_ms", type=3, double_value=20.0) == (True, "")
        for name, value, reason in (
            ("window.mode", {"type": 4, "string_value": "sideways"}, "expected time or count"),
            ("window.duration_ms", {"type": 3, "double_value": 0.0}, "range"),
            ("window.events", {"type": 3, "double_value": 5.0}, "INTEGER"),
            ("model", {"type": 4, "string_value": "other"}, "read-only"),
        ):
            successful, why = client.set(name, **value)
            assert not successful
            assert reason in why or "Wrong parameter type" in why  # Kilted says numbers


def test_a_wrong_parameter_at_the_start_is_one_line_and_status_2(log):
    with running(log, "provider:=abacus") as node:
        assert node.process.wait(TIMEOUT) == 2
    assert "expected auto or cpu or openvino or cuda or tensorrt" in node.log
    assert len(node.log.strip().splitlines()) == 1


def test_windows_follow_their_parameters_while_running(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS):
        client.ready("mask")
        assert client.set("window.duration_ms", type=3, double_value=100.0)[0]
        for _ in range(2):
            client.told(lambda s: True, "a report, and with it the new value")
        client.send(packets(moving_box(duration=210 * MS)))
        client.until(lambda: len(masks) >= 3, "three masks")
    assert [stamp_of(m) for m in masks] == ends(moving_box(duration=210 * MS), 100 * MS)


def test_windows_that_overlap_come_at_their_stride(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "window.stride_ms:=10.0"):
        client.ready("mask")
        client.send(packets(moving_box()))
        stream = PacketStream(WindowConfig(stride_ms=10.0, max_age_ms=1000.0))
        expected = [w.stamp for w, _ in windows_of(map(packet_of, packets(moving_box())), stream)]
        assert len(expected) > 16  # 167 ms of 200 are the ends of whole windows
        client.until(lambda: len(masks) >= len(expected), f"{len(expected)} masks")
        told = values(client.told(lambda s: True, "a report"))
    assert [stamp_of(mask) for mask in masks] == expected
    assert (told["windows dropped"], told["packets dropped"]) == ("0", "0")
