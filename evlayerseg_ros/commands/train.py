"""The command that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.commands.files import force_option, refuse_to_replace


@click.command()
@click.argument("out", type=options.PATH)
@click.option(
    "--preset",
    type=click.Choice(["smoke", "default", "adapt"]),
    help="smoke takes a minute or two on two cores: loss and IoU improve, no more. adapt is short "
    "and careful: what --recordings with --init takes if nothing is said; else default.",
)
@click.option(
    "--photos",
    type=options.PATH,
    multiple=True,
    help="Folder of photographs, for backgrounds and objects; may be repeated.",
)
@click.option(
    "--cutouts",
    type=options.PATH,
    multiple=True,
    help="Folder of images with an alpha channel, for objects; may be repeated.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), help="Optimiser steps instead of the preset's."
)
@click.option("--batch", type=click.IntRange(min=1), help="Windows a step instead of the preset's.")
@click.option(
    "--regime",
    type=click.Choice(["labels", "label-free", "paper"]),
    default="labels",
    show_default=True,
    help="What teaches: the simulator's labels; or, from events alone, a teacher, or the paper's "
    "loss with the paper's network.",
)
@click.option(
    "--teacher",
    metavar="MODEL",
    help="Of label-free: weights whose answers teach, with hindsight. Without it those of a "
    "network that has learnt nothing yet.",
)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option(
    "--init",
    type=options.PATH,
    help="Start from a checkpoint, an exported ONNX file, or shipped weights (default).",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed instead of the preset's.")
@click.option("--resume", is_flag=True, help="Go on from OUT/checkpoint.pt.")
@click.option(
    "--recordings",
    type=options.PATH,
    multiple=True,
    help="Learn from this recording, or all in this folder, without any label; may be repeated.",
)
@click.option(
    "--hold-out",
    type=options.PATH,
    multiple=True,
    help="Of --recordings: judge by this one instead of by the last fifth of each.",
)
@click.option(
    "--mix",
    type=options.Number(0, 1),
    default=0.5,
    show_default=True,
    help="Of --recordings: share that is simulated, so that nothing is forgotten.",
)
@force_option
def train(
    out: Path,
    preset: str | None,
    photos: tuple[Path, ...],
    cutouts: tuple[Path, ...],
    steps: int | None,
    batch: int | None,
    seed: int | None,
    resume: bool,
    init: Path | None,
    regime: str,
    teacher: str | None,
    precision: str,
    recordings: tuple[Path, ...],
    hold_out: tuple[Path, ...],
    mix: float,
    force: bool,
) -> None:
    """Train a network on simulated scenes; OUT gets checkpoint.pt and curves.csv.

    With --recordings also on what a camera saw, without labels: the weights of --init teach, with
    hindsight. OUT then gets model.onnx, and report.html with what it changed.

    Scenes are made while training runs, from photographs that scikit-image ships, procedural
    textures, and the folders given. Nothing is downloaded. `torchrun -m evlayerseg_ros.cli train
    ..` trains on several GPUs or machines.
    """
    go_on = "--resume to go on from it"
    refuse_to_replace(force or resume, out / "checkpoint.pt", or_else=go_on)
    from dataclasses import replace

    from evlayerseg_ros.segmentation.model_file import find_model
    from evlayerseg_ros.training.train import PRESETS as SETTINGS
    from evlayerseg_ros.training.train import train as run

    given: dict[str, Any] = {
        "steps": steps, "batch": batch, "seed": seed, "regime": regime, "precision": precision,
        "teacher": teacher,
    }  # fmt: skip
    preset = preset or ("adapt" if recordings and (init or resume) else "default")
    settings = replace(
        SETTINGS[preset], **{key: value for key, value in given.items() if value is not None}
    )
    init = init and find_model(init)
    if hold_out and not recordings:
        raise click.UsageError("--hold-out is for --recordings.")
    try:
        if recordings:
            from evlayerseg_ros.training.learn import Recorded, learn

            recorded = Recorded(recordings, hold_out, mix)
            click.echo(learn(out, settings, recorded, list(photos), list(cutouts), resume, init))
        else:
            click.echo(run(out, settings, list(photos), list(cutouts), resume, init))
    except KeyboardInterrupt:  # the loop has said what it kept, if it was reached
        if not (out / "checkpoint.pt").exists():
            click.echo("evlayerseg: interrupted before the first step: nothing to keep.", err=True)
        click.get_current_context().exit(130)
