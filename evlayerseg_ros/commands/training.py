"""The commands that simulate, train and export."""

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
    default="demo",
    show_default=True,
    help="demo; affine25, the README's evaluation set, and its companions object, many, none, "
    "static, parts, faint, near; suites, all those of docs/suites.md, or one of them by name.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@force_option
def simulate(out: Path, preset: str, seed: int, force: bool) -> None:
    """Simulate sequences with events, labels, masks and motion into the folder OUT.

    Each is an npz that every other command reads as a recording, with its truth inside.
    """
    from evlayerseg_ros.simulation.presets import write_preset

    refuse_to_replace(force, *sorted(out.glob("*.npz"))[:1])
    for path in write_preset(preset, out, seed):
        click.echo(path)


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


@click.command()
@click.argument("checkpoint", type=options.PATH)
@click.option("-o", "--output", type=options.PATH, required=True, help="ONNX file to write.")
@click.option("--name", help="Name of the weights; the file's stem if left out.")
@click.option(
    "--int8", type=options.PATH, help="A second file, with 8-bit convolutions, faster on a CPU."
)
@force_option
def export(
    checkpoint: Path, output: Path, name: str | None, int8: Path | None, force: bool
) -> None:
    """Write CHECKPOINT as an ONNX file that every other command takes as --model.

    CHECKPOINT is what `evlayerseg train` wrote. `paper` exports the paper's network with random
    weights, to measure its speed. Torch's and ONNX Runtime's answers are compared before it ends.
    """
    refuse_to_replace(force, output, int8)
    from evlayerseg_ros.network.base import Network
    from evlayerseg_ros.network.export import export as run
    from evlayerseg_ros.network.export import export_checkpoint
    from evlayerseg_ros.paper.network import PaperNet

    name = name or output.stem
    if str(checkpoint) == "paper":
        network: Network = PaperNet()
        run(network, output, name, "none", {})
    else:
        network = export_checkpoint(checkpoint, output, name)
    click.echo(output)
    if int8:
        from evlayerseg_ros.network.export import quantise
        from evlayerseg_ros.simulation.presets import TRAINING_PHOTOS, photographs
        from evlayerseg_ros.training.stream import example_inputs

        quantise(output, int8, example_inputs(photographs(TRAINING_PHOTOS), network.voxel))
        click.echo(int8)
