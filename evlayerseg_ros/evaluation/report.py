"""The result of an evaluation as a page that needs no other file."""

from __future__ import annotations

import html
import math
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from evlayerseg_ros.evaluation import charts
from evlayerseg_ros.evaluation.results import known_measures, rows, write
from evlayerseg_ros.evaluation.scores import MEANINGS, Score, SequenceScores, nan_mean
from evlayerseg_ros.outputs import annotate, pictures

_TEMPLATE = Path(__file__).with_name("page.html")
_LARGE = 2.0  # px over a window: a larger error of motion is told
_PANEL_WIDTH = 400


def write_page(folder: Path, scored: list[list[SequenceScores]], data: dict[str, Any]) -> Path:
    """Writes one self-contained page, folder/index.html.

    Args:
        folder: made if need be.
        scored: the sequences by one model, or by two models in the same order.
        data: of results.as_data.

    Raises:
        InputError: the folder cannot be written.
    """
    order = sorted(range(len(scored[0])), key=lambda i: _standing(scored[0][i]))
    scored = [[sequences[i] for i in order] for sequences in scored]
    first = scored[0]
    models = [sequences[0].model for sequences in scored]
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title="Motion segmentation: evaluation",
        settings=html.escape(_settings(data)),
        headline=html.escape(_headline(data)),
        warnings=_warnings(data),
        worst=_worst(first[0]),
        keys=_keys(models),
        bars=_bars(models, scored),
        table=_table(data),
        legend=html.escape(_legend(data)),
        latency=html.escape(_latency(scored)),
        histogram=charts.histogram(
            [
                (m, [1e3 * t for s in found for t in s.seconds])
                for m, found in zip(models, scored, strict=True)
            ],
            "ms a window",
        ),
        sequences="\n".join(_section(group, models) for group in zip(*scored, strict=True)),
    )
    path = folder / "index.html"
    write(path, page)
    return path


def why(sequence: SequenceScores) -> str:
    """What is wrong with a sequence's labels and motion, if anything, and what its scene shows."""
    mean = sequence.mean()
    said = [_labels(mean)]
    if mean["flow_error_object"] > _LARGE:
        said.append(f"its motion is {mean['flow_error_object']:.1f} px off over a window")
    if mean["flow_error_background"] > _LARGE:
        said.append(
            f"the background's motion is {mean['flow_error_background']:.1f} px off over a window"
        )
    facts = []
    if not math.isnan(mean["object_share"]):
        facts.append(f"covers {mean['object_share']:.1%} of the pixels with events")
    if not math.isnan(mean["object_shift"]):
        facts.append(f"moves {mean['object_shift']:.1f} px against the background in a window")
    return "; ".join(said) + (f". What moves {' and '.join(facts)}" if facts else "")


def _labels(mean: dict[str, float]) -> str:
    """What is wrong with the labels."""
    precision, recall, iou = mean["precision"], mean["recall"], mean["iou"]
    claims = (
        "" if math.isnan(precision) else f"; {1 - precision:.0%} of what it calls moving is not"
    )
    if not math.isnan(mean["false_alarms"]):
        return f"nothing moves here; {mean['false_alarms']:.1%} of the pixels are called moving"
    if math.isnan(iou):
        return "no window could be compared with a mask"
    if iou >= 0.75:
        return f"labels are mostly right: {recall:.0%} of the object's pixels are found{claims}"
    if math.isnan(precision) or recall < 0.05:
        return f"the object is not seen: {recall:.0%} of its pixels are found{claims}"
    if recall < 0.75 * precision:
        return f"much of the object is missed: {recall:.0%} of its pixels are found{claims}"
    if precision < 0.75 * recall:
        return (
            f"background is taken for the object: {1 - precision:.0%} of what it calls moving is "
            f"not, while {recall:.0%} of the object's pixels are found"
        )
    return f"the object is found in part: {recall:.0%} of its pixels{claims}"


def _standing(sequence: SequenceScores) -> float:
    value = nan_mean(sequence.standings)
    return math.inf if math.isnan(value) else value


def _bars(models: list[str], scored: list[list[SequenceScores]]) -> str:
    """A chart of the sequences' IoU, and one of false alarms for those in which nothing moves."""
    out = []
    for measure, label in (("iou", "mean IoU"), ("false_alarms", "false alarms")):
        groups = [g for g in zip(*scored, strict=True) if not math.isnan(g[0].mean()[measure])]
        if groups:
            series = [(m, [g[i].mean()[measure] for g in groups]) for i, m in enumerate(models)]
            out.append(charts.bars([g[0].name for g in groups], series, label))
    return "\n".join(out)


def _warnings(data: dict[str, Any]) -> str:
    told = [f"<li>{html.escape(warning)}</li>" for warning in data["warnings"]]
    return f'<ul class="warning">{"".join(told)}</ul>' if told else ""


def _settings(data: dict[str, Any]) -> str:
    plain = {k: v for k, v in data.items() if isinstance(v, str)}
    if "compare" in data:
        plain["compared with"] = data["compare"]["model"]
    return ", ".join(f"{key} {value}" for key, value in plain.items())


def _headline(data: dict[str, Any]) -> str:
    """The means over all sequences, a sentence for each model."""
    said = []
    for result in (data, *([data["compare"]] if "compare" in data else [])):
        mean, limits = result["mean"], result["ci95"]["iou"]
        parts = []
        if mean["iou"] is not None:
            between = f" (95 % of means within {limits[0]:.2f}..{limits[1]:.2f})" if limits else ""
            parts.append(f"mean IoU {mean['iou']:.3f}{between}")
        if mean.get("paper_iou") is not None:
            parts.append(f"by the paper's metric {mean['paper_iou']:.3f}")
        if mean["dr"] is not None:
            parts.append(f"detection rate {mean['dr']:.3f}")
        if mean["false_alarms"] is not None:
            parts.append(f"false alarms on {mean['false_alarms']:.1%} of the pixels with events")
        for side in ("background", "object"):
            if (off := result["median"][f"flow_error_{side}"]) is not None:
                parts.append(f"median flow error of the {side} {off:.2f} px over the window")
        windows = sum(s["windows"] for s in result["sequences"].values())
        parts.append(f"{len(result['sequences'])} sequences, {windows} windows")
        said.append(f"{result.get('model', '')}: {', '.join(parts)}.")
    return " ".join(said)


def _worst(sequence: SequenceScores) -> str:
    """The sequence of the lowest standing, what is wrong with it, and its worst window."""
    link = charts.anchor(sequence.name)
    figure = _figure(sequence, "worst", sequence.worst) if sequence.worst else ""
    return (
        f'<b>Worst sequence: <a href="#{link}">{html.escape(sequence.name)}</a></b>'
        f"{_scores(sequence)}: {html.escape(why(sequence))}.{figure}"
    )


def _scores(sequence: SequenceScores) -> str:
    """IoU and detection rate, if they are known, each behind a comma."""
    mean = sequence.mean()
    told = (("IoU", mean["iou"]), ("detection rate", mean["dr"]))
    return "".join(f", {name} {value:.3f}" for name, value in told if not math.isnan(value))


def _keys(models: list[str]) -> str:
    if len(models) < 2:
        return ""
    keys = (
        f'<i class="key" style="background:{color}"></i>{html.escape(model)}'
        for color, model in zip(charts.COLORS, models, strict=False)
    )
    return f'<p class="quiet">{"".join(keys)}</p>'


def _table(data: dict[str, Any]) -> str:
    header, *lines = rows(data)
    # Names of measures may break at their underscores.
    head = "".join(f"<th>{html.escape(name).replace('_', '_<wbr>')}</th>" for name in header)
    body = [
        f"<tr{'' if row[0] in data['sequences'] else ' class=total'}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in lines
    ]
    return "\n".join([f"<table><tr>{head}</tr>", *body, "</table>"])


def _legend(data: dict[str, Any]) -> str:
    told = "; ".join(f"{m}: {MEANINGS[m]}" for m in known_measures(data) if m in MEANINGS)
    return f"{told}. Means are over sequences; intervals draw sequences anew with replacement."


def _latency(scored: list[list[SequenceScores]]) -> str:
    said = []
    for found in scored:
        p50, p99 = np.percentile([t for s in found for t in s.seconds], (50, 99)) * 1e3
        said.append(f"{found[0].model} on {found[0].provider}: p50 {p50:.1f} ms, p99 {p99:.1f} ms.")
    return " ".join(said) + " Other recordings may have been scored at the same time (--jobs)."


def _section(group: tuple[SequenceScores, ...], models: list[str]) -> str:
    """One sequence by every model: its sentence, its IoU over time, its worst and best windows."""
    first = group[0]
    parts = [f'<h3 id="{charts.anchor(first.name)}">{html.escape(first.name)}</h3>']
    for sequence in group:
        name = f"{sequence.model}: " if len(group) > 1 else ""
        skipped = f", {sequence.skipped} masks without a window" if sequence.skipped else ""
        text = f"{name}{len(sequence.times)} windows{skipped}{_scores(sequence)}: {why(sequence)}."
        told = [text, sequence.warning] if sequence.times else [sequence.warning or text]
        parts.append(f"<p>{html.escape(' '.join(filter(None, told)))}</p>")
    if first.times and not math.isnan(first.mean()["iou"]):
        times = [t * 1e-9 for t in first.times]
        series = [(m, s.measures["iou"]) for m, s in zip(models, group, strict=True)]
        parts.append(charts.lines(times, series, "IoU over the masks' time, s"))
    for sequence in group:
        for which, score in (("worst", sequence.worst), ("best", sequence.best)):
            if score is not None:
                parts.append(_figure(sequence, which, score))
    return "\n".join(parts)


def _figure(sequence: SequenceScores, which: str, score: Score) -> str:
    panels = [_panel(score, score.predicted)]
    if score.truth is not None:
        panels += [_panel(score, score.truth), _difference(score, score.truth)]
    shrink = min(1.0, _PANEL_WIDTH / panels[0].shape[1])
    picture = np.hstack([annotate.scaled(panel, shrink) for panel in panels])
    window = score.window
    known = (("IoU", "iou"), ("false alarms", "false_alarms"), ("FWL", "fwl"))
    told = [f"{name} {score.measures[m]:.3f}" for name, m in known if m in score.measures]
    caption = (
        f"{sequence.model} {which} window, at {score.t * 1e-9:.3f} s: {', '.join(told)}; "
        f"{len(window.events)} events in {window.duration * 1e3:.1f} ms"
    ).strip()
    return (
        f'<figure><img alt="{html.escape(caption, quote=True)}" loading="lazy" '
        f'src="{pictures.as_source(picture)}">'
        f'<figcaption class="quiet">{html.escape(caption)}.</figcaption></figure>'
    )


def _panel(score: Score, mask: np.ndarray) -> np.ndarray:
    labels = mask.astype(np.uint8)
    events = score.window.events
    return pictures.overlay(events, labels[events.y, events.x], labels)


def _difference(score: Score, truth: np.ndarray) -> np.ndarray:
    """Right and wrong pixels in colours, where there was an event: uint8 [H, W, 3] RGB."""
    seen = score.window.events.seen()
    found, true = score.predicted > 0, truth > 0
    picture = np.full((*seen.shape, 3), 24, np.uint8)
    picture[seen & ~found & ~true] = (120, 120, 120)
    picture[seen & found & true] = (60, 180, 75)
    picture[seen & found & ~true] = (230, 25, 75)
    picture[seen & ~found & true] = (67, 99, 216)
    return picture
