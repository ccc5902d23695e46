"""The scores of suites: sequences whose names differ in their last number only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evlayerseg_ros.simulation.suites import SUITES

COLUMNS = {
    "event_iou": "event_iou",
    "det": "event_dr",
    "object_iou": "object_iou",
    "false_alarms": "event_false_alarms",
    "id_switches": "id_switches",
    "id_kept": "id_kept",
}
"""The columns of the table, and the measure that each is the mean of."""

_NAME = 22  # characters
Row = dict[str, float | None]


def suite_of(name: str) -> str:
    """A sequence's name without the number at its end: one_small of one_small0.

    Simulated suites whose own names end in a number keep it: sensor_128 of sensor_1280.
    """
    known = (suite for suite in SUITES if re.fullmatch(re.escape(suite) + r"\d+", name))
    return next(known, re.sub(r"\d+$", "", name) or name)


def as_data(sequences: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The scores of the suites.

    Args:
        sequences: the measures of each by its name, None where unknown.

    Returns:
        `suites`, by name: the number of `sequences`, and each of COLUMNS, its mean over those where
        it is known, else None; `suites_mean`, the mean over suites. Nothing if some sequence has no
        true labels of its events, or no suite has two sequences.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, scores in sequences.items():
        groups.setdefault(suite_of(name), []).append(scores)
    if len(groups) == len(sequences):
        return {}
    if any(scores.get("event_accuracy") is None for scores in sequences.values()):
        return {}
    suites: dict[str, Row] = {
        name: {
            "sequences": len(group),
            **{column: _mean(s.get(m) for s in group) for column, m in COLUMNS.items()},
        }
        for name, group in groups.items()
    }
    mean = {column: _mean(row[column] for row in suites.values()) for column in COLUMNS}
    return {"suites": suites, "suites_mean": mean}


def rows(data: Mapping[str, Any]) -> list[list[str]]:
    """The suites as rows of cells, the header first and their mean last.

    With two models the other's rows follow under its name; the difference comes last.

    Args:
        data: of results.as_data, with `suites`.
    """
    lines = [["suite", "sequences", *COLUMNS]]
    both = data.get("compare")
    for result in (data, both) if both else (data,):
        if both:
            lines.append([_short(str(result.get("model", ""))), *[""] * (len(COLUMNS) + 1)])
        for name, row in result["suites"].items():
            lines.append([_short(name), str(row["sequences"]), *_cells(row)])
        total = sum(row["sequences"] for row in result["suites"].values())
        lines.append(["mean", str(total), *_cells(result["suites_mean"])])
    if both:
        pairs = ((c, data["suites_mean"][c], both["suites_mean"][c]) for c in COLUMNS)
        gaps = {c: None if a is None or b is None else b - a for c, a, b in pairs}
        lines.append(["difference", "", *_cells(gaps, "+.3f")])
    return lines


def _cells(row: Mapping[str, Any], form: str = ".3f") -> list[str]:
    return ["-" if row[c] is None else format(row[c], form) for c in COLUMNS]


def _short(name: str) -> str:
    return name if len(name) <= _NAME else "…" + name[1 - _NAME :]


def _mean(values: Any) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
