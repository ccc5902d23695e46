"""`evlayerseg view --live` beside the real node."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")
pytest.importorskip("rerun", reason="the extra [view] is not installed")

from ros import ALL_WINDOWS, moving_box, packets, running

from evlayerseg_ros.node.live_view import LiveView
from evlayerseg_ros.outputs.scene import Scene


def test_windows_of_a_running_node_are_shown(client, tmp_path):
    scene = Scene("test")
    scene.save(tmp_path / "live.rrd")
    with running(tmp_path / "node.log", *ALL_WINDOWS), LiveView("/evlayerseg", scene) as view:
        client.wait_active()
        for topic in ("mask", "mask_overlay", "sharpened_events", "layers"):
            client.connected(f"/evlayerseg/{topic}")
        publisher = client.matched(client.publisher())
        view.run(1.0)  # both sides know of each other
        for packet in packets(moving_box()):
            publisher.publish(packet)
        view.run(3.0)
        assert view.windows >= 5
    scene.close()
    assert (tmp_path / "live.rrd").stat().st_size > 10_000
