"""The unit of a table's times, recognised by the rate of its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import MAX_TIME
from evlayerseg_ros.recordings.ticks import Wraps

UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
# Events a second and pixel of an average recording.
_PACE = 2.5
# No recording has fewer or more events a second and pixel, or lasts longer (s).
_SLOWEST, _FASTEST, _LONGEST = 1e-4, 300.0, 1e6
# Recordings shorter than the first (s) are rare, and all below the second equally so; those longer
# than the third are rare, too.
_SHORT, _SHORTEST, _LONG = 0.5, 0.05, 300.0
# No sensor's clock ticks more slowly than this (s).
_TICK = 2e-4
# Seconds from mask to mask, on average.
_MASK_STEP = 0.05
# So few events are no reason to refuse a file.
_FEW = 200
# A unit is beyond doubt if it is likelier than the next one by so many powers of ten.
_DOUBT = 1.5


class Unit(NamedTuple):
    """The unit of times, of UNITS, and another one that is nearly as likely, "" if none is."""

    name: str
    other: str = ""

    def told(self, documented: str) -> str:
        """What is assumed and how to state it, one clause; "" if the format documents that unit."""
        if self.other:
            return (
                f"its times are taken as {self.name} and may be {self.other} "
                f"(a column named t_{self.other} says so)"
            )
        return f"its times are taken as {self.name}" if self.name != documented else ""


def unit_of(
    stretches: Sequence[np.ndarray],
    size: tuple[int, int],
    usual: str,
    path: object,
    total: int,
    trust: float,
    said: str,
) -> Unit:
    """The unit of a table's times: the likeliest by the rate of events and the recording's length.

    Args:
        stretches: times [M] of some stretches of the table, each without gaps, in the table's unit.
        size: of the sensor, px.
        usual: the usual unit of such tables.
        path: of the file, for errors.
        total: about how many events the whole table has.
        trust: by how many powers of ten the usual unit is likelier than others beforehand.
        said: the unit that the table itself names, "" if none.

    Raises:
        InputError: these times make no sense in any unit, or hardly differ.
    """
    sorted_ = [np.sort(_times(t)) for t in stretches]
    n = sum(len(t) for t in sorted_)
    # The span by the middle 96 %: strays must not matter.
    span = sum(float(np.subtract(*np.quantile(t, (0.98, 0.02)))) for t in sorted_ if len(t)) / 0.96
    steps = np.concatenate([np.diff(t) for t in sorted_]) if n else np.empty(0)
    steps = steps[steps > 0]
    if n >= _FEW and (len(steps) <= len(sorted_) or not span > 0):
        raise InputError(
            f"{path}: the times of its events hardly differ: expected some that tell them apart, "
            "in float64 or int64 (float32 cannot hold seconds since 1970)."
        )
    if not len(steps) or not span > 0:
        return Unit(said or usual)
    tick = float(np.quantile(steps, 0.001))
    whole = all(np.issubdtype(t.dtype, np.integer) or np.all(t == np.rint(t)) for t in stretches)
    in_thousands = whole and np.mean(steps % 1000 == 0) > 0.99

    def pace(unit: str) -> float:
        return n / (span * UNITS[unit] * 1e-9) / (size[0] * size[1])

    def length(unit: str) -> float:
        return span * UNITS[unit] * 1e-9 * total / n

    def unlikely(unit: str) -> float:
        """How unlikely it is, in powers of ten."""
        far = abs(np.log10(pace(unit) / _PACE)) + _odd(length(unit))
        coarse = tick * UNITS[unit] * 1e-9 / _TICK
        far += 2 + np.log10(coarse) if coarse > 1 else 0
        if unit == "ns" and in_thousands:  # cameras' clocks count us
            far -= 3
        elif unit == "ns" or (unit == "us" and not whole):
            far += 0.5
        return float(far - trust * (unit == usual))

    if said and length(said) < _LONGEST:
        return Unit(said)
    possible = [u for u in UNITS if _SLOWEST <= pace(u) <= _FASTEST and length(u) < _LONGEST]
    if not possible and n >= _FEW:
        raise InputError(
            f"{path}: {n} events within {span:g} of whatever their times count make no sense in "
            f"s, ms, us or ns: expected {usual}."
        )
    best, *others = sorted(possible or UNITS, key=unlikely)
    doubt = [u for u in others if unlikely(u) < unlikely(best) + _DOUBT and length(u) > _SHORTEST]
    return Unit(best, doubt[0] if doubt and n >= _FEW else "")


def _times(t: np.ndarray) -> np.ndarray:
    """The times that tell anything, float64, unwrapped: finite ones, without zeros among others."""
    t = Wraps()(t[np.isfinite(t)].astype(np.float64))
    return t[t != 0] if np.any(t) else t


def _odd(length: float) -> float:
    """How rare a recording of that length (s) is, in powers of ten."""
    short = 3 * np.log10(_SHORT / max(length, _SHORTEST))
    return float(max(short, 0.5 * np.log10(length / _LONG), 0))


def unit_of_masks(t: np.ndarray) -> str:
    """The unit of the times of masks, [M]: ns, unless their steps make another far likelier.

    A single time is in s if it has a fraction.
    """
    return unit_by_steps(t, _MASK_STEP, "ns" if np.all(t == np.rint(t)) else "s", "ns")


def unit_by_steps(t: np.ndarray, usual_step: float, alone: str, usual: str) -> str:
    """The unit of times [M] that come every `usual_step` (s), more or less.

    Args:
        t: in any order.
        usual_step: s from one to the next, on average.
        alone: the unit if no two differ.
        usual: the documented unit; another one has to be likelier by a power of ten, or by two
            where s is documented and the times have fractions.
    """
    sure = 2 if usual == "s" and np.any(t != np.rint(t)) else 1
    steps = np.diff(np.unique(t[np.isfinite(t)].astype(np.float64)))
    if not len(steps):
        return alone
    step = float(np.median(steps)) * 1e-9
    far = {unit: abs(np.log10(step * ns / usual_step)) for unit, ns in UNITS.items()}
    return min(far, key=lambda unit: far[unit] - sure * (unit == usual))


def is_part(t: np.ndarray, unit: str) -> bool:
    """Whether times [N] stay below a second, but for strays: only such can be added to seconds."""
    return bool(np.mean(t * (UNITS[unit] * 1e-9) >= 1) < 0.01)


class Times:
    """Turns the times of a table to ns, one chunk after the other; ns in 32 bits go on past wraps.

    Args:
        unit, offset: as of to_ns.
    """

    def __init__(self, unit: str, offset: int = 0) -> None:
        self._unit, self._offset = unit, offset
        self._wraps = Wraps()

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """The next times in ns, int64 [N]."""
        if self._unit == "ns" and t.dtype.itemsize == 4 and t.dtype.kind in "iu":
            t = self._wraps(t.astype(np.int64))
        return to_ns(t, self._unit, self._offset)


def to_ns(t: np.ndarray, unit: str, offset: int | np.ndarray = 0) -> np.ndarray:
    """Times in ns, int64 [N]; impossible ones become MAX_TIME.

    Args:
        t: [N] in `unit`, any number type.
        unit: one of UNITS.
        offset: ns to be added, one for all or one each.
    """
    scale = UNITS[unit]
    if not np.issubdtype(t.dtype, np.integer):
        with np.errstate(over="ignore"):  # infinity is no time either
            t, scale = np.rint(t.astype(np.float64) * scale), 1
    sound = (t < MAX_TIME // 2 // scale) & (t > -MAX_TIME // 2 // scale)  # no NaN is
    return np.where(sound, np.where(sound, t, 0).astype(np.int64) * scale + offset, MAX_TIME)
