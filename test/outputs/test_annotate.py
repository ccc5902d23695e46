"""Pictures for people: what is written on them, whatever the sensor; videos for browsers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from streams import noise

from evlayerseg_ros.events.types import Window
from evlayerseg_ros.outputs import annotate, outputs
from evlayerseg_ros.replay import demo
from evlayerseg_ros.replay.replay import frame_of
from evlayerseg_ros.replay.video import Frames, VideoWriter, side_by_side
from evlayerseg_ros.segmentation.segmentation import Segmentation


def seen(width: int, height: int, speed: float = 200.0) -> Segmentation:
    """A box of a quarter of the picture that goes right, before a background at rest."""
    events = noise(400, (width, height), 33_000_000)
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    affine = np.zeros((2, 2, 3))
    affine[1, 0, 2] = speed
    return Segmentation(Window(events, 0, 33_000_000, 33_000_000), labels, affine)


@pytest.mark.parametrize("size", [(64, 48), (128, 128), (240, 180), (346, 260), (1280, 720)])
def test_a_frame_has_room_for_its_titles_whatever_the_sensor(size):
    segmentation = seen(*size)
    frame = frame_of(segmentation.window, segmentation, 0, Frames())
    height, width = frame.shape[:2]
    assert 640 <= width <= 1280 and height % 2 == 0 and width % 128 == 0
    bar = frame[-28:]
    assert (bar[:, -4:] == bar[0, 0]).all()  # the caption ends before the edge


def test_colours_keep_their_meaning_from_frame_to_frame():
    fast, slow = seen(64, 48, 190), seen(64, 48, 90)
    drawn = Frames(steady=2)
    frames = [frame_of(s.window, s, 0, drawn) for s in (slow, fast, slow, slow)]
    assert (frames[2] != frames[0]).any()  # paler beside the fast one
    assert (frames[3] == frames[0]).all()  # which is forgotten some time


def test_the_demo_draws_what_replay_does_of_topics_alone():
    segmentation = seen(128, 96)
    window, layers = segmentation.window, outputs.layers(segmentation.window, segmentation)
    listener = SimpleNamespace(
        picture=lambda name, stamp: outputs.OUTPUTS[name](window, segmentation).data,
        layers={7: layers.data},
    )
    heard = demo._frame(listener, 7, Frames(), 0.033)
    drawn = frame_of(window, segmentation, 0, Frames())
    assert (heard[:-28] == drawn[:-28]).all()  # all but the caption


def test_a_caption_too_long_is_cut_at_the_edge():
    frame = side_by_side({"a": np.zeros((64, 128), np.uint8)}, "word " * 100)
    assert (frame[-28:, -4:] == frame[-28, 0]).all()


def test_a_background_at_rest_is_white_and_noise_gets_no_full_colours():
    still = seen(128, 96, speed=1.5)
    picture = outputs.flow_color(still.window, still).data
    assert (picture[0, 0] == 255).all()
    assert picture.min() > 200  # 1.5 px/s is nothing in a window of 33 ms


@pytest.mark.parametrize(("fastest", "full"), [(0, 100), (90, 100), (101, 200), (740, 1000)])
def test_the_wheels_speed_is_round_and_above_the_fastest(fastest, full):
    flow = np.zeros((4, 4, 2), np.float32)
    flow[1, 1] = fastest, 0
    assert annotate.full_speed(flow, 0.033) == full


def test_objects_carry_their_colour_and_an_arrow_ahead_of_them():
    segmentation = seen(320, 240)
    black = np.zeros((240, 320, 3), np.uint8)
    out = annotate.with_objects(black, segmentation.objects)
    x, y = segmentation.centroids[1]
    tip = out[round(y), round(x) + 10]
    assert (tip == 255).all()  # 20 px to the right of the middle in 0.1 s
    assert not black.any()  # the caller's picture stays as it was


def test_a_video_is_h264_with_its_index_first_and_the_same_bytes_each_time(tmp_path):
    frames = [np.full((48, 128, 3), shade, np.uint8) for shade in (0, 100, 200)]
    for name in ("a.mp4", "b.mp4"):
        with VideoWriter(tmp_path / name, 30.0) as video:
            for frame in frames:
                video.write(frame)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data == (tmp_path / "b.mp4").read_bytes()
    assert b"avc1" in data and data.index(b"moov") < data.index(b"mdat")
