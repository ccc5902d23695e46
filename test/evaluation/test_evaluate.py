"""Scores of a hand-made sequence whose overlap is known from arithmetic."""

import math

import numpy as np
import pytest
from box_scene import (
    HEIGHT,
    MASK_TIMES,
    WIDTH,
    box,
    box_found,
    cut,
    of_events,
    scores,
)

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import flow, results
from evlayerseg_ros.evaluation.evaluate import evaluate_sequence, masks_of
from evlayerseg_ros.evaluation.truth import Truth, load_truth
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.pipeline import PipelineConfig, Segmented
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.simulation.presets import write_sequence
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor


@pytest.mark.parametrize(("shift", "iou", "dr"), [(0, 1, 1), (3, 7 / 13, 1), (4, 6 / 14, 0)])
def test_iou_and_detection_at_the_masks_time(events, truth, shift, iou, dr) -> None:
    result = scores(events, truth, shift)
    assert result.times == MASK_TIMES.tolist()
    assert result.measures["iou"] == pytest.approx([iou] * 5)
    assert result.measures["dr"] == [dr] * 5


def test_event_scores(events, truth) -> None:
    right = scores(events, truth, shift=0).mean()
    assert right["event_iou"] == right["event_accuracy"] == 1
    off = scores(events, truth, shift=3).mean()
    # 7 of 10 columns agree, 3 are missed and 3 too many, of 10 rows each.
    assert off["event_iou"] == pytest.approx(7 / 13)
    assert off["event_accuracy"] == pytest.approx(1 - 60 / 1200)


def test_flow_error_over_events(events, truth) -> None:
    # 100 of 1200 pixels are the box's, 6 px/s too fast; the rest is right.
    result = scores(events, truth, shift=0, too_fast=6.0)
    assert result.mean()["flow_error"] == pytest.approx(6 * 100 / 1200)
    assert scores(events, truth, shift=0).mean()["flow_error"] == pytest.approx(0, abs=1e-9)


def test_flow_error_of_each_side_in_px_over_the_window(events, truth) -> None:
    # A window of two instants 10 ms apart, in which the box moves by one pixel.
    found = scores(events, truth, shift=0, too_fast=60.0).mean()
    assert found["flow_error_object"] == pytest.approx(0.6)
    assert found["flow_error_background"] == pytest.approx(0, abs=1e-9)
    assert found["object_shift"] == pytest.approx(1)
    # What is missed altogether is said to move with the background, which stands.
    missed = scores(events, truth, shift=20).mean()
    assert missed["event_iou"] == 0
    assert missed["flow_error_object"] == pytest.approx(1)


def test_flow_error_follows_points_through_a_motion_that_changes() -> None:
    """A layer that turns ever faster about (20, 15): where its points end up is known."""

    def angle(s: float) -> float:
        return 3 * s + 10 * s**2

    def turn(by: float) -> np.ndarray:
        c, s = np.cos(by), np.sin(by)
        return np.array([[c, -s], [s, c]])

    centre, ends = np.array([20, 15]), (0.0, 0.1)
    t = np.linspace(*ends, 41)
    rates = 3 + 20 * t
    velocity = np.zeros((41, 2, 2, 3))
    velocity[:, 1, 0, 1], velocity[:, 1, 1, 0] = -rates, rates
    velocity[:, 1, :, 2] = np.stack([rates * centre[1], -rates * centre[0]], 1)
    truth = Truth(
        np.zeros(1, np.int64), lambda i: np.ones((HEIGHT, WIDTH)), None, t * 1e9, velocity
    )
    when, maps = flow.paths(truth, 0, 100_000_000)
    for s, found in zip(when * 1e-9, maps[:, 1, :2], strict=True):
        assert found[:, :2] == pytest.approx(turn(angle(s)), abs=1e-6)
        assert found @ [20, 15, 1] == pytest.approx(centre, abs=1e-6)
    # A method that knows the mean rate is off by what that rotation differs from the true way.
    rng = np.random.default_rng(0)
    n, rate = 500, angle(0.1) / 0.1
    x, y = rng.integers(10, 30, n), rng.integers(5, 25, n)
    times = np.sort(rng.integers(0, 100_000_000, n))
    events = Events.from_arrays(x, y, times, np.zeros(n, int), WIDTH, HEIGHT)
    affine = np.zeros((2, 2, 3))
    affine[1] = [[0, -rate, rate * centre[1]], [rate, 0, -rate * centre[0]]]
    labels = np.ones((HEIGHT, WIDTH), np.uint8)
    segmentation = Segmentation(Window(events, 0, 100_000_000, 100_000_000), labels, affine)
    error = flow.over_window(truth, segmentation, np.ones(n, np.uint8))
    expected = []
    for column, row, s in zip(x, y, times * 1e-9, strict=True):
        begin = turn(-angle(s)) @ ([column, row] - centre)
        end = turn(angle(0.1)) @ begin
        expected.append(np.linalg.norm(0.1 * rate * np.array([-end[1], end[0]]) - (end - begin)))
    assert error["flow_error_object"] == pytest.approx(np.mean(expected), rel=1e-2)
    assert math.isnan(error["flow_error_background"])


def test_false_alarms_where_nothing_moves(events) -> None:
    empty = Truth(MASK_TIMES, lambda i: np.zeros((HEIGHT, WIDTH)), np.zeros(len(events), np.uint8))
    found = scores(events, empty)
    assert found.measures["false_alarms"] == pytest.approx([100 / 1200] * 5)
    mean = found.mean()
    assert all(math.isnan(mean[m]) for m in ("iou", "dr", "precision", "recall", "event_iou"))
    assert mean["event_accuracy"] == pytest.approx(1100 / 1200)
    assert found.worst is not None  # there is a picture of it


def test_no_false_alarms_are_counted_where_something_moves(events, truth) -> None:
    assert math.isnan(scores(events, truth).mean()["false_alarms"])
    # The object is not in this mask yet, but makes events in the window.
    later = Truth(MASK_TIMES, lambda i: np.zeros((HEIGHT, WIDTH)), truth.event_labels)
    mean = scores(events, later).mean()
    assert math.isnan(mean["false_alarms"]) and math.isnan(mean["iou"])
    assert mean["event_iou"] == pytest.approx(7 / 13)


def test_without_truth_only_sharpness_is_measured(events) -> None:
    found = evaluate_sequence("s", cut(events), None, of_events(2400), box_found)
    assert found.times == [10_000_000, 30_000_000, 50_000_000, 70_000_000, 90_000_000]
    assert found.mean()["rsat"] > 0 and math.isnan(found.mean()["iou"])
    assert found.warning == "s has no masks (--masks): only its sharpness is measured."
    none = evaluate_sequence("s", [], None, PipelineConfig(), box_found)
    assert none.warning == "s is not scored: it has no masks (--masks) and no window of events."


def test_pixels_without_an_event_do_not_count(events, truth) -> None:
    # Only the lower half of the sensor saw anything: half of the box, the same overlap.
    lower = events[events.y >= 15]
    bare = Truth(truth.t, truth.mask)
    result = scores(lower, bare, shift=3, count=1200)
    assert result.measures["iou"] == pytest.approx([7 / 13] * 5)
    assert math.isnan(result.mean()["event_iou"])


def test_masks_belong_to_the_windows_they_fall_into(events) -> None:
    """The first one of windows that overlap, the nearer one of a gap, none far from all."""

    def answers(*spans: tuple[int, int]) -> list[Segmented]:
        labels, still = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((1, 2, 3))
        windows = [Window(events[:1], start, end, end) for start, end in spans]
        return [Segmented(Segmentation(w, labels, still), "", 0.0) for w in windows]

    def found(spans: list[tuple[int, int]], *times: int) -> list[list[int]]:
        t = np.array(times)
        return [t[list(masks)].tolist() for _, masks in masks_of(answers(*spans), t)]

    assert found([(0, 10), (10, 20)], 0, 3, 10, 11, 20) == [[0, 3, 10], [11, 20]]
    assert found([(0, 10), (5, 15)], 3, 7, 12) == [[3, 7], [12]]
    assert found([(0, 10), (30, 40)], 12, 19, 21, 29, 45, 51) == [[12, 19], [21, 29, 45]]
    assert found([(100, 110), (200, 210)], 89, 90, 121, 150, 189, 190) == [[90], [190]]
    assert found([], 5) == []
    empty = answers((0, 10))[0].segmentation
    quiet = Segmented(
        Segmentation(Window(events[:0], 10, 20, 20), empty.labels, empty.affine), "", 0
    )
    assert [list(m) for _, m in masks_of([*answers((0, 10)), quiet], np.array([5, 25]))] == [[0]]


def test_a_window_with_several_masks_scores_their_mean(events, truth) -> None:
    """Windows of 40 ms hold two masks each; the second one is off by as much as the labels are."""
    times = MASK_TIMES[:4]
    masks = Truth(times, lambda i: box(times[i], shift=3 if i % 2 else 0))
    result = scores(events, masks, shift=3, count=4800)
    assert result.skipped == 0
    assert result.measures["iou"] == pytest.approx([(7 / 13 + 1) / 2] * 2)
    assert result.measures["dr"] == [1, 1]


def test_what_was_wrong_with_the_packets_is_told(events, truth) -> None:
    packets = [
        *cut(events)[:5],
        Packet.unreadable("A message of 3 bytes is none."),
        *cut(events)[5:],
    ]
    found = evaluate_sequence("box", packets, truth, of_events(2400), box_found)
    assert found.stream["bad_packets"] == 1 and found.stream["events"] == len(events)
    data = results.as_data([found], {"model": "m"})
    assert data["warnings"] == ["box: 1 bad packets: A message of 3 bytes is none."]
    assert data["sequences"]["box"]["stream"]["bad_packets"] == 1


def test_the_simulators_own_truth_scores_nearly_perfectly(tmp_path) -> None:
    """Simulator, warped masks, warped events and metrics agree on times, signs and axes."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:200, :240]
    back = np.sin(rows / 6) * np.cos(columns / 7)
    thing = 2 * np.sin(np.mgrid[:44, :44].sum(0) / 3)
    nothing, still = np.zeros(2), np.ones(2)
    pan = Motion(np.array([[6.0, 3], [-6, -3]]), nothing, still)
    cross = Motion(np.array([[-30.0, 10], [40, -10]]), np.array([0.0, 0.2]), np.array([1.0, 1.1]))
    layers = [
        Layer(back.astype(np.float32), None, pan),
        Layer(thing.astype(np.float32), np.ones((44, 44), np.float32), cross),
    ]
    scene = Scene(layers, 0.25, Sensor(width=160, height=120, threshold=(0.2, 0.2)))
    path = tmp_path / "scene.npz"
    write_sequence(path, scene, rng)
    truth = load_truth(None, path)

    def told(window: Window) -> Segmentation:
        end = window.end * 1e-9
        velocity = np.stack([scene.velocity(layer, end) for layer in (0, 1)])
        return Segmentation(window, scene.labels(end), velocity)

    config = PipelineConfig(WindowConfig(duration_ms=25.0))
    with open_recording(path) as opened:
        result = evaluate_sequence("scene", opened, truth, config, told)
    found = result.mean()
    assert len(result.times) >= 8
    assert found["dr"] == 1
    assert found["iou"] > 0.95
    assert found["event_iou"] > 0.8  # events at the border of a small object go either way
    assert found["fwl"] > 1.1 and found["rsat"] < 1
    # Each layer's motion is right, for labels apart: the end's velocity for a motion that changes.
    assert found["flow_error_background"] < 0.1
    assert found["flow_error_object"] < 0.1
    assert found["object_shift"] > 4
    # The flow is wrong only where the label is.
    fastest = np.linalg.norm(truth.affine[:, 1, :, 2], axis=-1).max()
    assert found["flow_error"] < 1.5 * (1 - found["event_accuracy"]) * fastest


def test_masks_that_fall_into_no_window_are_counted(events, truth) -> None:
    times = MASK_TIMES + np.array([0, 0, 0, 10**9, 10**9])
    found = scores(events, Truth(times, truth.mask, note="Something is assumed."))
    assert len(found.times) == 3 and found.skipped == 2
    assert found.warning == "box: 2 of its 5 masks fall into no window. Something is assumed."
    assert scores(events, truth).warning == ""


def test_masks_of_another_sensor_or_another_time_are_refused(events, truth) -> None:
    with pytest.raises(InputError, match=r"20x20.*40x30"):
        scores(events, Truth(MASK_TIMES, lambda i: np.zeros((20, 20), bool)))
    elsewhere = scores(events, Truth(MASK_TIMES + 10**12, truth.mask))
    assert not elsewhere.times and elsewhere.skipped == 5
    assert "none of its 5 masks (1000.000..1000.080 s) falls into a window" in elsewhere.warning
