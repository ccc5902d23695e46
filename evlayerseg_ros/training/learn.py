"""Learning from recordings, from top to bottom: read, hold out, train, export, compare."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.export import export, export_checkpoint, load_checkpoint
from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.training.learner import make_network
from evlayerseg_ros.training.recordings import Runs, find_recordings, index, split
from evlayerseg_ros.training.report import write_report
from evlayerseg_ros.training.self_training import Lessons, RunTeacher
from evlayerseg_ros.training.train import UNTRAINED, Settings, train

HELD_OUT = 0.2  # share of each recording, at its end, that is held out where nothing else is


@dataclass(frozen=True)
class Recorded:
    """What is learnt from.

    Attributes:
        recordings: files and folders.
        hold_out: files and folders that only judge; none: the end of each recording does.
        mix: share of the clips that are simulated, so that nothing is forgotten.
    """

    recordings: Sequence[Path]
    hold_out: Sequence[Path] = ()
    mix: float = 0.5


def learn(
    out: Path,
    settings: Settings,
    recorded: Recorded,
    photos: list[Path],
    cutouts: list[Path],
    resume: bool = False,
    init: Path | None = None,
) -> Path:
    """Train on recordings without any labels, and tell what that changed.

    The weights that it begins with teach, or those of `settings.teacher`.

    Args:
        out: folder for checkpoint.pt, curves.csv, before.onnx, model.onnx and report.html.
        settings, photos, cutouts, resume, init: see `train`.
        recorded: what is learnt from.

    Returns:
        The model's path.

    Raises:
        InputError: no recording can be used, or as `train`.
        KeyboardInterrupt: as it was, once a checkpoint is saved.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("Training on recordings runs in one process: start it without torchrun.")
    sources = index(find_recordings(recorded.recordings), tqdm.write)
    if recorded.hold_out:
        held = index(find_recordings(recorded.hold_out), tqdm.write)
        kept = {source.path.resolve() for source in held}
        sources = [source for source in sources if source.path.resolve() not in kept]
        if not sources:
            raise InputError("All recordings are held out: there is none to learn from.")
    else:
        sources, held = split(sources, HELD_OUT)
    out.mkdir(parents=True, exist_ok=True)
    before = out / "before.onnx"
    if not (resume and before.exists()):
        _write_start(before, settings, init)
    teacher = find_model(settings.teacher) if settings.teacher else before
    # Scenes are taught by the simulator's labels, or in regime label-free by the same teacher.
    settings = replace(settings, teacher=str(teacher) if settings.regime == "label-free" else "")
    lessons = Lessons(Runs(sources, settings.seed), RunTeacher(teacher), recorded.mix)
    seconds = sum(len(source) * 0.033 for source in sources)
    plural = "s" * (len(sources) != 1)
    tqdm.write(f"Learning from {len(sources)} recording{plural}, {seconds:.1f} s of them.")
    checkpoint = train(out, settings, photos, cutouts, resume, init, lessons)
    export_checkpoint(checkpoint, out / "model.onnx", out.name)
    tqdm.write(write_report(out, before, out / "model.onnx", held))
    return out / "model.onnx"


def _write_start(path: Path, settings: Settings, init: Path | None) -> None:
    """Writes the model that training starts from."""
    if init is None:
        export(make_network(settings), path, path.stem, UNTRAINED, {})
    elif init.suffix == ".onnx":
        shutil.copyfile(init, path)
    else:
        network, state = load_checkpoint(init)
        export(network, path, path.stem, state["regime"], {"step": state["step"]})
