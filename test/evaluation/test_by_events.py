"""Scores of objects, their ids and suites, from labels made by hand."""

import math

import numpy as np
import pytest

from evlayerseg_ros.evaluation import by_events, results, suites
from evlayerseg_ros.evaluation.scores import Score, SequenceScores
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.simulation.suites import SUITES

NOTHING = Window(Events.empty(4, 4), 0, 1, 1)


def labels(**counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels found and true: so many events for each name such as found3_true1."""
    pairs = [[int(part[5:] if part[0] == "f" else part[4:]) for part in name.split("_")]
             for name in counts]  # fmt: skip
    found, true = np.repeat(np.array(pairs, np.uint8), list(counts.values()), axis=0).T
    return found, true


def test_each_object_with_the_label_that_holds_most_of_it() -> None:
    found, true = labels(
        found0_true0=500, found3_true0=20, found3_true1=60, found4_true1=20, found0_true1=20,
        found4_true2=80, found0_true2=20,
    )  # fmt: skip
    assert by_events.objects(found, true) == {1: (3, 60 / 120), 2: (4, 80 / 120)}
    measures, _ = by_events.of_labels(found, true)
    assert measures["object_iou"] == pytest.approx((60 / 120 + 80 / 120) / 2)
    assert measures["event_iou"] == pytest.approx(160 / 220)
    assert measures["event_dr"] == 1
    assert "event_false_alarms" not in measures


def test_two_objects_may_share_a_label_and_pay_for_it() -> None:
    found, true = labels(found5_true1=60, found5_true2=60)
    assert by_events.objects(found, true) == {1: (5, 0.5), 2: (5, 0.5)}


def test_objects_that_are_missed_or_hardly_there() -> None:
    found, true = labels(found0_true1=50, found9_true2=49)
    assert by_events.objects(found, true) == {1: (0, 0.0)}
    assert by_events.of_labels(found, true)[0]["object_iou"] == 0
    assert by_events.objects(*labels(found1_true2=49)) == {}


def test_false_alarms_are_a_share_of_events_where_no_object_is() -> None:
    measures, judged = by_events.of_labels(*labels(found0_true0=75, found2_true0=25))
    assert measures["event_false_alarms"] == 0.25
    assert math.isnan(measures["event_iou"]) and "event_dr" not in measures and not judged
    none = np.zeros(0, np.uint8)
    assert "event_false_alarms" not in by_events.of_labels(none, none)[0]


def test_ids_over_windows() -> None:
    # Object 1: 3 3 (lost) 4 3, two switches and 3 of 5 windows; object 2: always 7, seen twice.
    windows = [
        {1: (3, 0.9), 2: (7, 0.3)},
        {1: (3, 0.5)},
        {1: (8, 0.29)},
        {},
        {1: (4, 0.6), 2: (7, 0.8)},
        {1: (3, 0.6)},
    ]
    assert by_events.of_ids(windows) == {
        "id_switches": 2, "id_kept": pytest.approx((3 / 5 + 1) / 2),
    }  # fmt: skip


def test_an_object_that_is_never_found_keeps_no_id() -> None:
    assert by_events.of_ids([{1: (0, 0.0)}, {1: (2, 0.1)}]) == {"id_switches": 0, "id_kept": 0}
    assert all(math.isnan(value) for value in by_events.of_ids([{}, {}]).values())


def sequence(name: str, *windows: tuple[np.ndarray, np.ndarray]) -> SequenceScores:
    scores = SequenceScores(name, model="m")
    for found, true in windows:
        measures, judged = by_events.of_labels(found, true)
        blank = np.zeros((4, 4), np.uint8)
        scores.add(Score(0, measures, NOTHING, blank, None, objects=judged))
    return scores


def made(right: int = 60) -> list[SequenceScores]:
    """Two suites: one_small of two sequences of one object, and none_turn."""
    whole = labels(found1_true1=100)
    return [
        sequence("one_small0", whole, labels(found2_true1=100)),
        sequence("one_small1", labels(found1_true1=right, found0_true1=100 - right)),
        sequence("none_turn0", labels(found0_true0=90, found1_true0=10)),
    ]


def test_suites_are_means_of_their_sequences() -> None:
    data = results.as_data(made(), {"model": "m"})
    assert data["sequences"]["one_small0"]["id_switches"] == 1
    assert data["sequences"]["none_turn0"]["id_kept"] is None
    assert data["suites"]["one_small"] == {
        "sequences": 2, "event_iou": 0.8, "det": 1, "object_iou": 0.8, "false_alarms": None,
        "id_switches": 0.5, "id_kept": (0.5 + 1) / 2,
    }  # fmt: skip
    assert data["suites"]["none_turn"]["false_alarms"] == 0.1
    assert data["suites_mean"]["event_iou"] == 0.8
    lines = results.table(data, by_suite=True).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["suite", "sequences", "event_iou"],
        ["one_small", "2", "0.800"],
        ["none_turn", "1", "-"],
        ["mean", "3", "0.800"],
    ]
    assert len(results.table(data).splitlines()) > len(lines)


def test_suites_of_two_models_and_long_names_fit_a_page() -> None:
    first, other = made(), made(right=40)
    for scores in (*first, *other):
        scores.name = "a_very_long_folder/that_holds/" + scores.name
    other[0].model = "models/another_one_with_a_long_name.onnx"
    text = results.table(results.as_data(first, {"model": "m"}, other), by_suite=True)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.splitlines()[-1].split() == [
        "difference", "-0.100", "-0.500", "-0.100", "+0.000", "+0.000", "+0.000",
    ]  # fmt: skip


def test_no_suites_without_labels_of_events_or_repeated_names() -> None:
    assert suites.as_data({"a0": {"event_accuracy": 1.0}, "b0": {"event_accuracy": 1.0}}) == {}
    assert suites.as_data({"a0": {"event_accuracy": 1.0}, "a1": {"event_accuracy": None}}) == {}
    assert suites.suite_of("one_small12") == "one_small" and suites.suite_of("007") == "007"


def test_every_simulated_suite_is_a_suite_of_its_own() -> None:
    for name in SUITES:
        assert {suites.suite_of(f"{name}{index}") for index in range(12)} == {name}
