"""Scores a model on recordings with ground truth: the same Segmenter that runs on the robot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import flow, metrics
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.evaluation.windows import (
    Length,
    Segment,
    covers,
    fitted,
    windows_at,
    windows_through,
)
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.paper import metric as paper
from evlayerseg_ros.segmentation.segmentation import Segmentation

MEASURES = (
    "iou",
    "dr",
    "precision",
    "recall",
    "object_iou",
    "event_iou",
    "event_accuracy",
    "false_alarms",
    "flow_error",
    "flow_error_background",
    "flow_error_object",
    "fwl",
    "rsat",
)
FACTS = ("object_share", "object_shift")
"""What a window is scored by; NaN where the ground truth does not tell.

iou, dr, precision, recall: of the moving pixels among those that saw an event, at the mask's time
(dr: 0 or 1); NaN where the mask is empty. object_iou: mean over the objects, where there are
several. event_iou, event_accuracy: of the events as moving or background. false_alarms: share of
the pixels that saw an event which are called moving, where nothing moves; else NaN. flow_error:
px/s, mean over events. flow_error_background, flow_error_object: px over the window, see flow.py.
fwl, rsat: deblurring ratios (above 1, below 1 is sharper).

FACTS are not about the method but about what it was given. object_share: of the pixels that saw
an event, those that move. object_shift: px over the window, of what moves against the background.
"""


_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Score:
    """One mask's window: its ground truth's time in ns, its measures and how to draw it again.

    Attributes:
        t: ns, of the mask.
        measures: by name, FACTS among them.
        window: what was segmented.
        predicted: uint8 [H, W], labels found, carried to the mask's time.
        truth: uint8 [H, W], the mask's labels; None without ground truth.
        seconds: from events to segmentation.
    """

    t: int
    measures: dict[str, float]
    window: Window
    predicted: np.ndarray
    truth: np.ndarray | None
    seconds: float = 0.0

    @property
    def standing(self) -> float:
        """How good it is, to find the best and the worst; NaN where that is not known.

        Its IoU; where nothing moves the share without false alarms; without truth its sharpness.
        """
        if self.truth is None:
            return self.measures["fwl"]
        iou = self.measures.get("iou", _NAN)
        return 1 - self.measures.get("false_alarms", _NAN) if np.isnan(iou) else iou


@dataclass(eq=False)
class SequenceScores:
    """The measures of one sequence, [windows] each, and its best and worst windows.

    Attributes:
        name: of the sequence.
        model: name of what was scored.
        provider: what ran it.
        skipped: masks without a window.
        warning: a sentence on what could not be scored, "" if all could.
        times: of the masks, ns.
        seconds: that each window took from events to segmentation.
        measures: by name, NaN where unknown.
        standings: how good each window is (Score.standing).
    """

    name: str
    model: str = ""
    provider: str = ""
    skipped: int = 0
    warning: str = ""
    times: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)
    standings: list[float] = field(default_factory=list)
    best: Score | None = None
    worst: Score | None = None

    def add(self, score: Score) -> None:
        """Counts a window."""
        for name in dict.fromkeys((*MEASURES, *FACTS, *self.measures, *score.measures)):
            values = self.measures.setdefault(name, [float("nan")] * len(self.times))
            values.append(score.measures.get(name, float("nan")))
        self.times.append(score.t)
        self.seconds.append(score.seconds)
        self.standings.append(score.standing)
        if np.isnan(score.standing):
            return
        if self.best is None or score.standing > self.best.standing:
            self.best = score
        if self.worst is None or score.standing < self.worst.standing:
            self.worst = score

    def mean(self) -> dict[str, float]:
        """The mean of each measure over the windows where it is known, else NaN."""
        names = dict.fromkeys((*MEASURES, *FACTS, *self.measures))
        return {name: nan_mean(self.measures.get(name, ())) for name in names}


def nan_mean(values: Iterable[float]) -> float:
    """Mean of what is not NaN; NaN of nothing."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else _NAN


def evaluate_sequence(
    name: str,
    chunks: Iterable[Events],
    truth: Truth | None,
    segment: Segment,
    length: Length,
    progress: Callable[[], object] = lambda: None,
    layers: paper.Layers | None = None,
) -> SequenceScores:
    """Scores one sequence: a window of events starts at each mask's time, as in the paper.

    Masks that no full window follows are left out and counted; `warning` says so where none is
    left, and where there is no ground truth: then windows are back to back and only their sharpness
    is measured.

    Args:
        name: of the sequence.
        chunks: its events, in order.
        truth: its ground truth, None without.
        segment: what is scored, a Segmenter.
        length: of the windows.
        progress: called after each window.
        layers: if given, windows are scored by the paper's metric too (measures paper_..), and
            `segment` is not called: this gives the layers in the network's own order.

    Raises:
        InputError: masks do not fit the sensor.
    """
    scores = SequenceScores(name)
    if truth is None:
        return _sharpness(scores, chunks, segment, length, progress)
    if layers is None:
        for i, first, window in windows_at(chunks, truth.t, length):
            segmentation, seconds = _timed(segment, fitted(window, truth.mask(i)))
            scores.add(_score(truth, i, first, segmentation, seconds))
            progress()
    else:
        for score in _scores_of_both(chunks, truth, layers, length):
            scores.add(score)
            progress()
    scores.skipped = len(truth.t) - len(scores.times)
    if not scores.times:
        scores.warning = (
            f"{name} is not scored: none of its {len(truth.t)} masks "
            f"({truth.t[0] * 1e-9:.3f}..{truth.t[-1] * 1e-9:.3f} s) is followed by {length} "
            "in the recording."
        )
    return scores


def _sharpness(
    scores: SequenceScores,
    chunks: Iterable[Events],
    segment: Segment,
    length: Length,
    progress: Callable[[], object],
) -> SequenceScores:
    """What can be said of a sequence without ground truth."""
    for window in windows_through(chunks, length):
        segmentation, seconds = _timed(segment, window)
        measures = _deblurring(segmentation)
        scores.add(Score(window.end, measures, window, segmentation.labels, None, seconds))
        progress()
    scores.warning = (
        f"{scores.name} has no masks (--masks): only its sharpness is measured."
        if scores.times
        else f"{scores.name} is not scored: it has no masks (--masks) and does not hold {length}."
    )
    return scores


def _scores_of_both(
    chunks: Iterable[Events], truth: Truth, layers: paper.Layers, length: Length
) -> Iterator[Score]:
    """Each window scored by ours and by the paper's metric."""
    metric: paper.PaperMetric | None = None
    stream = _FirstTime(chunks)
    for i, first, window in windows_at(stream, paper.starts(truth.t), length, gaps=True):
        t, mask = int(truth.t[i]), truth.mask(i)
        metric = metric or paper.PaperMetric(layers, stream.first)
        raw, seconds = _timed(layers.segment, fitted(window, mask))
        score = _score(truth, i, first, layers.ours(raw), seconds)
        if not covers(window, t):
            score.measures.clear()
        if i < len(truth.t) - 1:
            score.measures.update(metric.score(raw.window, raw, t, mask > 0))
        yield score


class _FirstTime:
    """A stream of events that remembers the time of its first one."""

    def __init__(self, chunks: Iterable[Events]) -> None:
        self._chunks = chunks
        self.first = 0

    def __iter__(self) -> Iterator[Events]:
        begun = False
        for chunk in self._chunks:
            if not begun and len(chunk):
                self.first, begun = int(chunk.t[0]), True
            yield chunk


def _timed(segment: Segment, window: Window) -> tuple[Segmentation, float]:
    """A window's segmentation and the seconds that it took."""
    begun = time.perf_counter()
    segmentation = segment(window)
    return segmentation, time.perf_counter() - begun


def _score(truth: Truth, i: int, first: int, segmentation: Segmentation, seconds: float) -> Score:
    window, mask, t = segmentation.window, truth.mask(i), int(truth.t[i])
    events = window.events
    seen = metrics.seen_pixels(events)
    predicted = segmentation.labels_at(t)
    measures = _deblurring(segmentation)
    measures.update(_of_events(truth, first, segmentation))
    found, wanted = predicted[seen], mask[seen]
    if mask.any():
        measures.update(_of_pixels(found, wanted))
        measures["object_share"] = float(np.mean(wanted > 0)) if len(wanted) else _NAN
    elif np.isnan(measures.get("event_iou", _NAN)) and len(found):
        measures["false_alarms"] = float(np.mean(found > 0))
    return Score(t, measures, window, predicted, mask, seconds)


def _of_pixels(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Of the labels found and true at pixels that saw an event, uint8 [n]."""
    precision, recall = metrics.precision_and_recall(found > 0, wanted > 0)
    return {
        "iou": metrics.iou(found > 0, wanted > 0),
        "dr": float(metrics.detected(found > 0, wanted > 0)),
        "precision": precision,
        "recall": recall,
        "object_iou": metrics.object_iou(found, wanted),
    }


def _deblurring(segmentation: Segmentation) -> dict[str, float]:
    """How much sharper the events are once carried along the motion found."""
    x, y = segmentation.warp_events()
    return {
        "fwl": metrics.flow_warp_loss(segmentation.window.events, x, y),
        "rsat": metrics.squared_timestamp_ratio(segmentation.window.events, x, y),
    }


def _of_events(truth: Truth, first: int, segmentation: Segmentation) -> dict[str, float]:
    """What can be measured where the truth knows each event's layer, else nothing."""
    if truth.event_labels is None:
        return {}
    events = segmentation.window.events
    labels = truth.event_labels[first : first + len(events)]
    if len(labels) != len(events):
        raise InputError(
            f"The ground truth has labels for {len(truth.event_labels)} events but the "
            f"recording has more."
        )
    iou, accuracy = metrics.event_scores(segmentation.event_labels, labels)
    measures = {"event_iou": iou if labels.any() else _NAN, "event_accuracy": accuracy}
    if truth.affine is not None:
        # The motion found holds at the window's end, so each event's is taken where it was
        # carried to.
        motions = truth.affine_at(events.t)[np.arange(len(events)), labels]
        true = metrics.affine_velocity(motions, events.x, events.y)
        affine = segmentation.affine[segmentation.event_labels]
        found = metrics.affine_velocity(affine, *segmentation.warp_events())
        measures["flow_error"] = metrics.flow_error(found, true)
        measures.update(flow.over_window(truth, segmentation, labels))
    return measures
