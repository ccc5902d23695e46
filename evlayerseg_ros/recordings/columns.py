"""Which column of a table is which: by their names, or by what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.rows import PAIRS

# What the columns are called, in lower case.
NAMES = {
    "x": ("x", "xs", "col", "cols", "column", "columns", "u"),
    "y": ("y", "ys", "row", "rows", "v"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "time_stamp", "time_stamps"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on", "sign"),
}
# What follows a column's name as its unit: `timestamp (us)`, `t_ns`, `time in microseconds`.
_PREFIXES = {"s": "", "ms": "m|milli", "us": "u|micro", "ns": "n|nano"}
_ANY_UNIT = "|".join(
    f"(?P<{unit}>{unit}|(?:{words})sec(?:ond)?s?{'|µs' * (unit == 'us')})"
    for unit, words in _PREFIXES.items()
)
_UNIT = re.compile(rf"(?:^|\s*[(\[]\s*|[_.]|\s(?:in\s)?)(?:{_ANY_UNIT})\s*[)\]]?$")
# What stands around a column's name: `event_x`, `events/x`, `pixel_x`, `x_coordinate`, `x [px]`.
_AROUND = re.compile(
    r"^(?:events?|ev|addr|pixel|field)[_/.]|[_\s](?:coord\w*|pos\w*|addr\w*|pixels?)$|\s*[(\[].*"
)
# Orders that tables without names come in.
_ORDERS = ("txyp", "xytp", "xypt", "tpxy", "ptxy", "pxyt")


def by_names(names: Iterable[str], split: bool = False) -> dict[str, str] | None:
    """The name of each of x, y, t, p in a table; None if x, y or t is missing.

    A unit behind a name, as in `timestamp (us)` or `t_us`, and `event_` before it do not matter.

    Args:
        names: of all columns.
        split: whether times may be in two columns, as messages of ROS have them: then `t` is that
            of seconds, `n` that of what is added to them.

    Raises:
        InputError: times are in two columns, which they may not be.
    """
    names = list(names)
    times = times_in(names)
    found = _found(names) | dict(zip("tn", times))
    if not {"x", "y", "t"} <= set(found):
        return None
    if len(times) == 2 and not split:
        raise InputError(f"Times are in two columns, {' and '.join(times)}: expected one, in ns.")
    return found


def times_in(names: Iterable[str]) -> list[str]:
    """The column of times; or that of seconds and that of what may be added to them; or none."""
    names = list(names)
    halves: dict[str, dict[str | None, str]] = {}
    for name in names:
        unit = _UNIT.search(name.strip().lower())
        if unit and "sec" in unit[0]:
            halves.setdefault(unit.string[: unit.start()], {})[unit.lastgroup] = name
    times = _found(names).get("t")
    for _, half in sorted(halves.items()):
        if len(half) == 2 and "s" in half and times in (None, *half.values()):
            return [half.pop("s"), *half.values()]
    return [times] if times else []


def lacking(names: Iterable[str]) -> str:
    """Which of x, y, t no name in a table stands for, between commas."""
    return ", ".join(sorted({"x", "y", "t"} - set(_found(names))))


def _found(names: Iterable[str]) -> dict[str, str]:
    lower: dict[str, str] = {}
    for name in names:
        plain = _AROUND.sub("", _UNIT.sub("", name.strip().lower()))
        lower.setdefault(plain, name)
    found: dict[str, str] = {}
    for column, aliases in NAMES.items():
        for alias in aliases:
            if alias in lower:
                found.setdefault(column, lower[alias])
    return found


def unit_in(name: str) -> str:
    """The unit that a column's name says, of units.UNITS; "" if none."""
    found = _UNIT.search(name.strip().lower())
    return (found.lastgroup or "") if found else ""


def by_values(rows: np.ndarray) -> str | None:
    """The order of the columns of a table [N, 4], as in "txyp"; None if it has none of those.

    Args:
        rows: some rows of the table that follow each other; `t x y p` is what few rows are.
    """
    for order in _ORDERS if len(rows) else ():
        x, y, t, p = (rows[:, order.index(name)] for name in "xytp")
        rises = np.count_nonzero(t[1:] < t[:-1]) <= 0.05 * len(t) and (len(t) < 50 or t[-1] > t[0])
        # One that is wrong does not matter.
        signs = any(np.mean(np.isin(p[:1000], pair)) > 0.99 for pair in PAIRS)
        if rises and signs and np.all(np.median((x, y), 1) >= 0):
            return order
    return None
