"""Outputs as ROS messages: what a subscriber and a reader of the bag get."""

from __future__ import annotations

import re

import numpy as np
import pytest
from root import ROOT

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.outputs import messages
from evlayerseg_ros.outputs.outputs import LABEL_NAMES, LAYER_DTYPE, OUTPUTS
from evlayerseg_ros.recordings.writer import RosbagsMaker
from evlayerseg_ros.segmentation.segmentation import Segmentation

STAMP = 1_700_000_000_123_456_789


def makers():
    yield RosbagsMaker()
    try:
        from evlayerseg_ros.node.messages import RclpyMaker
    except ImportError:
        return
    yield RclpyMaker()


@pytest.fixture(params=list(makers()), ids=lambda maker: type(maker).__name__)
def make(request):
    return request.param


@pytest.fixture
def segmentation() -> Segmentation:
    """Object 2 in columns 8 to 15 and rows 4 to 9 of 24x18; there is no object 1."""
    events = Events.from_arrays([9, 3], [5, 3], [0, 5_000_000], [0, 1], 24, 18)
    labels = np.zeros((18, 24), np.uint8)
    labels[4:10, 8:16] = 2
    affine = np.zeros((3, 2, 3))
    affine[2, 0, 2] = 100
    return Segmentation(Window(events, 0, 5_000_000, STAMP), labels, affine, scores={2: 0.75})


def filled(make, name, segmentation):
    output = OUTPUTS[name](segmentation.window, segmentation)
    return messages.fill(make, output, STAMP, "camera_optical", 7)


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_topic_has_its_type_stamp_and_frame(make, segmentation, name):
    message = filled(make, name, segmentation)
    kind = messages.TOPIC_TYPES[name]
    assert type(message).__name__ in (kind.split("/")[-1], kind.replace("/", "__"))
    stamp = message.header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec == STAMP
    assert message.header.frame_id == "camera_optical"


def test_a_detection_is_box_track_id_and_score(make, segmentation):
    (found,) = filled(make, "detections", segmentation).detections
    center, size = found.bbox.center.position, (found.bbox.size_x, found.bbox.size_y)
    assert (center.x, center.y, *size) == (12, 7, 8, 6)
    assert (center.x - size[0] / 2, center.y - size[1] / 2) == (8, 4)  # left and top column, row
    assert found.id == "2"  # the mask's label
    assert [(r.hypothesis.class_id, r.hypothesis.score) for r in found.results] == [
        ("moving", 0.75)
    ]


def test_nothing_that_moves_is_an_empty_list_of_detections(make, segmentation):
    still = Segmentation(segmentation.window, np.zeros((18, 24), np.uint8), segmentation.affine)
    assert not list(filled(make, "detections", still).detections)


def test_an_image_says_its_size_and_holds_its_bytes(make, segmentation):
    message = filled(make, "flow", segmentation)
    assert (message.height, message.width, message.step) == (18, 24, 24 * 8)
    assert message.encoding == "32FC2"
    flow = np.frombuffer(bytes(message.data), "<f4").reshape(18, 24, 2)
    assert flow[5, 9].tolist() == [100, 0] and not flow[0].any()


def test_layers_can_be_read_by_their_fields(make, segmentation):
    message = filled(make, "layers", segmentation)
    names = [field.name for field in message.fields]
    assert names == list(LAYER_DTYPE.names)
    table = np.frombuffer(bytes(message.data), LAYER_DTYPE)
    assert table["label"].tolist() == [0, 1, 2] and table["a_u0"].tolist() == [0, 0, 100]
    assert not message.is_dense  # label 1 has no events and no centroid


def test_label_info_names_each_number_of_the_mask(make):
    message = messages.label_info(make, LABEL_NAMES, STAMP)
    named = {entry.class_id: entry.class_name for entry in message.class_map}
    assert named[0] == "background" and named[3] == "moving 3" and 255 not in named


def test_the_definitions_are_those_of_the_interfaces_we_build():
    for name, text in messages.DEFINITIONS.items():
        package, _, kind = name.split("/")
        written = (ROOT / f"interfaces/{package}/msg/{kind}.msg").read_text()
        lines = [re.sub(r"\s*#.*", "", line).strip() for line in written.splitlines()]
        fields = [" ".join(line.split()) for line in lines if line]
        assert fields == [line for line in text.splitlines() if line], name
