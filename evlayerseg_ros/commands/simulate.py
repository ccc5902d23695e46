"""The command that simulates sequences."""

from __future__ import annotations

from pathlib import Path

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
