"""Metrics against closed forms."""

import math

import numpy as np
import pytest

from evlayerseg_ros.evaluation import metrics
from evlayerseg_ros.events.types import Events


def boxes(shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Two 10x10 boxes in a 40x40 picture, one moved by `shift` columns."""
    a, b = np.zeros((2, 40, 40), bool)
    a[5:15, 5:15] = True
    b[5:15, 5 + shift : 15 + shift] = True
    return a, b


@pytest.mark.parametrize("shift", range(11))
def test_iou_of_shifted_boxes(shift: int) -> None:
    a, b = boxes(shift)
    assert metrics.iou(a, b) == (10 - shift) / (10 + shift)
    assert metrics.iou(a, b) == metrics.iou(b, a)


def test_iou_of_nothing_claimed_and_nothing_there_is_one() -> None:
    nothing = np.zeros((3, 3), bool)
    assert metrics.iou(nothing, nothing) == 1
    assert metrics.iou(~nothing, nothing) == 0
    assert metrics.detected(nothing, nothing)


def test_detection_needs_half_the_union() -> None:
    # 10 - s over 10 + s is 7/13 at a shift of 3 and 6/14 at 4.
    assert metrics.detected(*boxes(3))
    assert not metrics.detected(*boxes(4))


def test_detection_holds_at_exactly_one_half_with_as_many_hits_as_false_alarms() -> None:
    truth = np.array([1, 1, 0, 0], bool)
    assert metrics.detected(np.array([1, 1, 1, 1], bool), truth)
    assert not metrics.detected(np.array([1, 1, 1, 1, 1], bool), np.append(truth, False))


def test_event_scores_count_sides_not_layer_numbers() -> None:
    found = np.array([0, 0, 1, 2, 2, 0], np.uint8)
    truth = np.array([0, 1, 1, 1, 0, 0], np.uint8)
    iou, accuracy = metrics.event_scores(found, truth)
    assert iou == 2 / 4
    assert accuracy == 4 / 6


def moving_dots(n: int = 16, dots: int = 4) -> tuple[Events, np.ndarray, np.ndarray]:
    """Dots that go right by a pixel a step, an event a step, and where each is at the last step."""
    step, dot = np.divmod(np.arange(n * dots), dots)
    x, y = step + 8, 4 * dot + 4
    events = Events.from_arrays(x, y, step * 1_000_000, np.ones(n * dots), 32, 24)
    return events, np.full(n * dots, n - 1 + 8, np.float32), y.astype(np.float32)


def test_flow_warp_loss_of_moving_dots() -> None:
    # 64 pixels of 1 become 4 pixels of 16 in 768: mean 1/12, mean squares 64/768 and 1024/768.
    events, x, y = moving_dots()
    assert metrics.flow_warp_loss(events, x, y) == pytest.approx(
        (1024 / 768 - 1 / 144) / (64 / 768 - 1 / 144)
    )
    assert metrics.flow_warp_loss(events, events.x, events.y) == 1


def test_squared_timestamp_ratio_of_moving_dots() -> None:
    # Unwarped: the mean of (k/15)^2, k = 0..15, is 31/90. Warped: the mean time of a dot is 1/2.
    events, x, y = moving_dots()
    assert metrics.squared_timestamp_ratio(events, x, y) == pytest.approx((1 / 4) / (31 / 90))
    assert metrics.squared_timestamp_ratio(events, events.x, events.y) == pytest.approx(1)


def test_ratios_of_no_events_are_unknown() -> None:
    nothing = Events.empty(8, 8)
    none = np.zeros(0, np.float32)
    assert math.isnan(metrics.flow_warp_loss(nothing, none, none))
    assert math.isnan(metrics.squared_timestamp_ratio(nothing, none, none))


def test_flow_error_is_the_mean_distance() -> None:
    found = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert metrics.flow_error(found, np.zeros((2, 2))) == 2.5


def test_affine_velocity_of_a_rotation() -> None:
    # One turn in 2 pi s about (10, 20): speed equals the distance, at right angles to the arm.
    spin = np.array([[0.0, -1.0, 20.0], [1.0, 0.0, -10.0]])
    velocity = metrics.affine_velocity(spin, np.array([10.0, 13.0]), np.array([20.0, 20.0]))
    np.testing.assert_allclose(velocity, [[0, 0], [0, 3]])


def test_objects_get_the_layers_that_fit_best() -> None:
    truth = np.array([0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    # Layer 2 shares most with either object, but there is only one of it.
    found = np.array([0, 0, 1, 2, 2, 2, 2, 2, 2, 2])
    assert metrics.object_iou(found, truth) == pytest.approx((1 / 4 + 4 / 7) / 2)
    assert metrics.object_iou(truth * 3, truth) == 1
    assert metrics.object_iou(np.minimum(truth, 1), truth) == pytest.approx(4 / 8 / 2)
    assert math.isnan(metrics.object_iou(found, np.minimum(truth, 1)))


def test_precision_and_recall() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0], bool)
    found = np.array([1, 0, 0, 0, 1, 1], bool)
    assert metrics.precision_and_recall(found, truth) == (1 / 3, 1 / 4)
    assert math.isnan(metrics.precision_and_recall(~truth & truth, truth)[0])
