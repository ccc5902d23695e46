"""The unit of a table's times, recognised by how fast events come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import MAX_TIME

UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
# What recordings have on the average: events a second and pixel, and seconds.
_PACE, _LENGTH = 0.5, 20.0
# Events a second and pixel, and seconds, that none has: a sensor in the dark, one that burns.
_SLOWEST, _FASTEST, _LONGEST = 1e-4, 300.0, 1e6
# No sensor's clock ticks more slowly than this (s).
_TICK = 2e-4
# Fewer events than this do not refuse a file.
_FEW = 200


def unit_of(
    stretches: Sequence[np.ndarray],
    size: tuple[int, int],
    usual: str,
    path: object,
    total: int | None = None,
    trust: float = 1.0,
    said: str = "",
) -> str:
    """The unit of a table's times: the likeliest by how fast the events come and for how long.

    Args:
        stretches: times [M] of some stretches of the table without gaps, in the table's unit.
        size: of the sensor, px.
        usual: what the format documents.
        path: of the file, for the sentence.
        total: events in the whole table, about; None: those in the stretches.
        trust: in how many powers of ten the usual unit is likelier than others.
        said: what the table itself calls its unit, "" if it does not.

    Raises:
        InputError: no unit makes sense of these times.
    """
    sorted_ = [np.sort(t[np.isfinite(t)].astype(np.float64)) for t in stretches]
    n = sum(len(t) for t in sorted_)
    # Strays do not matter to the span: it is that of the middle 96 %.
    span = sum(float(np.subtract(*np.quantile(t, (0.98, 0.02)))) for t in sorted_ if len(t)) / 0.96
    steps = np.concatenate([np.diff(t) for t in sorted_]) if n else np.empty(0)
    steps = steps[steps > 0]
    if not len(steps) or not span > 0:
        return said or usual
    tick = float(np.quantile(steps, 0.05))
    in_thousands = (
        all(np.issubdtype(t.dtype, np.integer) or np.all(t == np.rint(t)) for t in stretches)
        and np.mean([np.mean(t % 1000 == 0) for t in sorted_ if len(t)]) > 0.99
    )

    def pace(unit: str) -> float:
        return n / (span * UNITS[unit] * 1e-9) / (size[0] * size[1])

    def length(unit: str) -> float:
        return span * UNITS[unit] * 1e-9 * (total or n) / n

    def unlikely(unit: str) -> float:
        """In powers of ten."""
        far = abs(np.log10(pace(unit) / _PACE)) + 0.5 * abs(np.log10(length(unit) / _LENGTH))
        coarse = tick * UNITS[unit] * 1e-9 / _TICK
        far += 2 + np.log10(coarse) if coarse > 1 else 0
        return float(far - trust * (unit == usual) - 3 * (unit == "ns" and in_thousands))

    if said and length(said) < _LONGEST:
        return said
    possible = [u for u in UNITS if _SLOWEST <= pace(u) <= _FASTEST and length(u) < _LONGEST]
    if possible or n < _FEW:
        return min(possible or UNITS, key=unlikely)
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
