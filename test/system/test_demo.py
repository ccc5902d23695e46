"""`evlayerseg demo`: the real node in its own process, heard over DDS."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from called import done, refused

pytest.importorskip("rclpy", reason="no ROS 2 here")

from event_camera_msgs.msg import EventPacket
from ros import moving_box
from streams import save


def test_a_recording_of_ones_own_becomes_a_video_a_picture_and_figures(tmp_path):
    events = moving_box(duration=1_500_000_000)
    path = save(tmp_path / "box.npz", replace(events, t=events.t + 10**9))
    result = done("demo", "--recording", path, "--out", tmp_path)
    for word in ("the node is active", "windows/s", "p50", "Mev/s", "dropped"):
        assert word in result.output
    assert cv2.VideoCapture(str(tmp_path / "demo.mp4")).read()[0]
    assert cv2.imread(str(tmp_path / "demo.png")) is not None


def test_a_recording_too_short_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "short.npz"
    np.savez(path, x=[1, 2], y=[1, 2], t=[0, 1000], p=[0, 1], size=(128, 96))
    result = refused("demo", "--recording", path, "--out", tmp_path)
    assert "Nobody publishes" not in result.output  # true when all is over, and no reason
    assert "short.npz is too short for a demo" in result.output and "Traceback" not in result.output


def test_a_recording_that_is_missing_is_told_before_anything_starts(tmp_path):
    assert "none.raw" in refused("demo", "--recording", tmp_path / "none.raw").output


def test_play_waits_for_as_many_as_it_is_told(client, dots):
    client.hear(EventPacket, "/played")
    play = ["play", dots, "--to", "/played", "--wait", "5", "--subscribers"]
    assert "Only 1 of 2 subscribed to /played" in refused(*play, 2).output
    assert "packets" in done(*play, 1).output
