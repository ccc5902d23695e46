"""`evlayerseg view --live` beside the real node."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")
pytest.importorskip("rerun", reason="the extra [view] is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from ros import ALL_WINDOWS, moving_box, packets, running

from evlayerseg_ros.node import live_view
from evlayerseg_ros.node.live_view import LiveView
from evlayerseg_ros.node.messages import to_message
from evlayerseg_ros.outputs.outputs import Image
from evlayerseg_ros.outputs.scene import Scene


def test_windows_of_a_running_node_are_shown(client, tmp_path, log):
    scene = Scene("test")
    scene.save(tmp_path / "live.rrd")
    with running(log, *ALL_WINDOWS), LiveView("/evlayerseg", scene) as view:
        client.ready("mask", "mask_overlay", "sharpened_events", "layers")
        publisher = client.matched(client.publisher())
        view.run(1.0)  # both sides know of each other
        for packet in packets(moving_box()):
            publisher.publish(packet)
        view.run(3.0)
        assert view.windows >= 5
    scene.close()
    assert (tmp_path / "live.rrd").stat().st_size > 10_000


class Noted(Scene):
    """Shows nothing, and notes what it was to do."""

    def __init__(self):
        super().__init__("noted")
        self.did = []

    def log(self, stamp, outputs, figures=None):
        self.did.append(sorted(outputs) or figures)

    def say(self, stamp, sentence, level="INFO"):
        pass

    def forget(self):
        self.did.append("forget")


def test_that_nobody_is_there_is_told(monkeypatch):
    monkeypatch.setattr(live_view, "_PATIENCE", 0.2)
    told = []
    with LiveView("/nope", Noted()) as view:
        view.run(0.5, told.append)
    assert len(told) == 1 and "no node /nope" in told[0]


def test_a_short_recording_played_again_is_shown_again(monkeypatch):
    """Half a second, twice."""
    monkeypatch.setattr(live_view, "SHOWN", ("mask", "mask_overlay"))
    scene = Noted()
    picture = Image("mono8", np.zeros((2, 2), np.uint8))
    with LiveView("/nope", scene) as view:
        for _ in range(2):
            for k in range(5):
                for name in ("mask", "mask_overlay"):
                    view._hear(name, to_message(picture, (1 + k) * 100_000_000, "", 0))
    assert view.windows == 10
    assert scene.did == [["mask", "mask_overlay"]] * 5 + ["forget"] + [["mask", "mask_overlay"]] * 5


def test_dropped_windows_are_plotted_as_they_grow():
    scene = Noted()
    with LiveView("/nope", scene) as view:
        topics = {heard.topic_name: heard.callback for heard in view.node.subscriptions}
        for count in (3, 3, 5, 0):  # the node was started again at the end
            entry = KeyValue(key="windows dropped", value=str(count))
            names = ("/nope: it", "/nope2: it")  # the other is another node
            told = [DiagnosticStatus(name=name, values=[entry]) for name in names]
            topics["/diagnostics"](DiagnosticArray(status=told))
    assert [figures["windows dropped/s"] for figures in scene.did] == [0, 0, 2, 0]
