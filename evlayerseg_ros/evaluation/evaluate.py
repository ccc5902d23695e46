"""Scores a model on recordings with ground truth: the same Segmenter that runs on the robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import metrics
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.inference.segmentation import Segmentation
from evlayerseg_ros.recordings.readers import Packet

MEASURES = ("iou", "dr", "event_iou", "event_accuracy", "flow_error", "fwl", "rsat")
"""What a window is scored by; NaN where the ground truth does not tell.

iou, dr: of the moving pixels among those that saw an event, at the mask's time (dr: 0 or 1).
event_iou, event_accuracy: of the events as moving or background.
flow_error: px/s, mean over events. fwl, rsat: deblurring ratios (above 1, below 1 is sharper).
"""

Segment = Callable[[Window], Segmentation]


@dataclass(frozen=True)
class Length:
    """How long a window is: a number of events, or a time in ns where `events` is 0."""

    events: int = 50_000
    ns: int = 0

    def __str__(self) -> str:
        return f"{self.events} events" if self.events else f"{self.ns * 1e-6:g} ms"


@dataclass(frozen=True, eq=False)
class Score:
    """One mask's window: its ground truth's time in ns, its measures and how to draw it again."""

    t: int
    measures: dict[str, float]
    window: Window
    predicted: np.ndarray
    truth: np.ndarray


@dataclass(eq=False)
class SequenceScores:
    """The measures of one sequence, [windows] each, and its best and worst windows."""

    name: str
    skipped: int = 0
    times: list[int] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=lambda: {m: [] for m in MEASURES})
    best: Score | None = None
    worst: Score | None = None

    def add(self, score: Score) -> None:
        """Counts a window."""
        self.times.append(score.t)
        for name in MEASURES:
            self.measures[name].append(score.measures.get(name, float("nan")))
        if self.best is None or score.measures["iou"] > self.best.measures["iou"]:
            self.best = score
        if self.worst is None or score.measures["iou"] < self.worst.measures["iou"]:
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
) -> SequenceScores:
    """Scores one sequence: a window of events starts at each mask's time, as in the paper.

    Args:
        name: of the sequence.
        chunks: its events, in order.
        truth: its ground truth.
        segment: what is scored, a Segmenter.
        length: of the windows.
        progress: called after each window.

    Raises:
        InputError: masks do not fit the sensor or the recording's time, or no mask is followed
            by a full window.
    """
    scores = SequenceScores(name)
    for i, first, window in windows_at(chunks, truth.t, length):
        scores.add(_score(truth, i, first, window, segment))
        progress()
    scores.skipped = len(truth.t) - len(scores.times)
    if not scores.times:
        raise InputError(
            f"{name}: none of its {len(truth.t)} masks "
            f"({truth.t[0] * 1e-9:.3f}..{truth.t[-1] * 1e-9:.3f} s) is followed by {length} "
            "in the recording."
        )
    return scores


def events_of(packets: Iterable[Packet]) -> Iterator[Events]:
    """The events of a recording on its own clock, packet by packet.

    Raises:
        InputError: a packet cannot be decoded, or the sensor or the encoding changes on the way.
    """
    decoder: Decoder | None = None
    for packet in packets:
        if packet.events is not None:
            yield packet.events
            continue
        if decoder is None:
            decoder = Decoder(packet.encoding, packet.width, packet.height)
        kind = packet.encoding, packet.width, packet.height
        if kind != (decoder.encoding, decoder.width, decoder.height):
            raise InputError(
                f"The recording changes from {decoder.encoding} {decoder.width}x{decoder.height} "
                f"to {packet.encoding} {packet.width}x{packet.height}; expected one sensor."
            )
        yield decoder.decode(packet.data, packet.time_base)


def windows_at(
    chunks: Iterable[Events], starts: np.ndarray, length: Length
) -> Iterator[tuple[int, int, Window]]:
    """Full windows that start at given times, in bounded memory.

    Args:
        chunks: events in order, parts of one stream.
        starts: int64 [M], ns, rising. Windows may overlap. A window is left out where the stream
            ends in it, or where its first event comes later after its start than it lasts.
        length: of the windows.

    Yields:
        (index into starts, index of the window's first event in the whole stream, window)
    """
    held: Events | None = None
    dropped = pending = 0
    for chunk in chunks:
        if not len(chunk):
            continue
        held = chunk if held is None else Events.concatenate([held, chunk])
        while pending < len(starts):
            first = int(np.searchsorted(held.t, starts[pending]))
            window = _cut(held, first, int(starts[pending]), length)
            if window is None:
                held = held[first:]
                dropped += first
                break
            if _covers(window, int(starts[pending])):
                yield pending, dropped + first, window
            pending += 1
        if pending == len(starts):
            return


def _cut(events: Events, first: int, start: int, length: Length) -> Window | None:
    """The window from event `first` on, or None where the events do not fill it yet."""
    if length.events:
        last = first + length.events
        if last > len(events):
            return None
        start, end = int(events.t[first]), int(events.t[last - 1])
    else:
        end = start + length.ns
        if not len(events) or events.t[-1] <= end:
            return None
        last = int(np.searchsorted(events.t, end, side="right"))
        end = int(events.t[last - 1]) if last > first else end
    return Window(events[first:last], start, end, end)


def _covers(window: Window, start: int) -> bool:
    """Whether the window holds events from about its start on, not only some time later."""
    if not len(window.events):
        return False
    first = int(window.events.t[0])
    return first - start <= window.end - first


def _score(truth: Truth, i: int, first: int, window: Window, segment: Segment) -> Score:
    window, mask = _fitted(window, truth.mask(i))
    events, t = window.events, int(truth.t[i])
    segmentation = segment(window)
    seen = metrics.seen_pixels(events)
    predicted = segmentation.labels_at(t) > 0
    x, y = segmentation.warp_events()
    measures = {
        "iou": metrics.iou(predicted[seen], mask[seen]),
        "dr": float(metrics.detected(predicted[seen], mask[seen])),
        "fwl": metrics.flow_warp_loss(events, x, y),
        "rsat": metrics.squared_timestamp_ratio(events, x, y),
    }
    if truth.event_labels is not None:
        labels = truth.event_labels[first : first + len(events)]
        if len(labels) != len(events):
            raise InputError(
                f"The ground truth has labels for {len(truth.event_labels)} events but the "
                f"recording has more."
            )
        measures["event_iou"], measures["event_accuracy"] = metrics.event_scores(
            segmentation.event_labels, labels
        )
        if truth.affine is not None:
            measures["flow_error"] = _flow_error(truth, events, labels, segmentation, x, y)
    return Score(t, measures, window, predicted, mask)


def _flow_error(
    truth: Truth,
    events: Events,
    labels: np.ndarray,
    segmentation: Segmentation,
    x: np.ndarray,
    y: np.ndarray,
) -> float:
    """Mean end-point error over events, px/s.

    The motion found holds at the window's end, so each event's is taken where it was carried to.
    """
    motions = truth.affine_at(events.t)[np.arange(len(events)), labels]
    true = metrics.affine_velocity(motions, events.x, events.y)
    found = metrics.affine_velocity(segmentation.affine[segmentation.event_labels], x, y)
    return metrics.flow_error(found, true)


def _fitted(window: Window, mask: np.ndarray) -> tuple[Window, np.ndarray]:
    """The window on a sensor of the mask's size, for files that do not say their sensor's size."""
    events = window.events
    height, width = mask.shape
    if (width, height) == (events.width, events.height):
        return window, mask
    if width < events.width or height < events.height:
        raise InputError(
            f"The masks are {width}x{height} but the sensor of the recording is "
            f"{events.width}x{events.height}."
        )
    events = Events(events.x, events.y, events.t, events.p, width, height)
    return Window(events, window.start, window.end, window.stamp), mask
