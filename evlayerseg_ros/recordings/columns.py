"""Which column of a table holds what, by its name or by its values."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings.rows import PAIRS, usual

# Names of columns, in lower case.
NAMES = {
    "x": ("x", "xs", "col", "cols", "column", "columns", "u", "horizontal"),
    "y": ("y", "ys", "row", "rows", "v", "vertical"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "time_stamp", "time_stamps"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on", "sign"),
}
# The unit behind a column's name: `timestamp (us)`, `t_ns`, `time in microseconds`.
_PREFIXES = {"s": "", "ms": "m|milli", "us": "u|micro", "ns": "n|nano"}
ANY_UNIT = "|".join(
    f"(?P<{unit}>{unit}|(?:{words})sec(?:ond)?s?{'|µs' * (unit == 'us')})"
    for unit, words in _PREFIXES.items()
)
_UNIT = re.compile(rf"(?:^|\s*[(\[]\s*|[_.]|\s(?:in\s)?)(?:{ANY_UNIT})\s*[)\]]?$")
# Words around a column's name: `event_x`, `events/x`, `pixel_x`, `x_coordinate`, `x [px]`.
_AROUND = re.compile(
    r"^(?:events?|ev|addr|pixel|field)[_/.]|[_\s](?:coord\w*|pos\w*|addr\w*|pixels?)$|\s*[(\[].*"
)
# More of them: `xpos`, `p_y`, `location.y`. Beside z, or without polarities, these are no pixels.
_WORDS = (
    r"pixel|px|p|pos|loc|location|coord|coordinate|addr|address|image|img|raw|idx|index|e(?=[_.])"
)
_PLACE = re.compile(rf"^(?:(?:{_WORDS})[_./\s-]?)?([xyz])(?:[_./\s-]?(?:{_WORDS}))?$")
_SIDE = re.compile(r"^(?:left|right)(?:_|$)|(?:^|_)(?:left|right)$|(?<=[a-z])_?[0-3]$")
# A column that tells several cameras.
_CAMERA = re.compile(r"cam(?:era)?(?:[_\s]?id)?|sensor[_\s]?id")
# Other names of polarities: `isOn`, `on_off`, `val`, `event_type`; not `motion` or `is_signal`.
_SIGN = re.compile(
    r"pol(?:ar\w*|s?$|[\W_])|^[psc]$|"
    r"^(?:is|event|ev|e)?[\W_]?(?:on|off|on[\W_]?off|sign|val|value|type|parity)(?:$|[\W_])"
)
# So many rows tell whether times that are not quite in order rise.
_MANY = 640
# Orders of columns in tables without names.
_ORDERS = ("txyp", "xytp", "xypt", "tpxy", "ptxy", "pxyt")


def by_names(names: Iterable[str], split: bool = False) -> dict[str, str] | None:
    """The names of the columns x, y, t and p of a table; None if x, y or t is missing.

    A unit behind a name, as in `timestamp (us)` or `t_us`, and `event_` before it do not matter.

    Args:
        names: of all columns.
        split: whether times may be in two columns, as in messages of ROS: then `t` holds seconds,
            and `n` what is added to them.

    Raises:
        InputError: times are in two columns, but may not be.
    """
    names = list(names)
    times = times_in(names)
    found = _found(names) | dict(zip("tn", times))
    if not {"x", "y", "t"} <= set(found):
        return None
    if len(times) == 2 and not split:
        raise InputError(f"Times are in two columns, {' and '.join(times)}: expected one, in ns.")
    return found


def by_lengths(
    lengths: Mapping[str, int], names: Iterable[str], split: bool = False
) -> dict[str, str] | None:
    """As by_names, of columns that are of one length where there are such: the longest ones.

    Poses or boxes beside the events have x, y and t, too, but rarely polarities.

    Args:
        lengths: of the columns, by name; of what is no column, none.
        names, split: as of by_names.
    """
    every = by_names(names, split)
    for wanted in ("xytp", "xyt") if every else ():
        for n in sorted(set(lengths.values()), reverse=True):
            with contextlib.suppress(InputError):
                found = by_names((name for name in lengths if lengths[name] == n), split) or {}
                if {*wanted, *({"n"} & set(every or {}))} <= set(found):
                    return {k: v for k, v in (every or {}).items() if k == "p"} | found
    return every


def times_in(names: Iterable[str]) -> list[str]:
    """The column of times; or a column of seconds and one that may be added to it; or none."""
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
    """Which of x, y and t a table lacks by the names of its columns, between commas."""
    return ", ".join(sorted({"x", "y", "t"} - set(_found(names))))


def _found(names: Iterable[str]) -> dict[str, str]:
    return {column: aliases[0] for column, aliases in _aliases(names).items()}


def _aliases(names: Iterable[str]) -> dict[str, list[str]]:
    """All names of a column x, y, t or p, the likeliest first."""
    exact = {name: _UNIT.sub("", name.strip().lower()) for name in names}
    plain = {name: _AROUND.sub("", words) for name, words in exact.items()}
    places = {name: place[1] for name in plain if (place := _PLACE.search(plain[name]))}
    pixels = "z" not in places.values() and set(NAMES["p"]) & set(plain.values())
    found: dict[str, list[str]] = {}
    for column, aliases in NAMES.items():
        for alias in aliases:
            there = sorted((n for n in plain if plain[n] == alias), key=lambda n: exact[n] != alias)
            if there:
                found.setdefault(column, []).extend(there)
        if column not in found and column in places.values() and pixels:
            found[column] = [name for name, place in places.items() if place == column]
    return found


def settled(found: dict[str, str], rows: Mapping[str, np.ndarray]) -> tuple[dict[str, str], str]:
    """Columns by their values, where their names leave a doubt: of several times those that rise.

    Args:
        found: the columns by their names.
        rows: of all columns that are as long as x, by name: the first values, [N].

    Returns:
        The columns, and what is assumed of times and polarities, a clause; "" if nothing is.

    Raises:
        InputError: times fall, while what is named x, y or p rises as times do.
    """
    aliases, named, found = _aliases(rows), found, dict(found)
    if "n" not in found and (times := aliases.get("t")):
        found["t"] = _times_among(times, rows) or (found["t"] if found["t"] in rows else times[0])
    signs = aliases.get("p", [])
    if signs and not (found["p"] in rows and _fits_a_pair(rows[found["p"]])):
        found["p"] = next((name for name in signs if _is_pair(rows[name])), found["p"])
    changes = [(found[k], what) for k, what in (("t", "times"), ("p", "polarities"))
               if k in named and found[k] != named[k]]  # fmt: skip
    told = ", ".join(f"its {name} is taken as {what}" for name, what in changes)
    t = rows.get(found["t"], np.empty(0))
    there = [name for name in (found.get(column, "") for column in "xyp") if name in rows]
    for name in there if len(t) >= _MANY and falls(t) > 0.25 else ():
        if rises(rows[name]) and moves(rows[name]):
            raise InputError(
                f"Its column {found['t'].strip()} falls, and {name.strip()} rises as times do: "
                "expected the names in the order of the columns."
            )
    if "p" not in found:
        left = [n for n in rows if n not in found.values() and _SIGN.search(n.strip().lower())]
        signs = [name for name in left if _is_pair(rows[name])]
        found |= {"p": signs[0]} if len(signs) == 1 else {}
        clause = "it names no polarities: all events are taken as ON"
        clause = f"its {signs[0]} is taken as polarities" if len(signs) == 1 else clause
        told = f"{told}, {clause}" if told else clause
    return found, told


def check_camera(name: str, values: np.ndarray, n: int) -> None:
    """Refuses a column [N] that tells from which of several cameras each of n events came."""
    known = is_camera(name) and values.dtype.kind in "biufSU" and values.size == n
    if known and len(np.unique(values)) > 1:
        raise InputError(
            f"It holds events of several cameras, told by {name}: expected those of one."
        )


def of_another(names: Iterable[str]) -> list[str]:
    """The names that a second camera's events may have: `right`, `x_right`, `events_left`, `x1`."""
    usual = {"", "events", "event", *(alias for aliases in NAMES.values() for alias in aliases)}
    parts = {name: _SIDE.sub("", name.lower()) for name in names}
    return [name for name, part in parts.items() if part != name.lower() and part in usual]


def by_sides(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The columns of cameras that are part of their names, as left_x: by camera and plain name."""
    names = list(names)
    sides: dict[str, dict[str, str]] = {}
    for name in names if by_names(names, split=True) is None else ():
        if side := _SIDE.search(name.lower()):
            plain = name[: side.start()] + name[side.end() :]
            sides.setdefault(side[0].strip("_"), {})[plain] = name
    return {side: parts for side, parts in sides.items() if by_names(parts, split=True)}


def is_camera(name: str) -> bool:
    """Whether a column by its name tells from which camera an event came."""
    return _CAMERA.fullmatch(name.strip().lower()) is not None


def _is_pair(p: np.ndarray) -> bool:
    """Whether a column holds two values, which polarities may have."""
    return _fits_a_pair(p) and len(usual(p)) == 2


def _fits_a_pair(p: np.ndarray) -> bool:
    """Whether the values of a column are polarities; one value is enough."""
    values = set(usual(p)) if p.dtype.kind in "biuf" else set()
    return bool(values) and any(values <= set(pair) for pair in PAIRS)


def _times_among(names: list[str], rows: Mapping[str, np.ndarray]) -> str | None:
    """The first column that rises as times do, unless another tells far more times apart.

    One that counts events is the last choice.
    """
    sound = [
        name for name in names
        if rows[name].dtype.kind in "iuf"
        and (rises(rows[name]) or _rises_by_blocks(rows[name]))
    ]  # fmt: skip
    sound.sort(key=lambda name: len(rows[name]) > 1 and bool(np.all(np.diff(rows[name]) == 1)))
    distinct = {name: len(np.unique(rows[name])) for name in sound}
    return next((name for name in sound if 2 * distinct[name] >= max(distinct.values())), None)


def unit_in(name: str) -> str:
    """The unit in a column's name, of units.UNITS; "" if there is none."""
    found = _UNIT.search(name.strip().lower())
    return (found.lastgroup or "") if found else ""


def by_values(rows: np.ndarray) -> str | None:
    """The order of a table's columns, as in "txyp"; None if they fit none of the known orders.

    Args:
        rows: [N, 4], some rows of the table that follow each other. A few rows may fit several
            orders: then the first, `t x y p`, is taken.
    """
    rows = rows[np.isfinite(rows).all(1)]
    for rule in (rises, _rises_by_blocks):
        fits = []
        for order in _ORDERS if len(rows) else ():
            x, y, t, p = (rows[:, order.index(name)] for name in "xytp")
            # A few wrong ones do not matter.
            signs = any(np.mean(np.isin(p[:1000], pair)) > 0.99 for pair in PAIRS)
            if rule(t) and signs and np.all(np.median((x, y), 1) >= 0):
                fits.append((order, len(np.unique(t))))
        if fits:
            return fits[0][0] if rule is rises else max(fits, key=lambda fit: fit[1])[0]
    return None


def falls(t: np.ndarray) -> float:
    """The share of steps back in a column [N]; of a long one by the medians of 64 rows each."""
    n = len(t) // 64
    blocks = np.median(t[: n * 64].reshape(n, 64), 1) if n > 2 else t
    return float(np.mean(blocks[1:] < blocks[:-1])) if len(blocks) > 1 else 0.0


def rises(t: np.ndarray) -> bool:
    """Whether a column [N] rises as times do: from row to row, but for a few."""
    few = np.count_nonzero(t[1:] < t[:-1]) <= 0.05 * len(t)
    return bool(few and (len(t) < 50 or t[-1] > t[0] or _ends_above(t)))


def _rises_by_blocks(t: np.ndarray) -> bool:
    """Whether a column [N] rises though its times are not quite in order."""
    return len(t) >= _MANY and falls(t) <= 0.05 and _ends_above(t)


def _ends_above(t: np.ndarray) -> bool:
    """Whether the last 5 % of a column [N] lie above the first."""
    t = t[np.isfinite(t)]
    n = max(len(t) // 20, 1)
    return len(t) > 0 and bool(np.median(t[-n:]) > np.median(t[:n]))


def moves(t: np.ndarray) -> bool:
    """Whether a column [N] has as many values as times have."""
    return len(np.unique(t)) > 0.2 * len(t)
