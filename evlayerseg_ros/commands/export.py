"""The command that makes a model file of what was trained."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.commands.files import force_option, refuse_to_replace


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
    refuse_to_replace(force, output, int8, inputs=[checkpoint])
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
