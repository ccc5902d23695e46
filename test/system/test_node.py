"""The real node, in its own process, under real rclpy and DDS."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from event_camera_msgs.msg import EventPacket
from ros import (
    ALL_WINDOWS,
    EPOCH,
    MS,
    ends,
    moving_box,
    packets,
    running,
    stamp_of,
    values,
)
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.node.segment_node import SegmentNode
from evlayerseg_ros.outputs.outputs import OUTPUTS

KINDS = {"layers": PointCloud2, "moving_events": EventPacket, "detections": Detection2DArray}


@pytest.mark.parametrize("now", [0, EPOCH])
def test_simulated_time_does_not_pass_as_the_wall_s(now):
    """Nor is it known before the first /clock."""
    clock = SimpleNamespace(ros_time_is_active=True)
    node = SimpleNamespace(_now=lambda: now, get_clock=lambda: clock)
    arrived = time.monotonic() - 5
    assert SegmentNode._at(node, arrived) == now
    clock.ros_time_is_active = False
    assert SegmentNode._at(node, arrived) == pytest.approx(max(now - 5e9, 0), abs=1e8)


def test_every_output_carries_the_windows_stamp_size_and_frame(client, log):
    events = moving_box()
    heard = {name: client.hear(KINDS.get(name, Image), f"/evlayerseg/{name}") for name in OUTPUTS}
    with running(log, *ALL_WINDOWS):
        client.ready(*OUTPUTS)
        client.send(packets(events))
        # 200 ms are 6 windows of 33 ms, and 2 ms that come out when the stream stalls.
        client.until(lambda: all(len(h) >= 7 for h in heard.values()), "7 of each output")
    for name, messages in heard.items():
        assert [stamp_of(m) for m in messages] == ends(events), name
        assert {m.header.frame_id for m in messages} == {"camera_optical"}
    formats = {name: (m[0].encoding, m[0].step) for name, m in heard.items() if name not in KINDS}
    assert formats == {
        "mask": ("mono8", 128),
        "mask_overlay": ("rgb8", 384),
        "flow": ("32FC2", 1024),
        "flow_color": ("rgb8", 384),
        "sharpened_events": ("mono8", 128),
    }
    for name in formats:
        message = heard[name][0]
        assert (message.height, message.width) == (96, 128)
        assert len(message.data) == 96 * message.step
    _check_layers(heard["layers"][0], heard["flow"][0], heard["mask"][0])
    for i, moving in enumerate(heard["moving_events"]):
        decoded = Decoder("mono", 128, 96).decode(
            np.frombuffer(moving.events, np.uint8), moving.time_base
        )
        table = _table(heard["layers"][i])
        assert len(decoded) == table["events"][1:].sum()
        assert moving.seq == i


def _table(cloud: PointCloud2) -> np.ndarray:
    kinds = {7: "<f4", 6: "<u4"}
    names = [f.name for f in cloud.fields]
    layout = {
        "names": names,
        "formats": [kinds[f.datatype] for f in cloud.fields],
        "offsets": [f.offset for f in cloud.fields],
        "itemsize": cloud.point_step,
    }
    return np.frombuffer(cloud.data, np.dtype(layout))


def _check_layers(cloud: PointCloud2, flow: Image, mask: Image) -> None:
    """The layers' affine motions give the dense flow."""
    table = _table(cloud)
    assert list(table["label"]) == list(range(len(table)))
    labels = np.frombuffer(mask.data, np.uint8).reshape(96, 128)
    field = np.frombuffer(flow.data, np.float32).reshape(96, 128, 2)
    y, x = np.mgrid[:96, :128]
    layer = table[labels]
    u = layer["a_ux"] * x + layer["a_uy"] * y + layer["a_u0"]
    v = layer["a_vx"] * x + layer["a_vy"] * y + layer["a_v0"]
    assert np.allclose(field, np.stack([u, v], -1), rtol=1e-3, atol=1e-2)


def test_nothing_is_computed_unless_somebody_listens(client, log):
    with running(log, *ALL_WINDOWS):
        client.ready()
        client.send(packets(moving_box()))
        told = values(
            client.told(lambda s: int(values(s).get("windows idle", 0)) == 7, "7 idle windows")
        )
        assert (told["windows"], told["windows done"]) == ("7", "0")


def test_a_bad_packet_is_told_and_the_next_good_one_is_used(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS) as node:
        client.ready("mask")
        publisher = client.matched(client.publisher())
        good = packets(moving_box())
        unknown, truncated = packets(moving_box())[:2]
        unknown.encoding = "evt9"
        truncated.events = truncated.events[:-3]
        for bad, sentence in ((unknown, "evt9"), (truncated, "mono")):
            publisher.publish(bad)
            status = client.told(
                lambda s, sentence=sentence: (
                    s.level == DiagnosticStatus.ERROR and sentence in s.message
                ),
                f"an ERROR about {sentence}",
            )
            assert "expected" in status.message
        for packet in good:
            publisher.publish(packet)
        client.until(lambda: masks, "a mask after bad packets")
        assert node.alive()
    assert "evt9" in node.log
    assert "Traceback" not in node.log


def test_reset_forgets_the_open_window(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "window.max_age_ms:=10000.0"):
        client.ready("mask")
        publisher = client.matched(client.publisher())
        sent = packets(moving_box())
        for packet in sent[:2]:  # 20 ms: no window yet
            publisher.publish(packet)
        client.told(lambda s: values(s).get("packets") == "2", "both packets")
        answer = client.call(Trigger, "/evlayerseg/reset", Trigger.Request())
        assert answer.success
        for packet in sent[10:]:
            publisher.publish(packet)
        client.until(lambda: masks, "a mask")
    events = moving_box()
    begin = int(events.t[events.t >= 100 * MS][0])
    assert stamp_of(masks[0]) == EPOCH + int(events.t[events.t < begin + 33 * MS][-1])


def test_the_whole_lifecycle_twice(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, "autostart:=false", *ALL_WINDOWS) as node:
        for turn in range(2):
            assert client.state() == "unconfigured"
            assert client.change("configure")
            assert client.state() == "inactive"
            assert client.change("activate")
            client.connected("/evlayerseg/mask")
            publisher = client.send(packets(moving_box()))
            client.until(lambda turn=turn: len(masks) == 7 * (turn + 1), "7 masks")
            client.node.destroy_publisher(publisher)
            assert client.change("deactivate")
            assert client.change("cleanup")
        assert client.change("shutdown")
        assert node.stop() == 0


def test_what_cannot_be_heard_is_said(client, log):
    with running(log, "qos.events_reliability:=reliable"):
        client.ready()
        client.told(lambda s: s.message == "Nobody publishes /evlayerseg/events.", "silence")
        elsewhere = client.node.create_publisher(EventPacket, "/event_camera/events", 10)
        status = client.told(lambda s: "remap" in s.message, "a hint to remap")
        assert "/event_camera/events" in status.message
        client.node.destroy_publisher(elsewhere)
        client.publisher(reliable=False)
        status = client.told(lambda s: "best effort" in s.message, "a hint on QoS")
        assert "qos.events_reliability" in status.message
        assert status.level == DiagnosticStatus.WARN


def test_event_arrays_give_the_same_windows(client, log):
    dvs = pytest.importorskip("dvs_msgs.msg", reason="dvs_msgs is not built")
    masks = client.hear(Image, "/evlayerseg/mask")
    events = moving_box(rate=20_000)
    with running(log, "event_type:=dvs_msgs/EventArray", *ALL_WINDOWS):
        client.ready("mask")
        publisher = client.matched(client.publisher(dvs.EventArray))
        for packet in packets(events):
            begin = packet.time_base
            first, last = np.searchsorted(events.t, [begin, begin + 10 * MS])
            message = dvs.EventArray(header=packet.header, height=96, width=128)
            for x, y, t, p in zip(
                events.x[first:last],
                events.y[first:last],
                EPOCH + events.t[first:last],
                events.p[first:last],
            ):
                event = dvs.Event(x=int(x), y=int(y), polarity=bool(p))
                event.ts.sec, event.ts.nanosec = divmod(int(t), 1_000_000_000)
                message.events.append(event)
            publisher.publish(message)
        client.until(lambda: len(masks) >= 7, "7 masks")
    assert [stamp_of(m) for m in masks] == ends(events)
    assert {(m.height, m.width) for m in masks} == {(96, 128)}
