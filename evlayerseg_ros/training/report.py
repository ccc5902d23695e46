"""What learning changed: windows that were held out, by the weights before and after.

There is no truth to compare with. Without one it can be told whether events become sharper along
the motions found, how much is called moving, and whether a window's answer, carried to the next
window, agrees with the answer there.
"""

from __future__ import annotations

import html
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Window
from evlayerseg_ros.outputs import pictures
from evlayerseg_ros.replay.video import side_by_side
from evlayerseg_ros.segmentation.segmentation import Segmentation
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.training.recordings import Source, parts_of

WINDOWS = 90  # of each recording, at most
ALL_WINDOWS = 400  # and of all together
FEWEST = 50  # events of a window that is judged
SHOWN = 2  # windows of each recording that are shown, those that changed most
MEASURES = {
    "fwl": "FWL, sharpness along the motions found: more is better, 1 is no motion",
    "rsat": "RSAT, timestamp loss along them: less is better, 1 is no motion",
    "moving": "share of the events called moving",
    "agreement": "IoU of what moves with the window before, carried along",
}
_STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:900px;margin:2em auto;color:#222}"
    "td,th{padding:2px 10px;text-align:right}td:first-child{text-align:left}img{max-width:100%}"
)


@dataclass
class Compared:
    """A recording by the weights before and after.

    Attributes:
        name: of the recording.
        windows: how many were judged.
        before, after: of each measure its value in each window, NaN where there is none.
        shown: the windows that changed most: share of the events whose label changed, picture.
    """

    name: str
    windows: int = 0
    before: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    shown: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def means(self) -> list[tuple[float, float]]:
        """Each measure's means before and after; NaN where there is none."""
        return [(_mean(self.before[name]), _mean(self.after[name])) for name in MEASURES]


def write_report(out: Path, before: Path, after: Path, held: Sequence[Source]) -> str:
    """Compares two models on windows that were held out.

    Args:
        out: folder, where report.html is written.
        before, after: model files.
        held: recordings, or parts of them, that nothing was learnt from.

    Returns:
        A table for a terminal.

    Raises:
        InputError: a model cannot be loaded.
    """
    both = [Segmenter.load(model, "cpu", track=True) for model in (before, after)]
    each = max(2, min(WINDOWS, ALL_WINDOWS // max(1, len(held))))
    compared = []
    for source in tqdm(held, desc="judging", unit="recording", disable=None):
        try:
            compared.append(_compare(source, both, each))
        except InputError as error:
            tqdm.write(f"{error} It is left out of the report.")
    lines = _table(compared)
    (out / "report.html").write_text(_page(compared, lines), "utf-8", "replace")
    return "\n".join("  ".join(cell.rjust(13) for cell in line) for line in lines)


def _compare(source: Source, both: Sequence[Segmenter], windows: int) -> Compared:
    """Two models on the windows of a recording."""
    result = Compared(source.path.name)
    for run in parts_of(source, windows):
        for segmenter in both:
            segmenter.forget()
        last: list[Segmentation | None] = [None, None]
        for window in run:
            found = [segmenter(window) for segmenter in both]
            if len(window.events) >= FEWEST:
                result.windows += 1
                for now, then, values in zip(
                    found, last, (result.before, result.after), strict=True
                ):
                    for name, value in measure(now, then).items():
                        values[name].append(value)
                _show(result, window, found)
            last = list(found)
    return result


def measure(found: Segmentation, before: Segmentation | None) -> dict[str, float]:
    """The measures of an answer, which need no truth.

    Args:
        found: of a window with events.
        before: of the window before, None if there was none.

    Returns:
        The measures of MEASURES; agreement is NaN where nothing moves in either window.
    """
    # Of a later room: imported only where the report is made.
    from evlayerseg_ros.evaluation.metrics import flow_warp_loss, iou, squared_timestamp_ratio

    events = found.window.events
    x, y = found.warp_events()
    agreement = math.nan
    if before is not None:
        carried, here = before.labels_at(found.window.end) > 0, found.labels > 0
        if carried.any() or here.any():
            agreement = iou(carried, here)
    return {
        "fwl": flow_warp_loss(events, x, y),
        "rsat": squared_timestamp_ratio(events, x, y),
        "moving": float(np.mean(found.event_labels > 0)),
        "agreement": agreement,
    }


def _show(result: Compared, window: Window, found: Sequence[Segmentation]) -> None:
    """Keeps a picture of the window if it is among those that changed most."""
    then, now = (segmentation.event_labels > 0 for segmentation in found)
    changed = float(np.mean(then != now))
    if len(result.shown) == SHOWN and changed <= min(share for share, _ in result.shown):
        return
    panels = {
        name: pictures.overlay(window.events, s.event_labels, s.labels)
        for name, s in zip(("before", "after"), found, strict=True)
    }
    caption = f"{result.name}   window that ends at {window.end * 1e-9:.3f} s"
    result.shown.append((changed, side_by_side(panels, caption)))
    result.shown = sorted(result.shown, key=lambda shown: -shown[0])[:SHOWN]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _table(compared: Sequence[Compared]) -> list[list[str]]:
    """Rows of cells: a header, a row for each recording, and their mean if there are several."""
    measures = (f"{name}{when}" for name in MEASURES for when in ("", " after"))
    lines = [["recording", "windows", *measures]]
    for one in compared:
        cells = (f"{value:.3f}" for pair in one.means() for value in pair)
        lines.append([one.name, str(one.windows), *cells])
    if len(compared) > 1:
        columns = zip(*(np.ravel(one.means()) for one in compared), strict=True)
        total = str(sum(one.windows for one in compared))
        lines.append(["mean", total, *(f"{_mean(column):.3f}" for column in columns)])
    return lines


def _page(compared: Sequence[Compared], lines: Sequence[Sequence[str]]) -> str:
    """The report as one page that needs no other file."""
    head, *rows = (
        "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
        for tag, line in zip(["th", *["td"] * len(lines)], lines)
    )
    body = "".join(f"<tr>{row}</tr>" for row in (head, *rows))
    meanings = "".join(f"<li>{name}: {html.escape(text)}.</li>" for name, text in MEASURES.items())
    figures = "".join(
        f'<figure><img alt="{html.escape(one.name, quote=True)}" '
        f'src="{pictures.as_source(picture)}">'
        f"<figcaption>{share:.1%} of the events have another label.</figcaption></figure>"
        for one in compared
        for share, picture in one.shown
    )
    return (
        f"<!doctype html><meta charset=utf-8><title>Before and after</title><style>{_STYLE}</style>"
        "<h1>Before and after, on what was held out</h1>"
        "<p>No truth is known here: a higher share of moving events is better only where "
        "something moves, which the pictures show.</p>"
        f"<table>{body}</table><ul>{meanings}</ul><h2>The windows that changed most</h2>{figures}"
    )
