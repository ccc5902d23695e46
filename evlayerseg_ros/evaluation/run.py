"""Many recordings and models, on the cores of this machine or of many."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.evaluate import SequenceScores, evaluate_sequence
from evlayerseg_ros.evaluation.truth import load_truth
from evlayerseg_ros.evaluation.windows import Length, events_of
from evlayerseg_ros.paper import metric as paper
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.segmentation.segmenter import Segmenter


@dataclass(frozen=True)
class Job:
    """One recording to be scored by one model.

    Attributes:
        name: of the sequence.
        recording: its path.
        masks: where its ground truth is; None: inside the recording, or there is none.
        length: of the windows.
        model, provider, threads: as for Segmenter.load.
        paper: whether to score by the paper's metric too.
        topic: of a bag's events, where there are several.
        masks_topic: of a bag's label images, where there are several.
        refine, track: as for Segmenter.load.
    """

    name: str
    recording: Path
    masks: Path | None
    length: Length
    model: str = "default"
    provider: str = "auto"
    threads: int = 0
    paper: bool = False
    topic: str | None = None
    masks_topic: str | None = None
    refine: bool = True
    track: bool = True


def run(
    jobs: Sequence[Job],
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int], object] = lambda windows: None,
) -> list[SequenceScores]:
    """The scores of each job, in their order; the same however many workers there are.

    Args:
        jobs: what to score.
        workers: processes; 1 works in this one.
        cluster: address of a Dask scheduler whose workers do it instead.
        progress: called with the number of windows just scored.

    Raises:
        InputError: as evaluate_sequence; or Dask is not installed.
    """
    if workers <= 1 and cluster is None:
        return [score(job, lambda: progress(1)) for job in jobs]
    results = []
    with _executor(workers, cluster) as executor:
        for future in [executor.submit(score, job) for job in jobs]:
            results.append(future.result())
            progress(len(results[-1].times))
    return results


def threads_each(workers: int) -> int:
    """ONNX Runtime's threads of each of that many workers, so that the cores are shared."""
    return max(1, len(os.sched_getaffinity(0)) // max(workers, 1))


def score(job: Job, progress: Callable[[], object] = lambda: None) -> SequenceScores:
    """Scores one recording.

    Raises:
        InputError: as evaluate_sequence.
    """
    segmenter, layers = _model(job.model, job.provider, job.threads, job.paper)
    segmenter.refine, segmenter.track = job.refine, job.track
    segmenter.forget()
    truth = load_truth(job.masks, job.recording, job.masks_topic)
    if truth is None and job.paper:
        raise InputError(f"{job.recording} has no masks, which the paper's metric needs.")
    with open_recording(job.recording, job.topic) as opened:
        chunks = events_of(opened, ros_time=truth is not None and truth.ros_time)
        found = evaluate_sequence(job.name, chunks, truth, segmenter, job.length, progress, layers)
    found.model, found.provider = segmenter.info.name, segmenter.provider
    return found


@lru_cache(maxsize=2)
def _model(
    model: str, provider: str, threads: int, by_paper: bool
) -> tuple[Segmenter, paper.Layers | None]:
    """A model, loaded once in each worker."""
    segmenter = Segmenter.load(model, provider=provider, threads=threads)
    return segmenter, paper.Layers.of(segmenter) if by_paper else None


@contextmanager
def _executor(workers: int, cluster: str | None) -> Iterator[Executor]:
    if cluster is None:
        # Not fork: ONNX Runtime's threads do not survive it.
        context = multiprocessing.get_context("spawn")
        pool: Any = ProcessPoolExecutor(workers, mp_context=context)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "--cluster needs Dask: pip install distributed (extra `cluster`)."
        ) from error
    try:
        client = Client(cluster, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {cluster}.") from error
    with client:
        yield client.get_executor()
