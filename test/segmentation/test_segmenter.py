"""The Segmenter with shipped weights on constructed windows: what it must do whatever they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bare_python import numba_cache, run
from drifting import LENGTH, drifting

from evlayerseg_ros.events import Window
from evlayerseg_ros.segmentation.config import PostprocessConfig, SegmenterConfig
from evlayerseg_ros.segmentation.past_events import LASTS, PastEvents
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.segmentation.session import available

W, H = 320, 240
DOTS, BOX = (4.0, 0.0), (0.0, 10.0)  # px a window


def window(index: int, size: tuple[int, int] = (W, H), gap: int = 0) -> Window:
    """Dots that drift to the right, and a box of dots that drifts down, faster."""
    rng = np.random.default_rng(5)
    dots = rng.uniform((-100, 0), size, (700, 2)) + index * np.array(DOTS)
    box = rng.uniform((120, 60), (190, 130), (150, 2)) + index * np.array(BOX)
    left, top = 120, 60 + (index + 0.5) * BOX[1]
    hidden = (dots > (left, top)).all(1) & (dots < (left + 70, top + 70)).all(1)
    found = drifting(index, size, rng, (dots[~hidden], DOTS), (box, BOX))
    events = replace(found.events, t=found.events.t + gap)
    return Window(events, found.start + gap, found.end + gap, found.end + gap)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(provider="cpu", threads=1, track=True)


def assert_same(one: Segmentation, other: Segmentation) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.affine, other.affine)


def test_a_moving_box_and_both_motions_are_found(segmenter: Segmenter) -> None:
    segmenter.forget()
    for index in range(6):
        found = segmenter(window(index))
    inside = np.zeros((H, W), bool)
    top = round(60 + 6 * BOX[1])
    inside[top : top + 70, 120:190] = True
    moving = found.labels > 0
    assert (moving & inside).sum() / (moving | inside).sum() > 0.5
    seconds = LENGTH * 1e-9
    ground = found.affine[0] @ (W / 2, H / 2, 1) * seconds
    assert ground == pytest.approx(DOTS, abs=1)
    label = np.bincount(found.labels[inside]).argmax()
    assert label > 0
    assert found.affine[label] @ (155, top + 35, 1) * seconds == pytest.approx(BOX, abs=1)
    one = next(one for one in found.objects if one.id == label)
    assert 0 < one.score <= 1 and one.events > 1000


def test_ids_last_from_window_to_window(segmenter: Segmenter) -> None:
    segmenter.forget()
    ids = []
    for index in range(8):
        found = segmenter(window(index))
        at = round(60 + (index + 1) * BOX[1])
        ids.append(int(np.bincount(found.labels[at + 10 : at + 60, 130:180].ravel()).argmax()))
    assert len(set(ids[2:])) == 1 and ids[-1] > 0


def test_things_that_a_sliding_camera_passes_are_background_and_a_mover_is_not(
    segmenter: Segmenter,
) -> None:
    # Left and top at first, side, and the way a window: two at rest, nearer than the dots, a mover.
    things = ((20, 20, 60), (8.0, 0.0)), ((20, 165, 60), (14.0, 0.0)), ((230, 20, 60), (0.0, 10.0))
    segmenter.forget()
    for index in range(12):
        rng = np.random.default_rng(5)
        dots = rng.uniform((-150, 0), (W, H), (900, 2)) + index * np.array(DOTS)
        layers, places = [], []
        for (left, top, side), way in things:
            points = rng.uniform((left, top), (left + side, top + side), (110, 2))
            layers.append((points + index * np.array(way), way))
            end = np.array((left, top)) + (index + 1) * np.array(way)
            places.append(
                np.s_[round(end[1]) : round(end[1] + side), round(end[0]) : round(end[0] + side)]
            )
            inside = (dots > end - way) & (dots < end + side)
            dots = dots[~inside.all(1)]
        found = segmenter(drifting(index, (W, H), rng, (dots, DOTS), *layers))
    near, nearer, mover = ((found.labels[place] > 0).mean() for place in places)
    assert mover > 0.5 and max(near, nearer) < 0.25


@pytest.mark.parametrize("after", ["a gap", "a jump back", "another sensor", "forgetting"])
def test_what_does_not_follow_begins_anew(segmenter: Segmenter, after: str) -> None:
    size = (W, H - 10) if after == "another sensor" else (W, H)
    at = {"a gap": 20, "a jump back": 4}.get(after, 6)
    segmenter.forget()
    alone = segmenter(window(at, size))
    segmenter.forget()
    for index in range(3, 6):
        segmenter(window(index))
    if after == "forgetting":
        segmenter.forget()
    assert_same(segmenter(window(at, size)), alone)


def test_without_tracking_every_window_is_the_first() -> None:
    segmenter = Segmenter.load(provider="cpu", threads=1, track=False)
    alone = segmenter(window(4))
    segmenter(window(0))
    assert_same(segmenter(window(4)), alone)


def test_the_same_windows_give_the_same_answers(segmenter: Segmenter) -> None:
    answers = []
    for _ in range(2):
        segmenter.forget()
        answers.append([segmenter(window(index)) for index in range(3)])
    for one, other in zip(*answers, strict=True):
        assert_same(one, other)


def test_a_camera_that_is_known_to_rest_has_a_background_at_rest() -> None:
    segmenter = Segmenter.load(provider="cpu", threads=1, track=True, camera_motion="still")
    for index in range(2):
        assert not segmenter(window(index)).affine[0].any()


def test_every_stage_can_be_switched_off() -> None:
    off = PostprocessConfig(propose=False, memory=False, merge=False, split=False, outline=False)
    config = SegmenterConfig(provider="cpu", threads=1, refine=True, postprocess=off)
    segmenter = Segmenter.from_config(config)
    assert segmenter.postprocess is off and segmenter.refine and segmenter.track
    for index in range(2):
        found = segmenter(window(index))
        assert found.labels.shape == (H, W)
        assert len(found.affine) > found.labels.max()
        assert np.isfinite(found.affine).all()


def test_no_window_is_too_empty(segmenter: Segmenter) -> None:
    segmenter.forget()
    some = window(0)
    for count in (0, 1, 2, 30, 300):
        part = replace(some, events=some.events[:count])
        found = segmenter(part)
        assert found.labels.shape == (H, W) and np.isfinite(found.affine).all()


def test_memory_keeps_133_ms_and_takes_nothing_twice() -> None:
    past_events = PastEvents()
    whole = [window(index) for index in range(8)]
    for one in whole:
        assert past_events.followed_by(one)
        past_events.add(one)
    end = whole[-1].end
    past = past_events.before(end)
    assert past.t[0] >= end - 133_000_000 and (np.diff(past.t) >= 0).all()
    later = np.concatenate([one.events.t for one in whole])
    later = later[(later >= end - 133_000_000) & (later <= end)]
    assert 0.2 * len(later) < len(past) <= len(later)
    past_events.add(replace(whole[-1], start=end - 1))  # overlaps with itself
    assert len(past_events.before(end)) == len(past)
    assert past_events.windows == 9


def test_what_follows_a_window() -> None:
    past_events = PastEvents()
    past_events.add(window(5))
    assert past_events.followed_by(window(6)) and past_events.followed_by(window(5))
    assert past_events.followed_by(window(6, gap=LASTS))
    assert not past_events.followed_by(window(6, gap=LASTS + 1))
    assert not past_events.followed_by(window(4))
    assert not past_events.followed_by(window(6, (W, H - 1)))


@pytest.mark.skipif(
    available("openvino") != "openvino", reason="there is no OpenVINO for this processor"
)
def test_a_signal_is_answered_after_openvino_s_network_went_on_another_thread() -> None:
    """As where a node falls back to the CPU while it runs, and Ctrl-C comes later."""
    code = """
import signal, threading
import numpy as np
from evlayerseg_ros.segmentation.model_file import open_model
session, info = open_model("default", "openvino", "fp32", 1)
session.run(np.zeros((1, *info.voxel.shape(128, 96)), np.float32))
held = [session]
del session
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.signal(signal.SIGINT, lambda *_: print("answered", flush=True))
signal.raise_signal(signal.SIGINT)
"""
    done = run(code, NUMBA_CACHE_DIR=numba_cache())
    assert (done.stdout, done.returncode) == ("answered\n", 0)


@pytest.mark.skipif(
    available("openvino") != "openvino", reason="there is no OpenVINO for this processor"
)
def test_openvino_reports_nothing_and_says_nothing(tmp_path: Path) -> None:
    """Where there is no home to keep a number in, it complained of that."""
    code = """
import sys
from evlayerseg_ros.segmentation.segmenter import Segmenter
print(Segmenter.load(provider="openvino").provider, "openvino_telemetry.main" in sys.modules)
"""
    done = run(code, NUMBA_CACHE_DIR=numba_cache(), HOME=str(tmp_path / "none"))
    assert (done.stdout, done.stderr, done.returncode) == ("openvino False\n", "", 0)
