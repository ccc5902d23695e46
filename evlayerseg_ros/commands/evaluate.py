"""The command that scores a model on recordings with ground truth."""

from __future__ import annotations

from pathlib import Path

import click

from evlayerseg_ros.commands import options


@click.command()
@click.argument("recordings", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--masks",
    type=options.PATH,
    help="Masks: an npz with mask_t (ns) and masks (uint8 [M,H,W]), a folder of PNGs named "
    "..._SECONDS.png, or a folder that holds one of the two under each recording's name. "
    "Without it, the masks in each recording's own npz.",
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
@click.option("--topic", help="Topic of the events, where a recording holds several.")
@click.option("--json", "json_path", type=options.PATH, help="Writes the scores as JSON.")
@click.option("--report", type=options.PATH, help="Writes a page with pictures, DIR/index.html.")
def evaluate(
    recordings: tuple[Path, ...],
    masks: Path | None,
    window_events: int | None,
    window_ms: float | None,
    model: str,
    provider: str,
    threads: int,
    topic: str | None,
    json_path: Path | None,
    report: Path | None,
) -> None:
    """Score a model on RECORDINGS with ground truth: IoU, detection rate, flow error, sharpness.

    A window of events starts at each mask's time; the mask found is carried to that time along the
    layers' motions and compared over the pixels that saw an event.
    """
    from tqdm import tqdm

    from evlayerseg_ros.evaluation import report as reports
    from evlayerseg_ros.evaluation.evaluate import Length, evaluate_sequence, events_of
    from evlayerseg_ros.evaluation.truth import load_truth
    from evlayerseg_ros.recordings.readers import open_recording

    options.one_length(window_events, window_ms)
    length = Length(0, round(window_ms * 1e6)) if window_ms else Length(window_events or 50_000)
    segmenter = options.load_segmenter(model, provider, threads)
    sequences = []
    with tqdm(unit="window", desc="evaluate", disable=None) as bar:
        for name, path in _names(recordings).items():
            truth = load_truth(masks, path)
            with open_recording(path, topic) as opened:
                sequences.append(
                    evaluate_sequence(name, events_of(opened), truth, segmenter, length, bar.update)
                )
    settings = {
        "window": str(length),
        "model": segmenter.info.name,
        "provider": segmenter.provider,
    }
    data = reports.as_data(sequences, settings)
    click.echo(reports.table(data))
    if json_path:
        reports.write_json(json_path, data)
    if report:
        click.echo(f"wrote {reports.write_page(report, sequences, data)}")


def _names(recordings: tuple[Path, ...]) -> dict[str, Path]:
    """Each recording by its name without the ending, or by its path where names repeat."""
    stems = [path.stem for path in recordings]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in recordings}
