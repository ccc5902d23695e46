"""Scores a model on recordings with ground truth: the same Segmenter that runs on the robot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import metrics, paper
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.evaluation.windows import Length, Segment, covers, fitted, windows_at
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.inference.segmentation import Segmentation

MEASURES = (
    "iou",
    "dr",
    "precision",
    "recall",
    "object_iou",
    "event_iou",
    "event_accuracy",
    "flow_error",
    "fwl",
    "rsat",
)
"""What a window is scored by; NaN where the ground truth does not tell.

iou, dr, precision, recall: of the moving pixels among those that saw an event, at the mask's time
(dr: 0 or 1). object_iou: mean over the objects, where there are several. event_iou, event_accuracy:
of the events as moving or background. flow_error: px/s, mean over events. fwl, rsat: deblurring
ratios (above 1, below 1 is sharper).
"""


@dataclass(frozen=True, eq=False)
class Score:
    """One mask's window: its ground truth's time in ns, its measures and how to draw it again.

    Attributes:
        t: ns, of the mask.
        measures: by name.
        window: what was segmented.
        predicted: uint8 [H, W], labels found, carried to the mask's time.
        truth: uint8 [H, W], the mask's labels.
        seconds: from events to segmentation.
    """

    t: int
    measures: dict[str, float]
    window: Window
    predicted: np.ndarray
    truth: np.ndarray
    seconds: float = 0.0


@dataclass(eq=False)
class SequenceScores:
    """The measures of one sequence, [windows] each, and its best and worst windows by IoU.

    Attributes:
        name: of the sequence.
        model: name of what was scored.
        provider: what ran it.
        skipped: masks without a window.
        times: of the masks, ns.
        seconds: that each window took from events to segmentation.
        measures: by name, NaN where unknown.
    """

    name: str
    model: str = ""
    provider: str = ""
    skipped: int = 0
    times: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)
    best: Score | None = None
    worst: Score | None = None

    def add(self, score: Score) -> None:
        """Counts a window."""
        for name in dict.fromkeys((*MEASURES, *self.measures, *score.measures)):
            values = self.measures.setdefault(name, [float("nan")] * len(self.times))
            values.append(score.measures.get(name, float("nan")))
        self.times.append(score.t)
        self.seconds.append(score.seconds)
        iou = score.measures.get("iou", float("nan"))
        if np.isnan(iou):
            return
        if self.best is None or iou > self.best.measures["iou"]:
            self.best = score
        if self.worst is None or iou < self.worst.measures["iou"]:
            self.worst = score

    def mean(self) -> dict[str, float]:
        """The mean of each measure over the windows where it is known, else NaN."""
        return {name: nan_mean(values) for name, values in self.measures.items()}


def nan_mean(values: Iterable[float]) -> float:
    """Mean of what is not NaN; NaN of nothing."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def evaluate_sequence(
    name: str,
    chunks: Iterable[Events],
    truth: Truth,
    segment: Segment,
    length: Length,
    progress: Callable[[], object] = lambda: None,
    layers: paper.Layers | None = None,
) -> SequenceScores:
    """Scores one sequence: a window of events starts at each mask's time, as in the paper.

    Args:
        name: of the sequence.
        chunks: its events, in order.
        truth: its ground truth.
        segment: what is scored, a Segmenter.
        length: of the windows.
        progress: called after each window.
        layers: if given, windows are scored by the paper's metric too (measures paper_..), and
            `segment` is not called: this gives the layers in the network's own order.

    Raises:
        InputError: masks do not fit the sensor or the recording's time, or no mask is followed
            by a full window.
    """
    scores = SequenceScores(name)
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
        raise InputError(
            f"{name}: none of its {len(truth.t)} masks "
            f"({truth.t[0] * 1e-9:.3f}..{truth.t[-1] * 1e-9:.3f} s) is followed by {length} "
            "in the recording."
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
    found, wanted = predicted[seen], mask[seen]
    x, y = segmentation.warp_events()
    precision, recall = metrics.precision_and_recall(found > 0, wanted > 0)
    measures = {
        "iou": metrics.iou(found > 0, wanted > 0),
        "dr": float(metrics.detected(found > 0, wanted > 0)),
        "precision": precision,
        "recall": recall,
        "object_iou": metrics.object_iou(found, wanted),
        "fwl": metrics.flow_warp_loss(events, x, y),
        "rsat": metrics.squared_timestamp_ratio(events, x, y),
    }
    measures.update(_of_events(truth, first, events, segmentation, x, y))
    return Score(t, measures, window, predicted, mask, seconds)


def _of_events(
    truth: Truth,
    first: int,
    events: Events,
    segmentation: Segmentation,
    x: np.ndarray,
    y: np.ndarray,
) -> dict[str, float]:
    """What can be measured where the truth knows each event's layer, else nothing."""
    if truth.event_labels is None:
        return {}
    labels = truth.event_labels[first : first + len(events)]
    if len(labels) != len(events):
        raise InputError(
            f"The ground truth has labels for {len(truth.event_labels)} events but the "
            f"recording has more."
        )
    iou, accuracy = metrics.event_scores(segmentation.event_labels, labels)
    measures = {"event_iou": iou, "event_accuracy": accuracy}
    if truth.affine is not None:
        # The motion found holds at the window's end, so each event's is taken where it was
        # carried to.
        motions = truth.affine_at(events.t)[np.arange(len(events)), labels]
        true = metrics.affine_velocity(motions, events.x, events.y)
        found = metrics.affine_velocity(segmentation.affine[segmentation.event_labels], x, y)
        measures["flow_error"] = metrics.flow_error(found, true)
    return measures
