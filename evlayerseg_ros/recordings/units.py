"""The unit of a table's times, recognised by how fast events come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import MAX_TIME

UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
# Events a second and pixel that recordings have on the average: a quiet room, and a wild ride.
_SLOWEST, _FASTEST = 3e-3, 100.0
# No sensor's clock ticks more slowly than this (ns).
_TICK = 200_000
# Fewer events than this say nothing about the unit.
_FEW = 200


def unit_of(
    stretches: Sequence[np.ndarray], size: tuple[int, int], usual: str, path: object
) -> str:
    """The unit of a table's times.

    Args:
        stretches: times [M] of some stretches of the table without gaps, in the table's unit.
        size: of the sensor, px.
        usual: what the format documents; believed where it can be true.
        path: of the file, for the sentence.

    Raises:
        InputError: no unit makes sense of these times.
    """
    sorted_ = [np.sort(t[np.isfinite(t)].astype(np.float64)) for t in stretches]
    n = sum(len(t) for t in sorted_)
    # Strays do not matter to the span: it is that of the middle 96 %.
    span = sum(float(np.subtract(*np.quantile(t, (0.98, 0.02)))) for t in sorted_ if len(t)) / 0.96
    steps = np.concatenate([np.diff(t) for t in sorted_]) if n else np.empty(0)
    steps = steps[steps > 0]
    if n < _FEW or not len(steps) or not span > 0:
        return usual
    tick = float(np.quantile(steps, 0.05))

    def pace(unit: str) -> float:
        return n / (span * UNITS[unit] * 1e-9) / (size[0] * size[1])

    by_pace = [unit for unit in UNITS if _SLOWEST <= pace(unit) <= _FASTEST]
    likely = [unit for unit in by_pace if tick * UNITS[unit] <= _TICK]
    for units in (likely, by_pace):
        if usual in units:
            return usual
        if units:
            return min(units, key=lambda unit: abs(np.log(pace(unit))))
    raise InputError(
        f"{path}: {n} events within {span:g} of whatever their times count make no sense in s, ms, "
        f"us or ns: expected {usual}."
    )


def to_ns(t: np.ndarray, unit: str, offset: int = 0) -> np.ndarray:
    """Times in ns, int64 [N]; impossible ones become MAX_TIME.

    Args:
        t: [N] in `unit`, any number type.
        unit: one of UNITS.
        offset: ns, added.
    """
    scale = UNITS[unit]
    if not np.issubdtype(t.dtype, np.integer):
        with np.errstate(over="ignore"):  # what is beyond all numbers is no time either
            t, scale = np.rint(t.astype(np.float64) * scale), 1
    sound = (t < MAX_TIME // 2 // scale) & (t > -MAX_TIME // 2 // scale)  # no NaN is
    return np.where(sound, np.where(sound, t, 0).astype(np.int64) * scale + offset, MAX_TIME)
