"""The result of an evaluation: a table for the terminal, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation import suites
from evlayerseg_ros.evaluation.scores import FACTS, NO_MASKS, SequenceScores, nan_mean

_DRAWS = 10_000
_FIRST = (
    *("paper_iou", "paper_dr"),  # asked for by --protocol paper alone
    *("event_iou", "iou", "dr", "stream_iou", "carried_iou", "same_iou", "object_iou"),
    *("false_alarms", "event_false_alarms", "event_dr", "id_switches", "flow_error"),
)
"""The measures that a narrow table keeps first."""
Interval = list[float] | None


def as_data(
    sequences: list[SequenceScores],
    settings: dict[str, Any],
    other: list[SequenceScores] | None = None,
) -> dict[str, Any]:
    """The whole result as plain data.

    Args:
        sequences: what was scored.
        settings: become part of the result.
        other: the same sequences by the model to compare with, in the same order.

    Returns:
        The settings, and: `sequences`, by name the means over windows, and in `stream` the counts
        of StreamStats; `mean` and `median` over sequences; `ci95` of the mean; `warnings` about
        sequences that could not be scored in full or had faulty packets; the `suites` (suites.py).
        With `other` the same of it under `compare`, and there `difference`: its measures minus the
        first's, with `difference_ci95`. A measure that the ground truth does not tell is None.
        Intervals hold 95 % of the means of sequences drawn anew with replacement; None for fewer
        than two.
    """
    warnings = [s.warning for s in sequences if s.warning]
    warnings += [f"{s.name}: {s.stream_faults}" for s in sequences if s.stream_faults]
    data = {**_summary(sequences), "warnings": warnings, **settings}
    if other is not None:
        gaps = {
            name: [b.mean()[name] - a.mean()[name] for a, b in zip(sequences, other, strict=True)]
            for name in _names(sequences)
        }
        data["compare"] = {
            **_summary(other),
            "model": other[0].model,
            "difference": {name: _known(nan_mean(gap)) for name, gap in gaps.items()},
            "difference_ci95": {name: bootstrap(gap) for name, gap in gaps.items()},
        }
    return data


def in_few_words(warnings: list[str]) -> list[str]:
    """The warnings, those about recordings without masks as one."""
    bare = [warning for warning in warnings if warning.endswith(NO_MASKS)]
    if len(bare) < 2:
        return warnings
    have = NO_MASKS.replace("has", "have", 1).replace("its", "their", 1)
    told = f"{bare[0].removesuffix(NO_MASKS)} and {len(bare) - 1} more{have}"
    return [told] + [warning for warning in warnings if warning not in bare]


def _summary(sequences: list[SequenceScores]) -> dict[str, Any]:
    means = {s.name: s.mean() for s in sequences}
    values = {
        name: [mean.get(name, math.nan) for mean in means.values()] for name in _names(sequences)
    }
    scores: dict[str, dict[str, Any]] = {
        s.name: {
            **{name: _known(value) for name, value in means[s.name].items()},
            "windows": len(s.times),
            "skipped": s.skipped,
            "stream": s.stream,
        }
        for s in sequences
    }
    return {
        "sequences": scores,
        **suites.as_data(scores),
        "mean": {name: _known(nan_mean(column)) for name, column in values.items()},
        "ci95": {name: bootstrap(column) for name, column in values.items()},
        "median": {name: _known(_median(column)) for name, column in values.items()},
    }


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.median(known)) if known else math.nan


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """The interval with 95 % of the means of as many values, drawn anew with replacement.

    The same values give the same interval. NaN is left out; None for fewer than two values.
    """
    known = [v for v in values if not math.isnan(v)]
    if len(known) < 2:
        return None
    rng = np.random.default_rng(seed)
    found = stats.bootstrap(
        (known,), np.mean, n_resamples=_DRAWS, method="percentile", random_state=rng
    )
    return [float(limit) for limit in found.confidence_interval]


def rows(data: dict[str, Any]) -> list[list[str]]:
    """The result as rows of cells, the header first; only measures that some sequence has.

    With two models each row of the first is followed by the other's; the difference comes last.
    """
    measures = known_measures(data)
    both = "compare" in data
    skips = any(scores["skipped"] for scores in data["sequences"].values())
    counts = ("windows", "skipped") if skips else ("windows",)
    header = ["sequence", *(["model"] if both else []), *measures, *counts]
    results = [(data.get("model", ""), data)]
    if both:
        results.append((data["compare"]["model"], data["compare"]))

    def line(name: str, model: str, cells: Iterable[str], *numbers: int) -> list[str]:
        ends = [str(n) for n in numbers] or [""] * len(counts)
        return [name, *([model] if both else []), *cells, *ends]

    lines = [header]
    for name in data["sequences"]:
        for model, result in results:
            scores = result["sequences"][name]
            cells = (_text(scores[m]) for m in measures)
            lines.append(line(name, model, cells, *(scores[count] for count in counts)))
    for model, result in results:
        scored = result["sequences"].values()
        cells = (_text(result["mean"][m]) for m in measures)
        totals = (sum(scores[count] for scores in scored) for count in counts)
        lines.append(line("mean", model, cells, *totals))
        if len(scored) > 1:
            cells = (_range(result["ci95"][m]) for m in measures)
            lines.append(line("95 % interval", model, cells))
            lines.append(line("median", model, (_text(result["median"][m]) for m in measures)))
    if both:
        found = data["compare"]
        model = f"{found['model']} - {data.get('model', '')}"
        cells = (_text(found["difference"][m], "+.3f") for m in measures)
        lines.append(line("difference", model, cells))
        if len(found["sequences"]) > 1:
            cells = (_range(found["difference_ci95"][m], "+.3f") for m in measures)
            lines.append(line("95 % interval", model, cells))
    return lines


def known_measures(data: dict[str, Any]) -> list[str]:
    """The measures that some sequence has, in order, without FACTS."""
    return [m for m, value in data["mean"].items() if value is not None and m not in FACTS]


def table(data: dict[str, Any], by_suite: bool = False, width: int | None = None) -> str:
    """The result as text, a line for each sequence or suite.

    Args:
        data: of as_data.
        by_suite: a line for each suite, where there are any.
        width: most characters of a line; the least important measures are left out. None: no limit.
    """
    by_suite = by_suite and "suites" in data
    lines = suites.rows(data) if by_suite else rows(data)
    if width is not None and not by_suite:
        lines = _fitting(lines, known_measures(data), width)
    widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]))]
    left = 2 if "compare" in data and not by_suite else 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in lines
    )


def _fitting(lines: list[list[str]], measures: list[str], width: int) -> list[list[str]]:
    """The columns that fit: all that are no measures, then measures by importance."""
    header = lines[0]
    widths = [2 + max(len(row[i]) for row in lines) for i in range(len(header))]
    kept = {i for i, name in enumerate(header) if name not in measures}
    for name in sorted(measures, key=lambda m: _FIRST.index(m) if m in _FIRST else len(_FIRST)):
        column = header.index(name)
        if sum(widths[i] for i in kept) + widths[column] - 2 <= width:
            kept.add(column)
    return [[cell for i, cell in enumerate(row) if i in kept] for row in lines]


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Writes the result as JSON.

    Raises:
        InputError: the file cannot be written.
    """
    write(path, json.dumps(data, indent=2) + "\n")


def write_csv(path: Path, data: dict[str, Any]) -> None:
    """Writes the result as CSV: a line a sequence and model, then `mean`, `median`, `ci95_..`.

    A measure that the ground truth does not tell is an empty cell.

    Raises:
        InputError: the file cannot be written.
    """
    text = io.StringIO()
    measures = list(data["mean"])
    columns = ["sequence", "model", "windows", "skipped", *measures]
    out = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    out.writeheader()
    for result in (data, *([data["compare"]] if "compare" in data else [])):
        model = result.get("model", "")
        for name, scores in result["sequences"].items():
            out.writerow({"sequence": name, "model": model, **scores})
        for name in ("mean", "median"):
            out.writerow({"sequence": name, "model": model, **result[name]})
        for side, place in (("low", 0), ("high", 1)):
            limits = {m: c[place] for m, c in result["ci95"].items() if c is not None}
            out.writerow({"sequence": f"ci95_{side}", "model": model, **limits})
    write(path, text.getvalue())


def write(path: Path, text: str) -> None:
    """Writes a text file, with its folder.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")  # names of files may be odd
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error


def _names(sequences: list[SequenceScores]) -> list[str]:
    """Every measure of any of the sequences, in order."""
    return list(dict.fromkeys(name for s in sequences for name in s.mean()))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _range(interval: Interval, form: str = ".2f") -> str:
    return "-" if interval is None else "..".join(format(limit, form) for limit in interval)
