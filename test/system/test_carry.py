"""publish.rate_hz: masks for now from the real node, over DDS."""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

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
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection2DArray

from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.node.messages import packet_of
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.segmentation.segmenter import Segmenter

LENGTH = 200 * MS  # of the events that are published again and again
# No silence between turns closes a window, however slow the machine.
ENDLESS = (*ALL_WINDOWS, "window.max_age_ms:=10000.0")


def all_done(told, turns):
    """Whether a report says that all windows of so many turns have come out."""
    done = int(told["windows done"]) + int(told["windows idle"])
    return int(told["packets"]) == turns * LENGTH // (10 * MS) and int(told["windows"]) == done


def sent(turns):
    """The packets of so many turns, one after the other."""
    for turn in range(turns):
        step = turn * LENGTH
        yield from moved(packets(moving_box(LENGTH)), step, step, turn * LENGTH // (10 * MS))


def turns_until(client, publisher, ready, what):
    """Publishes turn after turn until ready() is true; how many there were."""
    for turn in count(1):
        everything = list(sent(turn))
        for packet in everything[len(everything) * (turn - 1) // turn :]:
            publisher.publish(packet)
        before = len(client.diagnostics)
        client.until(lambda n=before: ready() or len(client.diagnostics) > n, what)
        if ready():
            return turn
        assert turn < 60, what


def test_masks_between_windows_are_carried_to_their_stamps(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    found = client.hear(Detection2DArray, "/evlayerseg/detections")
    layers = client.hear(PointCloud2, "/evlayerseg/layers")
    with running(log, *ENDLESS, "publish.rate_hz:=200"):
        client.ready("mask", "detections", "layers")
        publisher = client.matched(client.publisher())
        turns = turns_until(client, publisher, lambda: len(masks) >= 20, "20 masks")
        client.told(lambda s: all_done(values(s), turns), "the last window")
        client.told(lambda s: True, "a report, by which the newest mask is too old")
        heard = len(masks)
        client.told(lambda s: True, "another one")
        assert len(masks) == heard
    config = WindowConfig(max_age_ms=10_000.0)
    segment = Segmenter.load("default", "auto", threads=1, track=True)
    stream = PacketStream(config)
    answers = [segment(window) for window, _ in windows_of(map(packet_of, sent(turns)), stream)]
    stamps = [stamp_of(mask) for mask in masks]
    assert all(a < b for a, b in pairwise(stamps))
    for stamp, mask in zip(stamps, masks):
        labels = np.frombuffer(mask.data, np.uint8).reshape(96, 128)
        before = [a for a in answers if a.window.stamp <= stamp]
        carried = (a.labels_at(a.window.end + stamp - a.window.stamp) for a in reversed(before))
        assert any(np.array_equal(labels, there) for there in carried)
    assert {stamp_of(f) for f in found} & set(stamps)
    assert {stamp_of(cloud) for cloud in layers} <= {answer.window.stamp for answer in answers}


def test_the_rate_may_change_while_it_runs(client, log):
    masks = client.hear(Image, "/evlayerseg/mask")
    with running(log, *ALL_WINDOWS, "publish.rate_hz:=100"):
        client.ready("mask")
        assert client.set("publish.rate_hz", type=3, double_value=0.0)[0]
        for _ in range(2):
            client.told(lambda s: True, "a report, and with it the new value")
        client.send(packets(moving_box()))
        client.until(lambda: len(masks) >= 7, "7 masks")
    assert [stamp_of(mask) for mask in masks] == ends(moving_box())
