"""The command that scores a model on recordings with ground truth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evlayerseg_ros.commands import options

if TYPE_CHECKING:
    from evlayerseg_ros.evaluation.evaluate import SequenceScores


@click.command()
@click.argument("recordings", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--masks",
    type=options.PATH,
    help="Masks: an npz with mask_t (ns) and masks (uint8 [M,H,W]), a folder of PNGs named "
    "..._SECONDS.png or numbered with DSEC's timestamps.txt, a bag with label images, or a folder "
    "that holds one of these under each recording's name. Without it, the masks in each "
    "recording's own npz or EVIMO file or folder; where it has none, only sharpness is measured.",
)
@click.option("--masks-topic", help="Topic of the label images, where a bag holds several.")
@click.option(
    "--protocol",
    type=click.Choice(["ours", "paper"]),
    default="ours",
    show_default=True,
    help="'paper' also prints the metric of EV-LayerSegNet's authors, to the letter.",
)
@click.option(
    "--window-events",
    type=click.IntRange(min=1),
    help="Windows of this many events; 50000 unless --window-ms is given.",
)
@click.option(
    "--window-ms", type=click.FloatRange(min=0, min_open=True), help="Windows of this time."
)
@options.model_options
@options.refine_option(True)
@options.track_option
@click.option("--compare", metavar="MODEL", help="Scores another model too, side by side.")
@click.option("--topic", help="Topic of the events, where a recording holds several.")
@click.option(
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    help="Recordings at a time, each in a process of its own; 0: as many as there are cores.",
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Scores on the workers of this Dask scheduler instead."
)
@click.option("--json", "json_path", type=options.PATH, help="Writes the scores as JSON.")
@click.option("--csv", "csv_path", type=options.PATH, help="Writes the scores as CSV.")
@click.option("--report", type=options.PATH, help="Writes a page with pictures, DIR/index.html.")
def evaluate(
    recordings: tuple[Path, ...],
    model: str,
    compare: str | None,
    json_path: Path | None,
    csv_path: Path | None,
    report: Path | None,
    **settings: Any,
) -> None:
    """Score a model on RECORDINGS with ground truth: IoU, detection rate, flow error, sharpness.

    A window of events starts at each mask's time; the mask found is carried to that time along the
    layers' motions and compared over the pixels that saw an event. A recording in which no mask is
    followed by a full window is left out with a warning.
    """
    from evlayerseg_ros.evaluation import results
    from evlayerseg_ros.evaluation.report import write_page

    models = [model] if compare is None else [model, compare]
    scored, told = _score(recordings, models, **settings)
    data = results.as_data(scored[0], told, scored[1] if compare else None)
    click.echo(results.table(data))
    for warning in data["warnings"]:
        click.echo(f"evlayerseg: warning: {warning}", err=True)
    if json_path:
        results.write_json(json_path, data)
    if csv_path:
        results.write_csv(csv_path, data)
    if report:
        click.echo(f"wrote {write_page(report, scored, data)}")


def _score(
    recordings: tuple[Path, ...],
    models: list[str],
    masks: Path | None,
    masks_topic: str | None,
    protocol: str,
    window_events: int | None,
    window_ms: float | None,
    provider: str,
    threads: int,
    refine: bool,
    track: bool,
    topic: str | None,
    jobs: int,
    cluster: str | None,
) -> tuple[list[list[SequenceScores]], dict[str, Any]]:
    """The sequences by each model, and how they were scored."""
    from tqdm import tqdm

    from evlayerseg_ros.errors import InputError
    from evlayerseg_ros.evaluation import run
    from evlayerseg_ros.evaluation.windows import Length

    options.one_length(window_events, window_ms)
    if window_ms and protocol == "paper":
        raise click.UsageError("--protocol paper takes windows of a number of events.")
    length = Length(0, round(window_ms * 1e6)) if window_ms else Length(window_events or 50_000)
    workers = min(jobs or len(os.sched_getaffinity(0)), len(recordings) * len(models))
    if not threads and workers > 1:
        threads = run.threads_each(workers)
    todo = [
        run.Job(
            name, path, masks, length, model, provider, threads, protocol == "paper", topic,
            masks_topic, refine, track,
        )
        for model in models
        for name, path in _names(recordings).items()
    ]  # fmt: skip
    with tqdm(unit="window", desc="evaluate", disable=None) as bar:
        found = run.run(todo, workers, cluster, bar.update)
    half = len(recordings)
    scored = [found[:half], found[half:]][: len(models)]
    if not any(sequence.times for sequence in scored[0]):
        raise InputError(f"{recordings[0]}: {scored[0][0].warning}")
    if len(models) > 1 and scored[0][0].model == scored[1][0].model:
        for name, sequences in zip(models, scored, strict=True):
            for sequence in sequences:
                sequence.model = name
    told = {
        "window": str(length),
        "model": scored[0][0].model,
        "provider": scored[0][0].provider,
        "protocol": protocol,
    }
    return scored, told


def _names(recordings: tuple[Path, ...]) -> dict[str, Path]:
    """Each recording by its sequence's name, or by its path where names repeat."""
    stems = [_name(path) for path in recordings]
    return {
        stem if stems.count(stem) == 1 else str(path): path
        for stem, path in zip(stems, recordings, strict=True)
    }


def _name(path: Path) -> str:
    """The file's name without its ending; for DSEC's SEQUENCE/events/left/events.h5, SEQUENCE."""
    if path.stem == "events":
        above = [folder.name for folder in path.absolute().parents]
        return next((n for n in above if n not in ("events", "left", "right", "")), path.stem)
    return path.stem
