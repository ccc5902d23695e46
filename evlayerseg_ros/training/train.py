"""The training loop, from top to bottom."""

from __future__ import annotations

import csv
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.simulation.presets import EVALUATION_PHOTOS, TRAINING_PHOTOS, photographs
from evlayerseg_ros.simulation.textures import TextureBank, image_files
from evlayerseg_ros.surroundings import keep_freed_memory
from evlayerseg_ros.training.learner import Batch, Learner, make_network, write_model
from evlayerseg_ros.training.parallel import Place, place
from evlayerseg_ros.training.rehearsal import Rehearsal
from evlayerseg_ros.training.self_training import Lessons, RunTeacher
from evlayerseg_ros.training.stream import SceneStream
from evlayerseg_ros.training.validation import validate, validation_set


@dataclass
class Settings:
    """How to train; `PRESETS` names some.

    Attributes:
        regime: what teaches: "labels" (the simulator's), or without any labels "label-free" (a
            RunTeacher, which sees the events alone) or "paper" (the paper's network and loss).
        teacher: in regime label-free, weights whose answers teach, with hindsight; "": a network
            that says nothing, so that evidence alone teaches.
        width: cells across LayerNet's voxel grid; fewer are faster and coarser.
        widths, depth: LayerNet's channels, and its residual blocks, at each scale.
        steps: optimiser steps.
        batch: windows of a step, of all processes together.
        rate: peak learning rate; a linear warm-up comes before it, a cosine to zero after it.
        decay: weight decay (AdamW).
        clip: largest norm of a step's gradient.
        average: decay per step of the running average of the weights, which is what is kept.
        keep: share of the weights that training began with in those that are kept.
        precision: fp32, or bf16 for mixed precision.
        events: in regime paper, how many of each window the loss reads.
        lanes: streams of scenes, each simulated by a process; a batch has an equal part of each.
            They must be a multiple of the number of processes that train.
        reuse: how often each simulated window is used, on average.
        first: clips that each lane simulates before the first step.
        per_clip: windows taken from each clip.
        worlds: share of the scenes that have depth; the others are planes.
        rehearse: whether half of the windows come from runs of the network itself, with the weights
            of the last validation.
        validate: steps between validations.
        windows: windows of the validation set.
        seed: of everything random.
    """

    regime: str = "labels"
    teacher: str = ""
    width: int = 320
    widths: tuple[int, ...] = (32, 32, 64, 112)
    depth: int = 2
    steps: int = 6000
    batch: int = 16
    rate: float = 2e-3
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    keep: float = 0.0
    precision: str = "fp32"
    events: int = 10_000
    lanes: int = 2
    reuse: float = 3
    first: int = 24
    per_clip: int = 6
    worlds: float = 0.7
    rehearse: bool = False
    validate: int = 250
    windows: int = 48
    seed: int = 0


PRESETS = {
    "default": Settings(rehearse=True),
    "smoke": Settings(
        width=160, widths=(8, 16, 32, 48), depth=1, steps=240, rate=4e-3, average=0.97, reuse=16,
        first=12, validate=60, windows=48,
    ),
    "adapt": Settings(
        steps=400, rate=5e-5, average=0.98, keep=0.5, reuse=4, first=6, validate=100, windows=16,
    ),
}  # fmt: skip
UNTRAINED = "none"  # regime of weights that have learnt nothing
# In the output folder: label-free's teacher that says nothing; the weights of the last validation.
SILENT_TEACHER, RUNS_WITH = "teacher.onnx", "rehearsal.onnx"


def train(
    out: Path,
    settings: Settings,
    photos: list[Path],
    cutouts: list[Path],
    resume: bool = False,
    init: Path | None = None,
    lessons: Lessons | None = None,
) -> Path:
    """Train a network; under torchrun, on all its processes.

    Args:
        out: folder for checkpoint.pt and curves.csv.
        settings: how to train.
        photos, cutouts: folders of images for the simulated scenes, beside scikit-image's
            photographs and procedural textures.
        resume: go on from the checkpoint in `out` as if training had never stopped.
        init: a checkpoint or an exported LayerNet (.onnx) to start from.
        lessons: recordings to learn from beside the scenes.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: a folder holds no images, there is no checkpoint to resume or no such
            teacher, the lanes do not divide evenly, or the checkpoint cannot be written.
        KeyboardInterrupt: as it was, once a checkpoint is saved.
    """
    if settings.teacher and settings.regime != "label-free":
        raise InputError(f"Regime {settings.regime} has no teacher: that is for label-free.")
    if settings.teacher:
        find_model(settings.teacher)
    with place() as here:
        if settings.lanes % here.world or settings.batch % settings.lanes:
            raise InputError(
                f"{settings.batch} windows a step from {settings.lanes} lanes on {here.world} "
                "processes: each must be a multiple of the next."
            )
        return _train(out, settings, photos, cutouts, resume, init, lessons, here)


def _train(
    out: Path, settings: Settings, photos: list[Path], cutouts: list[Path], resume: bool,
    init: Path | None, lessons: Lessons | None, here: Place,
) -> Path:  # fmt: skip
    checkpoint = out / "checkpoint.pt"
    keep_freed_memory(every=True)
    run = Learner(settings, here)
    if init is not None:
        run.start_from(init)
    if resume:
        run.load(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    settings = _with_teacher(out, settings, here)
    bank = TextureBank(photographs(TRAINING_PHOTOS) + image_files(photos), image_files(cutouts))
    held_out = TextureBank(photographs(EVALUATION_PHOTOS))
    windows = settings.windows if here.first else 0
    data = validation_set(held_out, run.network, windows, settings.seed)
    facts = {"photos": len(bank.photos), "cutouts": len(bank.cutouts)}
    if lessons is not None:
        facts["recordings"] = len(lessons.runs.sources)
    began, running, scores = time.time(), math.nan, {}
    runs = out / RUNS_WITH
    rehearses = settings.rehearse and settings.regime == "labels"
    if here.first and rehearses:
        runs.unlink(missing_ok=True)
        if init is not None or resume:
            run.export(runs)
    if here.first and run.step == 0:  # before it has learnt anything
        scores = validate(run.kept(), data)
        _record(out, 0, 0.0, running, scores)
    bar = tqdm(total=settings.steps, initial=run.step, unit="step", disable=not here.first or None)
    rehearsal = Rehearsal(runs) if rehearses else None
    batches = _batches(bank, run.network, settings, run.step, here, lessons, rehearsal)
    try:
        while run.step < settings.steps:
            loss = run.learn(next(batches))
            running = loss if math.isnan(running) else running + 0.02 * (loss - running)
            bar.update()
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
            if here.first and (run.step % settings.validate == 0 or run.step == settings.steps):
                scores = validate(run.kept(), data)
                _record(out, run.step, time.time() - began, running, scores)
                run.save(checkpoint, facts, scores)
                if rehearses:
                    run.export(runs)
    except KeyboardInterrupt:
        if here.first:
            run.save(checkpoint, facts, scores)
            tqdm.write(f"Stopped at step {run.step}; --resume goes on from {checkpoint}.")
        raise
    finally:
        bar.close()
    return checkpoint


def _with_teacher(out: Path, settings: Settings, here: Place) -> Settings:
    """The settings with label-free's teacher: if none is named, a new network in `out`."""
    if settings.regime != "label-free" or settings.teacher:
        return settings
    path = out / SILENT_TEACHER
    if here.first:
        write_model(make_network(settings), path, "silent", UNTRAINED)
    here.wait()
    return replace(settings, teacher=str(path))


def _record(out: Path, step: int, seconds: float, loss: float, scores: dict[str, float]) -> None:
    """Adds a line to curves.csv: step, seconds, running mean of the loss, and the scores."""
    with (out / "curves.csv").open("a", newline="") as file:
        facts = (f"{key}={value:.4f}" for key, value in scores.items())
        csv.writer(file).writerow([step, int(seconds), f"{loss:.4f}", *facts])
    tqdm.write(f"step {step}: " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))


def _batches(
    bank: TextureBank,
    network: Network,
    settings: Settings,
    step: int,
    here: Place,
    lessons: Lessons | None,
    rehearsal: Rehearsal | None,
) -> Iterator[Batch]:
    """This process's part of each step's batch, from step `step` on."""
    lanes = range(here.rank, settings.lanes, here.world)
    each = settings.batch // settings.lanes
    events = settings.events if settings.regime == "paper" else 0
    teacher = RunTeacher(find_model(settings.teacher)) if settings.regime == "label-free" else None
    stream = SceneStream(
        bank, network.voxel, settings.seed, lanes, step * each, settings.reuse,
        settings.per_clip, settings.first, events=events, teacher=teacher, worlds=settings.worlds,
        lessons=lessons, rehearsal=rehearsal,
    )  # fmt: skip
    # A forked worker would inherit OpenCV's and OpenMP's locked thread pools and hang.
    loader = iter(
        DataLoader(
            stream, each, num_workers=len(lanes), prefetch_factor=4,
            multiprocessing_context="spawn", worker_init_fn=_leave_interrupts,
        )
    )  # fmt: skip
    while True:  # workers take turns, so that each gives its lane's part of every batch
        try:
            parts = [next(loader) for _ in lanes]
        except InputError as error:  # of a worker: its traceback with the sentence at its end
            raise InputError(str(error).strip().split("InputError: ")[-1]) from None
        yield {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches all processes of a terminal; the first one ends the others."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
