"""The node's outputs as plain data, and the pictures among them."""

from dataclasses import replace

import numpy as np
import pytest
from streams import noise

from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.outputs import outputs, pictures
from evlayerseg_ros.segmentation.segmentation import Segmentation


def one_moving_box(window: Window, left: int = 8, right: int = 16) -> Segmentation:
    """Known by construction: columns left to right - 1 go right at 100 px/s, the rest stands."""
    labels = np.zeros((window.events.height, window.events.width), np.uint8)
    labels[:, left:right] = 1
    affine = np.zeros((2, 2, 3))
    affine[1, 0, 2] = 100
    return Segmentation(window, labels, affine)


@pytest.fixture
def window() -> Window:
    events = noise(500, (24, 18), 30_000_000, begin=5_000_000_000)
    return Window(events, int(events.t[0]), int(events.t[-1]), 1_700_000_000_000_000_000)


@pytest.mark.parametrize(
    ("name", "encoding", "shape", "dtype"),
    [
        ("mask", "mono8", (18, 24), np.uint8),
        ("mask_overlay", "rgb8", (18, 24, 3), np.uint8),
        ("flow", "32FC2", (18, 24, 2), np.float32),
        ("flow_color", "rgb8", (18, 24, 3), np.uint8),
        ("sharpened_events", "mono8", (18, 24), np.uint8),
    ],
)
def test_images_have_the_shape_their_encoding_says(window, name, encoding, shape, dtype) -> None:
    image = outputs.OUTPUTS[name](window, one_moving_box(window))
    assert (image.encoding, image.data.shape, image.data.dtype) == (encoding, shape, dtype)
    assert image.data.flags.c_contiguous


def test_overlay_paints_moving_events_in_their_layers_colour(window) -> None:
    segmentation = one_moving_box(window)
    picture = outputs.mask_overlay(window, segmentation).data
    events = window.events
    last = {(x, y): i for i, (x, y) in enumerate(zip(events.x, events.y, strict=True))}
    for (x, y), i in last.items():
        color, polarity = tuple(picture[y, x]), events.p[i]
        if segmentation.event_labels[i]:
            strong = np.array(pictures.LAYER_COLORS[0])
            assert color == (tuple(strong) if polarity else tuple(np.rint(strong * 0.72)))
        else:
            assert color == pictures.BACKGROUND_EVENT[polarity]


def test_layers_say_the_motion_exactly(window) -> None:
    segmentation = one_moving_box(window)
    segmentation.affine[1, 1] = 0.5, 0.25, -3
    table = outputs.layers(window, segmentation).data
    assert table["label"].tolist() == [0, 1]
    assert table["events"].sum() == 500
    assert table[1][["a_ux", "a_uy", "a_u0", "a_vx", "a_vy", "a_v0"]].tolist() == (
        0, 0, 100, 0.5, 0.25, -3,
    )  # fmt: skip
    assert 5 <= table["x"][1] < 16
    # ROS reads the points by these offsets.
    assert [table.dtype.fields[n][1] for n in table.dtype.names] == list(range(0, 44, 4))


def test_moving_events_come_back_from_their_packet(window) -> None:
    segmentation = one_moving_box(window)
    packet = outputs.moving_events(window, segmentation)
    assert (packet.encoding, packet.stamp) == ("mono", window.stamp)
    decoder = Decoder("mono", packet.width, packet.height)
    events = decoder.decode(np.frombuffer(packet.data, np.uint8), packet.time_base)
    wanted = window.events[segmentation.event_labels == 1]
    for name in ("x", "y", "t", "p"):
        np.testing.assert_array_equal(getattr(events, name), getattr(wanted, name))


def test_moving_events_from_before_time_zero_are_left_out(window) -> None:
    """An EventPacket's time base has no sign."""
    early = replace(window.events, t=window.events.t - 5_015_000_000)
    before = Window(early, int(early.t[0]), int(early.t[-1]), window.stamp)
    segmentation = one_moving_box(before)
    packet = outputs.moving_events(before, segmentation)
    events = Decoder("mono", 24, 18).decode(np.frombuffer(packet.data, np.uint8), packet.time_base)
    wanted = early.t[(segmentation.event_labels == 1) & (early.t >= 0)]
    np.testing.assert_array_equal(events.t, wanted)
    assert 0 < len(wanted) < np.count_nonzero(segmentation.event_labels == 1)


def test_every_output_of_a_window_without_events() -> None:
    nothing = Window(Events.empty(24, 18), 0, 33_000_000, 33_000_000)

    segmentation = one_moving_box(nothing)
    made = {name: make(nothing, segmentation) for name, make in outputs.OUTPUTS.items()}
    assert not made["sharpened_events"].data.any()
    assert made["moving_events"].data == b""
    assert np.isnan(made["layers"].data["x"]).all()


@pytest.mark.parametrize(
    ("direction", "color"),
    [
        ((1, 0), (255, 0, 0)),  # right: red
        ((0, 1), (255, 229, 0)),  # down: yellow, as the published wheel has it
        ((-1, 0), (0, 208, 255)),  # left: cyan
        ((0, -1), (88, 0, 255)),  # up: violet
    ],
)
def test_flow_wheel_is_the_published_one(direction, color) -> None:
    # Values of the code published with the wheel (55 colours, corners after 15, 6, 4, 11, 13, 6).
    picture = pictures.flow_wheel(np.array([[direction]], np.float32), full_speed=1.0)
    np.testing.assert_allclose(picture[0, 0].astype(int), color, atol=1)


def test_flow_wheel_is_white_where_nothing_moves() -> None:
    flow = np.zeros((2, 2, 2), np.float32)
    assert (pictures.flow_wheel(flow) == 255).all()
    flow[0, 0] = 5, 0
    assert pictures.flow_wheel(flow)[0, 0].tolist() == [255, 0, 0]


def test_flow_wheel_survives_what_is_no_number() -> None:
    flow = np.full((2, 2, 2), np.nan, np.float32)
    flow[0, 0] = np.inf
    assert pictures.flow_wheel(flow).shape == (2, 2, 3)


def test_warped_events_split_over_four_pixels_and_keep_their_sum() -> None:
    image = pictures.image_of_warped_events(np.array([2.25]), np.array([1.5]), 6, 4)
    np.testing.assert_allclose(image[1:3, 2:4], [[0.375, 0.125], [0.375, 0.125]])
    assert image.sum() == 1


def test_warped_events_outside_count_only_what_falls_inside() -> None:
    x = np.array([-0.5, 5.5, np.nan, -7.0, 1e9])
    image = pictures.image_of_warped_events(x, np.zeros(5), 6, 4)
    assert image[0].tolist() == [0.5, 0, 0, 0, 0, 0.5]
    assert image.sum() == 1


def test_events_carried_along_their_motion_are_sharper() -> None:
    # One dot that goes right at 100 px/s is a streak of single events; sharpened it is one dot.
    t = np.arange(0, 30_000_000, 10_000_000)
    events = Events.from_arrays(np.array([8, 9, 10]), np.full(3, 5), t, np.ones(3), 24, 18)
    window = Window(events, 0, int(t[-1]), 0)
    picture = outputs.sharpened_events(window, one_moving_box(window)).data
    assert np.argwhere(picture).tolist() == [[5, 10]]
