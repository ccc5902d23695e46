"""The command that scores a model on recordings with ground truth."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evlayerseg_ros.commands import options
from evlayerseg_ros.commands.files import refuse_to_replace
from evlayerseg_ros.errors import InputError

if TYPE_CHECKING:
    from evlayerseg_ros.evaluation.scores import SequenceScores
    from evlayerseg_ros.events.window import WindowConfig
    from evlayerseg_ros.pipeline import PipelineConfig

TABLE = 100  # characters that a table is wide at most, unless --wide


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
    type=click.Choice(["node", "paper"]),
    default="node",
    show_default=True,
    help="'node': the windows of the robot, each mask compared with the window that it falls into. "
    "'paper': a window of 50000 events (--window-events) opens at each mask, and the metric of "
    "EV-LayerSegNet's authors is printed too, to the letter.",
)
@options.all_of_pipeline
@click.option("--compare", metavar="MODEL", help="Scores another model too, side by side.")
@options.topic
@click.option(
    "--streaming",
    is_flag=True,
    help="Scores what latency costs, too: each mask of the truth against the newest that was out "
    "by then, as it was and carried along its motions.",
)
@click.option(
    "--latency-ms",
    type=options.Number(),
    help="With --streaming: from each window's end to its mask; else as measured here, one "
    "recording at a time.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    help="Recordings at a time, each in a process of its own; 0: as many as there are cores.",
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Scores on the workers of this Dask scheduler instead."
)
@click.option("--wide", is_flag=True, help="Prints every sequence and figure.")
@click.option("--json", "json_path", type=options.PATH, help="Writes the scores as JSON.")
@click.option("--csv", "csv_path", type=options.PATH, help="Writes the scores as CSV.")
@click.option("--report", type=options.PATH, help="Writes a page with pictures, DIR/index.html.")
@click.pass_context
def evaluate(
    context: click.Context,
    recordings: tuple[Path, ...],
    config: PipelineConfig,
    compare: str | None,
    protocol: str,
    streaming: bool,
    latency_ms: float | None,
    jobs: int,
    cluster: str | None,
    wide: bool,
    json_path: Path | None,
    csv_path: Path | None,
    report: Path | None,
    **where: Any,
) -> None:
    """Score a model on RECORDINGS with ground truth: IoU, detection rate, flow error, sharpness.

    RECORDINGS are files, or folders of them. Without options, what the node does is scored: its
    windows, tracked, one look. The labels found are warped to each mask's time and compared over
    the pixels that saw an event. A recording that cannot be read is named and left out; the exit
    status is 2 then.
    """
    from evlayerseg_ros.evaluation import results

    _check(**context.params)
    if report:  # before anything is scored: it may miss its library
        from evlayerseg_ros.evaluation.report import write_page
    if protocol == "paper":
        config = replace(config, window=replace(config.window, mode="count"))
    where |= {"streaming": streaming, "latency": None if latency_ms is None else latency_ms * 1e-3}
    if streaming and latency_ms is None:
        jobs = jobs or 1  # what runs beside it would be measured, too
    configs = [config]
    if compare is not None:
        configs.append(replace(config, segmenter=replace(config.segmenter, model=compare)))
    paths, faults = _paths(recordings)
    scored = _score(paths, configs, protocol == "paper", jobs, cluster, **where)
    faults += _leave_out(scored)
    first = scored[0]
    if not any(sequence.times for sequence in first):
        raise InputError(faults[0] if faults else f"{recordings[0]}: {first[0].warning}")
    told: dict[str, Any] = {
        "window": _window(config.window, protocol),
        "model": first[0].model,
        "provider": first[0].provider,
        "protocol": protocol,
    }
    if streaming:
        told["latency_ms"] = "as measured" if latency_ms is None else latency_ms
    if faults:
        told["left_out"] = faults
    data = results.as_data(first, told, scored[1] if compare else None)
    by_suite = not (wide or streaming) and protocol == "node"
    click.echo(results.table(data, by_suite, None if wide else TABLE))
    for warning in results.in_few_words(data["warnings"]):
        click.echo(f"evlayerseg: warning: {warning}", err=True)
    if json_path:
        results.write_json(json_path, data)
    if csv_path:
        results.write_csv(csv_path, data)
    if report:
        click.echo(f"wrote {write_page(report, scored, data)}")
    for fault in faults:
        click.echo(f"evlayerseg: left out: {fault}", err=True)
    if faults:
        context.exit(2)


def _check(
    protocol: str,
    window_ms: float | None,
    stride_ms: float | None,
    streaming: bool,
    latency_ms: float | None,
    recordings: tuple[Path, ...],
    json_path: Path | None,
    csv_path: Path | None,
    **others: Any,
) -> None:
    """Raises a UsageError for options that exclude each other, an InputError for bad outputs."""
    if protocol == "paper" and (window_ms or stride_ms):
        raise click.UsageError("--protocol paper takes windows of a number of events.")
    if protocol == "paper" and streaming:
        raise click.UsageError("--streaming scores what the node does, not --protocol paper.")
    if latency_ms is not None and not streaming:
        raise click.UsageError("--latency-ms is for --streaming.")
    refuse_to_replace(True, json_path, csv_path, inputs=recordings)
    for path, ending in ((json_path, ".json"), (csv_path, ".csv")):
        if path is not None and path.is_file() and path.suffix.lower() != ending:
            raise InputError(f"{path} exists, and is no {ending} file: name another file.")


def _paths(given: tuple[Path, ...]) -> tuple[list[Path], list[str]]:
    """The recordings, each once, and what is wrong with folders that hold none."""
    from evlayerseg_ros.recordings.kinds import recordings_in

    paths: dict[Path, None] = {}
    faults = []
    for path in given:
        try:
            paths.update(dict.fromkeys(recordings_in(path)))
        except InputError as error:
            faults.append(str(error))
    if not paths:
        raise InputError(faults[0])
    return list(paths), faults


def _score(
    paths: list[Path],
    configs: list[PipelineConfig],
    paper: bool,
    jobs: int,
    cluster: str | None,
    **where: Any,
) -> list[list[SequenceScores]]:
    """The sequences by each configuration, in the same order."""
    from tqdm import tqdm

    from evlayerseg_ros.evaluation import run

    workers = min(jobs or len(os.sched_getaffinity(0)), len(paths) * len(configs))
    if workers > 1:
        configs = [_with_threads(config, run.threads_each(workers)) for config in configs]
    todo = [
        run.Job(name, path, config=config, paper=paper, **where)
        for config in configs
        for name, path in _names(paths).items()
    ]
    windows = 0
    # miniters=0: what is written beside the bar changes between its steps.
    with tqdm(total=len(todo), unit="recording", miniters=0, disable=None) as bar:

        def told(scored: int, recordings: int) -> None:
            nonlocal windows
            windows += scored
            bar.set_postfix_str(f"{windows} windows", refresh=False)
            bar.update(recordings)

        found = run.run(todo, workers, cluster, told)
    scored = [found[i : i + len(paths)] for i in range(0, len(found), len(paths))]
    if len({sequences[0].model for sequences in scored}) < len(scored):
        for config, sequences in zip(configs, scored, strict=True):
            for sequence in sequences:
                sequence.model = config.segmenter.model
    return scored


def _with_threads(config: PipelineConfig, threads: int) -> PipelineConfig:
    """The configuration with so many threads, unless it has a number already."""
    threads = config.segmenter.threads or threads
    return replace(config, segmenter=replace(config.segmenter, threads=threads))


def _leave_out(scored: list[list[SequenceScores]]) -> list[str]:
    """Takes out the sequences that failed, and says why each did."""
    bad = {s.name: s.fault for sequences in scored for s in sequences if s.fault}
    if len(bad) < len(scored[0]):
        for sequences in scored:
            sequences[:] = [s for s in sequences if s.name not in bad]
    return list(bad.values())


def _window(window: WindowConfig, protocol: str) -> str:
    """The windows in words."""
    length = f"{window.events} events" if window.mode == "count" else f"{window.duration_ms:g} ms"
    if protocol == "paper":
        return f"{length} from each mask"
    return f"{length} every {window.stride_ms:g} ms" if window.stride_ms else length


def _names(recordings: list[Path]) -> dict[str, Path]:
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
