"""What an evaluation says: a table for the terminal, JSON for programs, a page for people."""

from __future__ import annotations

import base64
import html
import json
import math
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.evaluation.evaluate import MEASURES, Score, SequenceScores, nan_mean
from evlayerseg_ros.inference import pictures

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd }}
th:first-child, td:first-child {{ text-align: left }}
tr.mean {{ font-weight: 600 }}
figure {{ margin: 1rem 0 }} img {{ max-width: 100%; display: block }}
figcaption, p {{ color: #444 }}
</style></head><body>
<h1>{title}</h1>
<p>{settings}</p>
{table}
<p>{legend}</p>
{figures}
</body></html>
"""

_LEGEND = (
    "iou and dr: of the moving pixels among those that saw an event, at the ground truth's time; "
    "event_iou and event_accuracy: of the events as moving or background; flow_error: px/s, mean "
    "over events; fwl: image sharpness, above 1 the motion sharpens; rsat: timestamp loss, below 1 "
    "the motion sharpens. A dash: the ground truth does not tell. The mean is over sequences."
)


def as_data(sequences: list[SequenceScores], settings: dict[str, Any]) -> dict[str, Any]:
    """The whole result as plain data: `sequences` by name, their `mean`, and the settings.

    A measure that the ground truth does not tell is None. The mean is over sequences.
    """
    return {
        "sequences": {
            s.name: {
                **{name: _known(value) for name, value in s.mean().items()},
                "windows": len(s.times),
                "skipped": s.skipped,
            }
            for s in sequences
        },
        "mean": {name: _known(nan_mean(s.mean()[name] for s in sequences)) for name in MEASURES},
        **settings,
    }


def table(data: dict[str, Any]) -> str:
    """The result as lines of text: a row a sequence, then the mean."""
    rows = _rows(data)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Writes the result as JSON.

    Raises:
        InputError: the file cannot be written.
    """
    _write(path, json.dumps(data, indent=2) + "\n")


def write_page(folder: Path, sequences: list[SequenceScores], data: dict[str, Any]) -> Path:
    """Writes one self-contained page, folder/index.html: the table, each sequence's best and worst.

    Raises:
        InputError: the folder cannot be written.
    """
    rows = [
        f"<tr{' class=mean' if row[0] == 'mean' else ''}>"
        + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        + "</tr>"
        for tag, row in zip(chain(["th"], repeat("td")), _rows(data), strict=False)
    ]
    settings = ", ".join(
        f"{key} {value}" for key, value in data.items() if key not in ("sequences", "mean")
    )
    figures = [
        _figure(sequence.name, which, score)
        for sequence in sequences
        for which, score in (("best", sequence.best), ("worst", sequence.worst))
        if score is not None
    ]
    page = _PAGE.format(
        title="Motion segmentation: evaluation",
        settings=html.escape(settings),
        table="<table>" + "\n".join(rows) + "</table>",
        legend=_LEGEND,
        figures="\n".join(figures),
    )
    path = folder / "index.html"
    _write(path, page)
    return path


def _rows(data: dict[str, Any]) -> list[list[str]]:
    header = ["sequence", *MEASURES, "windows"]
    rows = [
        [name, *(_text(scores[m]) for m in MEASURES), str(scores["windows"])]
        for name, scores in data["sequences"].items()
    ]
    windows = sum(scores["windows"] for scores in data["sequences"].values())
    return [header, *rows, ["mean", *(_text(data["mean"][m]) for m in MEASURES), str(windows)]]


def _figure(name: str, which: str, score: Score) -> str:
    picture = np.hstack([_panel(score, score.predicted), _panel(score, score.truth)])
    ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert ok
    source = base64.b64encode(png.tobytes()).decode()
    caption = f"{name}, {which} window, at {score.t * 1e-9:.3f} s: IoU {score.measures['iou']:.3f}"
    return (
        f'<figure><img alt="" src="data:image/png;base64,{source}">'
        f"<figcaption>{html.escape(caption)}. Left ours, right the ground truth.</figcaption>"
        "</figure>"
    )


def _panel(score: Score, mask: np.ndarray) -> np.ndarray:
    labels = mask.astype(np.uint8)
    events = score.window.events
    return pictures.overlay(events, labels[events.y, events.x], labels)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error
