"""Scores a pipeline, the node's unless another is given, on a recording with ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import by_events, metrics
from evlayerseg_ros.evaluation.scores import NO_MASKS, Score, SequenceScores, nan_mean
from evlayerseg_ros.evaluation.streaming import Streaming
from evlayerseg_ros.evaluation.truth import Truth
from evlayerseg_ros.events.types import Packet, Window
from evlayerseg_ros.paper import metric as paper
from evlayerseg_ros.pipeline import Pipeline, PipelineConfig, Segment, Segmented, TurnOf
from evlayerseg_ros.segmentation.segmentation import Segmentation

_NAN = float("nan")


def evaluate_sequence(
    name: str,
    packets: Iterable[Packet],
    truth: Truth | None,
    config: PipelineConfig,
    segment: Segment | None = None,
    layers: paper.Layers | None = None,
    progress: Callable[[], object] = lambda: None,
    streaming: Streaming | None = None,
    turn_of: TurnOf | None = None,
) -> SequenceScores:
    """Scores one sequence.

    The pipeline's own windows are scored, as on the robot. Each mask is compared with the labels of
    the window that it falls into, warped to the mask's time. With `layers` the paper's protocol is
    followed: a window of events opens at each mask's time, and the authors' metric joins ours.

    Masks without a window are counted as skipped, which `warning` tells. Without ground truth only
    sharpness is measured, which it tells, too.

    Args:
        name: of the sequence.
        packets: the recording.
        truth: its ground truth, in sensor time; None: there is none.
        config: of the pipeline; its windows are of mode "count" with `layers`.
        segment: what is scored; None loads the model that config names.
        layers: how the layers of the paper's network are read; they also take the place of
            `segment`. None: our own protocol.
        progress: called after each window.
        streaming: also measures what latency costs; not with `layers`.
        turn_of: what a gyro says of the camera's turn; not with `layers`.

    Raises:
        InputError: the recording is unsound, or masks do not fit the sensor.
    """
    scores = SequenceScores(name)
    starts = None
    if layers is not None and truth is not None:
        segment, starts = layers.segment, paper.starts(truth.t)
    config, packets = _on_sensor_of_masks(config, packets, truth)
    pipeline = Pipeline(config, segment, starts, turn_of)
    used = 0
    for found, masks in _scored(pipeline, packets, truth, layers, streaming):
        scores.add(found)
        used += masks
        progress()
    scores.skipped = 0 if truth is None else len(truth.t) - used
    scores.stream = pipeline.stats.counts()
    scores.stream_faults = pipeline.faults()
    scores.warning = _warning(scores, truth, config, starts is not None)
    return scores


def _on_sensor_of_masks(
    config: PipelineConfig, packets: Iterable[Packet], truth: Truth | None
) -> tuple[PipelineConfig, Iterable[Packet]]:
    """The config, with the masks' size for the sensor's, and all packets.

    Where config says no size, masks tell it better than a recording that assumed one; but the
    sensor is no smaller than the packets say.
    """
    rest = iter(packets)
    first = next(rest, None)
    if first is None or truth is None or config.width or config.height:
        return config, rest if first is None else chain([first], rest)
    height, width = truth.mask(0).shape
    if width >= first.width and height >= first.height:
        config = replace(config, width=width, height=height)
    return config, chain([first], rest)


def _scored(
    pipeline: Pipeline,
    packets: Iterable[Packet],
    truth: Truth | None,
    layers: paper.Layers | None,
    streaming: Streaming | None,
) -> Iterator[tuple[Score, int]]:
    """The score of each window that can be scored, and its number of masks."""
    if truth is None:
        for answer in pipeline.run(packets):
            if len(answer.segmentation.window.events):
                yield _sharpness(answer), 0
    elif layers is None:
        answers = pipeline.run(packets)
        for answer, masks in masks_of(streaming.watch(answers) if streaming else answers, truth.t):
            if masks or truth.event_labels is not None:
                score = _score(truth, masks, answer)
                if streaming:
                    score.measures.update(streaming.measures(truth, masks, answer.segmentation))
                yield score, len(masks)
    else:
        for score in _from_masks(pipeline, packets, truth, layers):
            yield score, 1


def masks_of(answers: Iterable[Segmented], t: np.ndarray) -> Iterator[tuple[Segmented, range]]:
    """Each window that holds events, with the masks that belong to it.

    A mask belongs to the first window that it falls into. One between two windows belongs to the
    nearer one, but must not be further away than that window is long.

    Args:
        answers: in the order of their windows.
        t: int64 [M], sensor times of the masks in ns, rising.

    Yields:
        (answer, indices of its masks)
    """
    held: Segmented | None = None
    mine = range(0)

    def reach(window: Window) -> int:
        return window.end - window.start

    for answer in answers:
        window = answer.segmentation.window
        if not len(window.events):
            continue
        earliest = window.start - reach(window)
        if held is not None:
            before = held.segmentation.window
            middle = (before.end + window.start) // 2
            latest = min(middle, before.end + reach(before))
            mine = range(mine.start, max(mine.stop, _count(t, latest)))
            yield held, mine
            earliest = max(earliest, middle)
        first = max(mine.stop, int(np.searchsorted(t, earliest)))
        held, mine = answer, range(first, max(first, _count(t, window.end)))
    if held is not None:
        before = held.segmentation.window
        yield held, range(mine.start, max(mine.stop, _count(t, before.end + reach(before))))


def _count(t: np.ndarray, until: int) -> int:
    """How many of the rising times t are not after `until`."""
    return int(np.searchsorted(t, until, side="right"))


def _from_masks(
    pipeline: Pipeline, packets: Iterable[Packet], truth: Truth, layers: paper.Layers
) -> Iterator[Score]:
    """The score of each mask's window, by our measures and by the paper's metric."""
    metric: paper.PaperMetric | None = None
    for i, answer in enumerate(pipeline.run(packets)):
        raw, t, mask = answer.segmentation, int(truth.t[i]), truth.mask(i)
        began = pipeline.stream.began
        assert began is not None
        metric = metric or paper.PaperMetric(layers, began)
        ours = answer._replace(segmentation=layers.ours(raw))
        score = _score(truth, range(i, i + 1), ours)
        if not _covers(raw.window, t):
            score.measures.clear()
            score.objects.clear()
        if i < len(truth.t) - 1:
            found, wanted = metric.compared(raw, t, mask > 0)
            score.measures["paper_iou"] = metrics.iou(found, wanted)
            score.measures["paper_dr"] = float(metrics.detected(found, wanted))
        yield score


def _covers(window: Window, start: int) -> bool:
    """Whether the window's events begin soon after `start` (ns), within the window's length."""
    first = int(window.events.t[0])
    return first - start <= window.end - first


def _warning(
    scores: SequenceScores, truth: Truth | None, config: PipelineConfig, from_masks: bool
) -> str:
    if truth is None and scores.times:
        return f"{scores.name}{NO_MASKS}"
    if truth is None:
        return f"{scores.name} is not scored: it has no masks (--masks) and no window of events."
    count, events, told = len(truth.t), config.window.events, ""
    if not scores.times:
        missing = f"is followed by {events} events" if from_masks else "falls into a window"
        told = (
            f"{scores.name} is not scored: none of its {count} masks "
            f"({truth.t[0] * 1e-9:.3f}..{truth.t[-1] * 1e-9:.3f} s) {missing} in the recording."
        )
    elif scores.skipped:
        few = f"are followed by fewer than {events} events" if from_masks else "fall into no window"
        told = f"{scores.name}: {scores.skipped} of its {count} masks {few}."
    return " ".join(filter(None, (told, truth.note)))


def _sharpness(answer: Segmented) -> Score:
    """The score of a window without ground truth."""
    segmentation = answer.segmentation
    measures, window = _deblurring(segmentation), segmentation.window
    return Score(
        window.end, measures, window, segmentation.labels, None, answer.seconds, measures["fwl"]
    )


def _score(truth: Truth, masks: range, answer: Segmented) -> Score:
    """A window's score by its masks and by the true labels of its events."""
    segmentation = answer.segmentation
    window = segmentation.window
    of_events, objects = by_events.of_window(truth, segmentation)
    measures = {**_deblurring(segmentation), **of_events}
    moves = not np.isnan(measures.get("event_iou", _NAN))
    t, predicted, mask = window.end, segmentation.labels, None
    seen = window.events.seen()
    each = []
    for i in masks:
        t, mask = int(truth.t[i]), truth.mask(i)
        _check_size(window, mask)
        predicted = segmentation.labels_at(t)
        each.append(_of_mask(predicted[seen], mask[seen], bool(mask.any()), moves))
    names = dict.fromkeys(name for measured in each for name in measured)
    measures |= {name: nan_mean(m.get(name, _NAN) for m in each) for name in names}
    iou = measures.get("iou", _NAN)
    standing = 1 - measures.get("false_alarms", _NAN) if np.isnan(iou) else iou
    return Score(t, measures, window, predicted, mask, answer.seconds, standing, objects)


def _check_size(window: Window, mask: np.ndarray) -> None:
    height, width = mask.shape
    if (width, height) != (window.events.width, window.events.height):
        raise InputError(
            f"The masks are {width}x{height} but the sensor of the recording is "
            f"{window.events.width}x{window.events.height}."
        )


def _of_mask(
    found: np.ndarray, wanted: np.ndarray, anything: bool, moves: bool
) -> dict[str, float]:
    """The measures of one mask.

    Args:
        found, wanted: uint8 [n], labels found and true at the pixels that saw an event.
        anything: whether anything moves by the whole mask.
        moves: whether any event is known to come from what moves.
    """
    if anything:
        share = float(np.mean(wanted > 0)) if len(wanted) else _NAN
        return {**_of_pixels(found, wanted), "object_share": share}
    if moves or not len(found):
        return {}
    return {"false_alarms": float(np.mean(found > 0))}


def _of_pixels(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """The measures of labels found and true at pixels that saw an event, uint8 [n]."""
    precision, recall = metrics.precision_and_recall(found > 0, wanted > 0)
    return {
        "iou": metrics.iou(found > 0, wanted > 0),
        "dr": float(metrics.detected(found > 0, wanted > 0)),
        "precision": precision,
        "recall": recall,
        "object_pixel_iou": metrics.object_iou(found, wanted),
    }


def _deblurring(segmentation: Segmentation) -> dict[str, float]:
    """How much sharper the events become along the motions found."""
    x, y = segmentation.warp_events()
    return {
        "fwl": metrics.flow_warp_loss(segmentation.window.events, x, y),
        "rsat": metrics.squared_timestamp_ratio(segmentation.window.events, x, y),
    }
