"""Scores many recordings, on the cores of this machine or of several."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.evaluate import evaluate_sequence
from evlayerseg_ros.evaluation.scores import SequenceScores
from evlayerseg_ros.evaluation.streaming import Streaming
from evlayerseg_ros.evaluation.truth import Truth, load_truth
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.paper.metric import Layers
from evlayerseg_ros.pipeline import Pipeline, PipelineConfig, windows_of
from evlayerseg_ros.recordings.imu import turn_of
from evlayerseg_ros.recordings.readers import Recording, open_recording
from evlayerseg_ros.segmentation.config import SegmenterConfig
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.surroundings import keep_freed_memory

WARM_UP = 10  # windows before latency is measured


@dataclass(frozen=True)
class Job:
    """One recording to be scored by one pipeline.

    Attributes:
        name: of the sequence.
        recording: its path.
        masks: where its ground truth is; None: inside the recording, or there is none.
        config: of the pipeline; the node's by default.
        paper: whether by the paper's protocol: a window of events opens at each mask's time.
        topic: of a bag's events, where there are several.
        masks_topic: of a bag's label images, where there are several.
        streaming: whether to score what latency costs, too.
        latency: s, of every window; None: as measured.
    """

    name: str
    recording: Path
    masks: Path | None = None
    config: PipelineConfig = field(default_factory=PipelineConfig)
    paper: bool = False
    topic: str | None = None
    masks_topic: str | None = None
    streaming: bool = False
    latency: float | None = None


def run(
    jobs: Sequence[Job],
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], object] = lambda windows, recordings: None,
) -> list[SequenceScores]:
    """The scores of each job, in order; the same for any number of workers.

    A recording that cannot be scored has the reason in `fault`; the others are scored all the same.

    Args:
        jobs: what to score.
        workers: processes; 1 works in this one.
        cluster: address of a Dask scheduler whose workers do it instead.
        progress: called with the numbers of windows and of recordings that have just been scored.

    Raises:
        InputError: no scheduler answers.
        ModuleNotFoundError: Dask is not installed (the extra `cluster`).
    """
    results = []
    if workers <= 1 and cluster is None:
        for job in jobs:
            results.append(score(job, lambda: progress(1, 0)))
            progress(0, 1)
        return results
    with _executor(workers, cluster) as executor:
        for future in [executor.submit(score, job) for job in jobs]:
            results.append(future.result())
            progress(len(results[-1].times), 1)
    return results


def threads_each(workers: int) -> int:
    """ONNX Runtime's threads of each worker, so that all share the cores."""
    return max(1, len(os.sched_getaffinity(0)) // max(workers, 1))


def score(job: Job, progress: Callable[[], object] = lambda: None) -> SequenceScores:
    """Scores one recording; what is wrong with it is in the result's `fault`."""
    try:
        return _score(job, progress)
    except InputError as error:
        return SequenceScores(job.name, fault=str(error))


def _score(job: Job, progress: Callable[[], object]) -> SequenceScores:
    truth = load_truth(job.masks, job.recording, job.masks_topic)
    if truth is None and job.paper:
        raise InputError(f"{job.recording} has no masks, which the paper's protocol needs.")
    segmenter = _model(job.config.segmenter)
    layers = Layers.of(segmenter) if job.paper else None
    with open_recording(job.recording, job.topic, job.config.size) as opened:
        opened.tell()
        if truth is not None and truth.ros_time:
            truth = on_sensor_clock(truth, opened, job.config)
        if truth is not None and truth.event_labels is not None:
            truth = with_sure_labels(truth, opened, job.config)
        streaming = Streaming(job.latency) if job.streaming else None
        if streaming is not None and job.latency is None:
            _warm_up(segmenter, opened, job.config)
        said = None if job.paper else turn_of(opened, job.config)
        found = evaluate_sequence(
            job.name, opened, truth, job.config, segmenter, layers, progress, streaming, said
        )
    found.model, found.provider = segmenter.info.name, segmenter.provider
    return found


def on_sensor_clock(truth: Truth, packets: Iterable[Packet], config: PipelineConfig) -> Truth:
    """Ground truth in ROS time brought to sensor time, by the node's mapping between the two.

    Args:
        truth: in ROS time.
        packets: the recording, which is read once for this mapping.
        config: of the pipeline.
    """
    stream = replace(config, window=WindowConfig()).stream()
    ends = [(window.stamp, window.end) for window, _ in windows_of(packets, stream)]
    if not ends:
        return replace(truth, ros_time=False)
    stamps, times = np.array(ends, np.int64).T
    lags = stamps - times
    shift = np.rint(np.interp(truth.t, stamps, lags - lags[0])).astype(np.int64) + lags[0]
    return replace(truth, t=truth.t - shift, ros_time=False)


def with_sure_labels(truth: Truth, recording: Recording, config: PipelineConfig) -> Truth:
    """Ground truth without its labels of events, which is noted, unless each event has its own.

    They belong together by their order, so one event that is left out would shift all labels.

    Args:
        truth: with labels of events.
        recording: is read once for this.
        config: of the pipeline.
    """
    assert truth.event_labels is not None
    stream = replace(config, window=WindowConfig()).stream()
    for _ in windows_of(recording, stream):
        pass
    labels, events = len(truth.event_labels), stream.stats.events
    if labels == events:
        return truth
    left = (
        f"{recording.path}: its labels of events are left out, as they are {labels} for the "
        f"{events} events that can be used, so it is not known which belong together."
    )
    return replace(truth, event_labels=None, note=" ".join(filter(None, (truth.note, left))))


def _warm_up(segmenter: Segmenter, packets: Iterable[Packet], config: PipelineConfig) -> None:
    """Segments some windows, as the first ones are slow and tell nothing of latency."""
    for _ in islice(Pipeline(config, segmenter).run(packets), WARM_UP):
        pass


@lru_cache(maxsize=2)
def _model(config: SegmenterConfig) -> Segmenter:
    """A model, loaded once in each process."""
    return Segmenter.from_config(config)


@contextmanager
def _executor(workers: int, cluster: str | None) -> Iterator[Executor]:
    if cluster is None:
        # Not fork: ONNX Runtime's threads do not survive it.
        context = multiprocessing.get_context("spawn")
        pool: Any = ProcessPoolExecutor(workers, context, initializer=keep_freed_memory)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
        return
    from distributed import Client

    try:
        client = Client(cluster, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {cluster}.") from error
    with client:
        yield client.get_executor()
