"""The command that plays a recording into the real node and shows what comes out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.node.start import need_ros


@click.command()
@click.option("--recording", type=options.PATH, help="What to play; else a simulated scene.")
@click.option(
    "--out",
    type=options.PATH,
    default=Path(),
    help="Folder for demo.mp4 and demo.png; else this one.",
)
def demo(recording: Path | None, out: Path) -> None:
    """Play a recording into the real node and show what it sees: demo.mp4, demo.png and figures.

    The node runs in its own process, the recording is played from another, over ROS on a domain of
    its own. The node's first start after an installation compiles, which takes half a minute.
    """
    need_ros()
    from evlayerseg_ros.replay.demo import run

    with TemporaryDirectory() as folder:
        if recording is None:
            click.echo("simulating a moving object before a moving background")
            recording = _simulated(Path(folder))
        click.echo(run(recording, out, click.echo))


def _simulated(folder: Path) -> Path:
    """A recording of a moving object before a moving background."""
    from evlayerseg_ros.simulation.presets import write_preset

    return write_preset("demo", folder, seed=3)[0]
