"""Plots for the report, as SVG text: no library, and sharp at every size."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

COLORS = ("#2a6fb0", "#d9822b")
_GRID = "#dddddd"
_INK = "#444444"


def bars(names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], label: str) -> str:
    """Horizontal bars from 0 to 1, a group a name, each linking to #NAME.

    Args:
        names: of the groups, top first.
        series: (name, values in the order of `names`, NaN for none), at most two.
        label: of the axis.
    """
    row, left, width = 9 * len(series) + 9, 220, 460
    height = row * len(names)
    parts = [_x_axis(left, width, height, label)]
    for i, name in enumerate(names):
        y = i * row
        for k, (model, values) in enumerate(series):
            value = values[i]
            if math.isnan(value):
                continue
            parts.append(
                f'<rect x="{left}" y="{y + 4 + 9 * k}" width="{width * value:.1f}" height="8" '
                f'fill="{COLORS[k]}"><title>{html.escape(f"{name}, {model}: {value:.3f}")}</title>'
                "</rect>"
            )
            parts.append(_text(left + width * value + 5, y + 11 + 9 * k, f"{value:.2f}", "start"))
        short = name if len(name) <= 32 else f"..{name[-30:]}"
        target = html.escape(f"#{anchor(name)}", quote=True)
        parts.append(f'<a href="{target}">{_text(left - 8, y + row / 2 + 4, short, "end")}</a>')
    return _svg(left + width + 50, height + 34, parts)


def lines(times: Sequence[float], series: Sequence[tuple[str, Sequence[float]]], label: str) -> str:
    """Values from 0 to 1 over time in s; gaps where a value is NaN."""
    left, width, height = 40, 640, 120
    begin, end = min(times), max(times)
    span = max(end - begin, 1e-9)
    parts = []
    for value in (0, 0.5, 1):
        y = 8 + height * (1 - value)
        parts.append(_line(left, y, left + width, y))
        parts.append(_text(left - 6, y + 4, f"{value:g}", "end"))
    for k, (_, values) in enumerate(series):
        points = [
            None if math.isnan(v) else (left + width * (t - begin) / span, 8 + height * (1 - v))
            for t, v in zip(times, values, strict=True)
        ]
        parts += [
            f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="2" fill="{COLORS[k]}"/>'
            for p in points
            if p
        ]
        path = " ".join(
            f"{'L' if i and points[i - 1] else 'M'}{p[0]:.1f},{p[1]:.1f}"
            for i, p in enumerate(points)
            if p
        )
        parts.append(f'<path d="{path}" fill="none" stroke="{COLORS[k]}" stroke-width="1.5"/>')
    for x, t, place in ((left, begin, "start"), (left + width, end, "end")):
        parts.append(_text(x, height + 24, f"{t:.2f} s", place))
    parts.append(_text(left + width / 2, height + 24, label, "middle"))
    return _svg(left + width + 10, height + 30, parts)


def histogram(series: Sequence[tuple[str, Sequence[float]]], label: str) -> str:
    """How often each value occurs, up to the 99.5th percentile, with the medians marked."""
    left, width, height, n = 40, 640, 140, 40
    everything = np.concatenate([np.asarray(values, float) for _, values in series])
    low, high = 0.0, float(np.percentile(everything, 99.5)) * 1.05 or 1.0
    counts = [np.histogram(values, n, (low, high))[0] for _, values in series]
    top = max(int(c.max()) for c in counts) or 1
    parts = []
    for k, (name, values) in enumerate(series):
        for i, count in enumerate(counts[k]):
            tall = height * count / top
            parts.append(
                f'<rect x="{left + width * i / n:.1f}" y="{8 + height - tall:.1f}" '
                f'width="{width / n - 1:.1f}" height="{tall:.1f}" fill="{COLORS[k]}" '
                'fill-opacity="0.6"/>'
            )
        middle = left + width * (float(np.median(values)) - low) / (high - low)
        parts.append(_line(middle, 8, middle, 8 + height, COLORS[k]))
        parts.append(_text(middle + 4, 18 + 14 * k, f"median {np.median(values):.1f}", "start"))
        del name
    parts.append(_line(left, 8 + height, left + width, 8 + height))
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * share
        parts.append(_text(x, height + 24, f"{low + (high - low) * share:.0f}", "middle"))
    parts.append(_text(left + width / 2, height + 42, label, "middle"))
    return _svg(left + width + 20, height + 48, parts)


def anchor(name: str) -> str:
    """A sequence's name as the id of its section."""
    return "sequence-" + "".join(c if c.isalnum() else "-" for c in name)


def _x_axis(left: float, width: float, height: float, label: str) -> str:
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * value
        parts.append(_line(x, 0, x, height))
        parts.append(_text(x, height + 14, f"{value:g}", "middle"))
    return "".join(parts) + _text(left + width / 2, height + 30, label, "middle")


def _line(x0: float, y0: float, x1: float, y1: float, color: str = _GRID) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{color}"/>'


def _text(x: float, y: float, text: str, place: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{place}" fill="{_INK}">'
        f"{html.escape(text)}</text>"
    )


def _svg(width: float, height: float, parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" font-size="11" '
        f'font-family="system-ui, sans-serif" role="img">{"".join(parts)}</svg>'
    )
