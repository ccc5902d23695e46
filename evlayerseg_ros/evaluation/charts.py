"""Plots for the report, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = ("#2a6fb0", "#d9822b")
Series = Sequence[tuple[str, Sequence[float]]]

_STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8,
    "grid.color": "#dddddd",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "evlayerseg",  # the same figures give the same bytes
}


@matplotlib.rc_context(_STYLE)
def bars(names: Sequence[str], series: Series, label: str) -> str:
    """Horizontal bars from 0 to 1, a group for each name, which links to that sequence's section.

    Args:
        names: of the groups, top first.
        series: (name, values in the order of `names`, NaN for none), at most two.
        label: of the axis.
    """
    axes = _axes(0.5 + 0.13 * (len(series) + 1) * len(names))
    places, thick = np.arange(len(names)), 0.8 / len(series)
    for k, (_, values) in enumerate(series):
        drawn = axes.barh(places + k * thick, values, thick, color=COLORS[k])
        axes.bar_label(drawn, fmt="%.2f", padding=3)
    short = [name if len(name) <= 32 else f"..{name[-30:]}" for name in names]
    axes.set_yticks(places + (len(series) - 1) * thick / 2, short)
    for text, name in zip(axes.get_yticklabels(), names, strict=True):
        text.set_url(f"#{anchor(name)}")
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.2, -0.6), xlabel=label)
    axes.yaxis.grid(False)
    return _svg(axes)


@matplotlib.rc_context(_STYLE)
def lines(times: Sequence[float], series: Series, label: str) -> str:
    """Values from 0 to 1 over time in s; gaps where a value is NaN."""
    axes = _axes(1.7)
    for color, (_, values) in zip(COLORS, series, strict=False):
        axes.plot(times, values, "o-", color=color, markersize=3)
    axes.set(ylim=(0, 1.05), yticks=(0, 0.5, 1), xlabel=label)
    return _svg(axes)


@matplotlib.rc_context(_STYLE)
def histogram(series: Series, label: str) -> str:
    """How often each value occurs, up to the 99.5th percentile, with the medians marked."""
    axes = _axes(2.0)
    high = float(np.percentile(np.concatenate([v for _, v in series]), 99.5)) * 1.05 or 1.0
    for color, (_, values) in zip(COLORS, series, strict=False):
        axes.hist(values, bins=40, range=(0, high), color=color, alpha=0.6)
        middle = float(np.median(values))
        axes.axvline(middle, color=color, label=f"median {middle:.1f}")
    axes.set(xlim=(0, high), xlabel=label)
    axes.legend(frameon=False)
    return _svg(axes)


def anchor(name: str) -> str:
    """A sequence's name as the id of its section."""
    return "sequence-" + "".join(c if c.isalnum() else "-" for c in name)


def _axes(height: float) -> Axes:
    """Empty axes as wide as the page's pictures; height in inches."""
    return Figure((9.0, height), layout="constrained").subplots()


def _svg(axes: Axes) -> str:
    file = io.StringIO()
    assert isinstance(axes.figure, Figure)
    axes.figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue().partition("<!DOCTYPE")[2].partition(">")[2]
