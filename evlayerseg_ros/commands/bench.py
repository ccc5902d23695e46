"""The command that measures how fast this package is here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from evlayerseg_ros.commands import options
from evlayerseg_ros.errors import InputError

if TYPE_CHECKING:
    from evlayerseg_ros.pipeline import PipelineConfig

SECTIONS = (
    "decode",
    "voxel",
    "inference",
    "segmenter",
    "pipeline",
    "outputs",
    "messages",
    "transport",
    "end_to_end",
    "cameras",
)


@click.command()
@click.option("--quick", is_flag=True, help="About a minute: short runs, 5 Mev/s unless --rates.")
@click.option(
    "--only",
    "sections",
    type=options.Listed(click.Choice(SECTIONS)),
    default=",".join(SECTIONS),
    show_default=True,
    metavar="NAMES",
    help="Sections to measure, separated by commas.",
)
@click.option("--json", "json_path", type=options.PATH, help="Write the figures here too.")
@click.option(
    "--recording",
    "recordings",
    type=options.PATH,
    multiple=True,
    help="Bag or RAW file to decode instead of synthetic packets; may be repeated.",
)
@click.option(
    "--paper", type=options.PATH, help="Another network to compare with, by `evlayerseg export`."
)
@click.option(
    "--rates",
    type=options.Listed(options.Number(0.01, 1000)),
    default="1,5,20,50",
    show_default=True,
    metavar="NUMBERS",
    help="Million events per second.",
)
@click.option(
    "--sizes",
    type=options.Listed(options.Size(least=16, most=2048)),
    default="346x260,640x480,1280x720",
    show_default=True,
    metavar="WIDTHxHEIGHT,..",
    help="Of sensors, px.",
)
@options.with_config(*options.MODEL, options.STRIDE)
@click.pass_context
def bench(
    context: click.Context,
    quick: bool,
    sections: tuple[str, ...],
    json_path: Path | None,
    recordings: tuple[Path, ...],
    paper: Path | None,
    rates: tuple[float, ...],
    sizes: tuple[tuple[int, int], ...],
    config: PipelineConfig,
) -> None:
    """Measure every step of the pipeline, and the real node over DDS, on this machine.

    Times are medians and 99th percentiles of `runs` runs after warm-up. Nothing else should run
    meanwhile; `load` tells what did.
    """
    from tqdm import tqdm

    from evlayerseg_ros.bench.end_to_end import cameras, end_to_end, messages
    from evlayerseg_ros.bench.measure import busy, machine, table
    from evlayerseg_ros.bench.settings import Settings
    from evlayerseg_ros.bench.stages import STAGES, providers
    from evlayerseg_ros.bench.transport import transport

    if quick and context.get_parameter_source("rates") is ParameterSource.DEFAULT:
        rates = (5.0,)
    seconds = 0.3 if quick else 2.0
    settings = Settings(config, paper, recordings, rates, sizes, seconds)
    asked = config.segmenter.provider
    if asked != "auto" and not list(providers(settings)):
        raise InputError(f"Provider {asked} cannot be had here: say --provider auto for what can.")
    about = machine()
    for name, value in about.items():
        click.echo(f"{name:9} {_flat(value)}")
    if warning := busy(about):
        click.echo(warning, err=True)
    with_ros = {
        "messages": messages,
        "transport": transport,
        "end_to_end": end_to_end,
        "cameras": cameras,
    }
    results: dict[str, Any] = {"machine": about, "settings": asdict(settings)}
    for name in (name for name in SECTIONS if name in sections):
        measured = (STAGES | with_ros)[name]
        click.echo(f"\n{name}: {(measured.__doc__ or '').splitlines()[0]}")
        # disable=None: no counter where stderr is no terminal.
        rows = tqdm(measured(settings), desc=name, unit="row", leave=False, disable=None)
        results[name] = list(rows)
        click.echo(table(results[name]))
    if json_path:
        json_path.write_text(json.dumps(results, indent=1, default=str) + "\n")
        click.echo(f"wrote {json_path}")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
