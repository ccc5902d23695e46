"""What goes with the mask, from the real node: detections, the labels' names, camera_info."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")

from rclpy.qos import DurabilityPolicy, QoSProfile
from ros import ALL_WINDOWS, moving_box, packets, running, stamp_of
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, LabelInfo


def test_camera_info_and_detections_have_the_masks_stamps(client, log):
    with running(log, *ALL_WINDOWS):
        masks = client.hear(Image, "/evlayerseg/mask")
        infos = client.hear(CameraInfo, "/evlayerseg/camera_info")
        found = client.hear(Detection2DArray, "/evlayerseg/detections")
        client.ready("mask", "camera_info", "detections")
        events = client.matched(client.publisher())
        camera = client.node.create_publisher(CameraInfo, "/evlayerseg/events_camera_info", 1)
        client.until(camera.get_subscription_count, "the node to hear the calibration")
        given = CameraInfo(width=128, height=96, distortion_model="plumb_bob", d=[0.1, 0, 0, 0, 0])
        given.k[0], given.k[4] = 120.0, 121.0
        late = _hear_latched(client)
        client.until(lambda: late, "label_info, though we came late")
        for packet in packets(moving_box(400_000_000)):
            camera.publish(given)  # as a camera does: now and then, and one may be lost
            events.publish(packet)
        client.until(lambda: len(masks) >= 12 and len(infos) >= 3, "masks and calibrations")
        client.until(lambda: len(masks) == len(found), "detections of each mask")
        assert {stamp_of(m) for m in infos} <= {stamp_of(m) for m in masks}
        assert [stamp_of(m) for m in masks] == [stamp_of(m) for m in found]
        assert infos[0].header.frame_id == masks[0].header.frame_id == "camera_optical"
        assert (infos[0].k[0], infos[0].k[4], infos[0].d[0]) == (120.0, 121.0, 0.1)
        for mask, message in zip(masks, found):
            ids = {str(label) for label in set(mask.data) - {0}}
            assert {detection.id for detection in message.detections} == ids
        assert {c.class_id: c.class_name for c in late[0].class_map}[0] == "background"


def _hear_latched(client):
    heard = []
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.node.create_subscription(LabelInfo, "/evlayerseg/label_info", heard.append, qos)
    return heard
