"""What latency costs, on a box that moves by whole pixels: its overlap follows from arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from called import done, refused
from streams import save
from test_evaluate import HEIGHT, MASK_TIMES, WIDTH, box, box_found, cut, of_events

from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.streaming import Streaming
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.pipeline import Segmented

MS = 1_000_000
TRUTH = Truth(MASK_TIMES, lambda i: box(MASK_TIMES[i]).astype(np.uint8))
NAN = float("nan")


def scores(events, latency):
    """Windows that end at 10, 30, .. 90 ms; masks at 0, 20, .. 80 ms."""
    return evaluate_sequence(
        "box", cut(events), TRUTH, of_events(2400), box_found, streaming=Streaming(latency)
    )


def overlap(px):
    """IoU of two squares of 10 px, one so far from the other."""
    return (10 - px) / (10 + px)


@pytest.mark.parametrize(
    ("latency", "expected"),
    [
        (0.0, [NAN, *[overlap(1)] * 4]),
        (0.010, [NAN, *[overlap(1)] * 4]),  # out just by the time of the mask
        (0.011, [NAN, NAN, *[overlap(3)] * 3]),
        (0.025, [NAN, NAN, *[overlap(3)] * 3]),
        (0.090, [NAN] * 5),
    ],
)
def test_each_mask_meets_the_newest_that_was_out(events, latency, expected):
    measures = scores(events, latency).measures
    if np.isnan(expected).all():
        assert "stream_iou" not in measures
        return
    np.testing.assert_allclose(measures["stream_iou"], expected)
    known = ~np.isnan(expected)
    for name in ("carried_iou", "same_iou", "iou"):  # the motion found is the true one
        np.testing.assert_allclose(np.array(measures[name])[known], 1.0)


def test_the_usual_figures_stay_as_they_are(events):
    with_it = scores(events, 0.025).measures
    without = evaluate_sequence("box", cut(events), TRUTH, of_events(2400), box_found).measures
    for name, values in without.items():
        np.testing.assert_array_equal(with_it[name], values, name)


def answers(seconds, n=8):
    """Windows that end every 20 ms, each so long in segmenting."""
    for k in range(n):
        end = 10 * MS + 20 * MS * k
        window = Window(Events.empty(WIDTH, HEIGHT), end - 20 * MS, end, end)
        yield Segmented(box_found(window), "", seconds)


def test_windows_wait_for_the_one_before_and_not_too_long():
    """Each takes 30 ms and comes after 20: 10 ms more of waiting a window, and at 50 one goes."""
    streaming = Streaming()
    ends = [a.segmentation.window.end // MS for a in streaming.watch(answers(0.030))]
    assert ends == [10, 30, 50, 70, 90, 110, 130, 150]
    expected = {39: None, 40: 10, 69: 10, 70: 30, 100: 50, 130: 70, 160: 90, 189: 90, 190: 130}
    for t, end in expected.items():
        newest = streaming.newest(t * MS)
        assert (newest and newest.window.end // MS) == end, t


@pytest.fixture
def recording(tmp_path, events):
    masks = np.array([TRUTH.mask(i) for i in range(len(MASK_TIMES))])
    t = events.t + np.arange(len(events)) % 1200 * 1003  # in ns, as one sees
    events = replace(events, t=t)
    return save(tmp_path / "box.npz", events, mask_t=MASK_TIMES, masks=masks)


def test_the_command_says_what_latency_costs(recording, tmp_path):
    found = []
    for _ in range(2):
        out = tmp_path / "out.json"
        given = ["--window-ms", "20", "--threads", "1", "--json", out]
        result = done("evaluate", recording, "--streaming", "--latency-ms", "15", *given)
        found.append(json.loads(out.read_text()))
    assert found[0] == found[1]
    assert found[0]["latency_ms"] == 15
    assert {"iou", "stream_iou", "carried_iou", "same_iou"} <= set(found[0]["mean"])
    assert "stream_iou" in result.output


def test_measured_latency_is_said_to_be_so(recording, tmp_path):
    out = tmp_path / "out.json"
    given = ["--window-ms", "20", "--threads", "1", "--json", out]
    done("evaluate", recording, "--streaming", *given)
    assert json.loads(out.read_text())["latency_ms"] == "as measured"


@pytest.mark.parametrize("options", [["--latency-ms", "5"], ["--streaming", "--protocol", "paper"]])
def test_options_that_make_no_sense_together_are_refused(recording, options):
    result = refused("evaluate", recording, *options)
    assert "--streaming" in result.stderr
