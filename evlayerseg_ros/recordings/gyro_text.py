"""A gyro's samples in a text file."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns
from evlayerseg_ros.recordings.lines import is_comment, numbers_in
from evlayerseg_ros.recordings.units import is_part, to_ns, unit_by_steps

LINES = "lines `t x y z`, t in s as the events have it, turn rates in rad/s"
_STEP = 0.005  # seconds from one sample to the next, on the average
_GRAVITY = 9.81  # m/s^2
_FASTEST = 40.0  # rad/s, 2300 deg/s: no camera's gyro measures more
# Columns of rates: `gyroX`, `w_RS_S_x`, `wx`, `angular_velocity.x`, `gyro[0]`, `rx`, `roll_rate`;
# not what is derived from rates.
_RATE = re.compile(
    r"^(?!.*(?:acc|bias|cov|dot|std)).*(?:(?:gyr\w*|\bw(?:_\w+)?|omega\w*|(?<![a-z])angular|"
    r"(?:(?<![a-z])ang(?:ular)?|rot(?:ation)?(?:al)?)[_\s]?(?:vel|rate|speed)\w*)"
    r"[_.\s-]?\[?(?P<axis>[xyz0-3])\]?|\b[gr][_.]?(?P<letter>[xyz])|"
    r"(?P<angle>roll|pitch|yaw)_?rate)$",
    re.I,
)
# The axes of three rates, in the order x, y, z.
_AXES = (["x", "y", "z"], ["roll", "pitch", "yaw"], ["0", "1", "2"], ["1", "2", "3"])
_AXIS = re.compile(r"[xyz]$|roll|pitch|yaw", re.I)
_TIME = re.compile(r"^(t|ts|secs?)\b|time|stamp|elapsed", re.I)
_BEHIND = re.compile(  # a name's unit
    r"\s*[(\[](?![xyz0-3]\]).*|_(?:m?rad|m?deg|m?dps|rpm).*", re.I
)
_PER_S = r"(?:\s*/|[_\s]*per|[_\s])[_\s]*s(?:ec(?:onds?)?)?\b"
_UNITS = (
    rf"(?P<degrees>deg(?:rees?)?{_PER_S}|°\s*/\s*s|dps(?![a-z]))|(?P<radians>rad(?:ians?)?{_PER_S})|"
    rf"(?P<millidegrees>m(?:illi)?deg(?:rees?)?{_PER_S}|mdps(?![a-z]))|"
    rf"(?P<milliradians>m(?:illi)?rad(?:ians?)?{_PER_S})|(?P<turns>rpm(?![a-z]))"
)
# Their names, and what one is in rad/s.
_RADIANS = {
    "degrees": ("deg/s", np.pi / 180), "radians": ("rad/s", 1.0), "turns": ("rpm", np.pi / 30),
    "millidegrees": ("mdps", np.pi / 180_000), "milliradians": ("mrad/s", 1e-3),
}  # fmt: skip
# Before a unit stand words that make it another one's, as a range's or a noise's (`other`), or that
# say what the rates were converted to (`to`) or are in (`in`). `rad/s/sqrt(Hz)` is none.
_UNIT = re.compile(
    r"(?:(?P<other>\b(?:not|from)\s(?:in\s)?|(?<![\w.])[\d.]+\s?|"
    r"\b(?:range|noise|bias)(?:[^\w\n,;:.]+\w+){0,2}?[^\w\n,;:.]+)|"
    r"(?P<to>(?<!convert\s)(?<!conversion\s)\b(?:in)?to\s|(?:[-=]>|→)\s*)|"
    rf"(?P<in>\b(?:in|values?|units?)(?:\sare)?\W*))?(?<![a-z])(?:{_UNITS})(?!/)",
    re.I,
)
_SPLIT = re.compile("[,;\\t]")
_FIELDS = re.compile(r"[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?")  # between spaces, units included


class _Named(NamedTuple):
    """What a line of names says of a table.

    Attributes:
        width: number of columns.
        times: the column of times and its unit, "" if it says none; where that holds seconds, maybe
            also the column that is added to them.
        rates: the columns of turn rates about x, y, z; none unless there are three.
        heads: their names.
        accelerations: the columns of accelerations; none unless there are three.
    """

    width: int
    times: dict[int, str]
    rates: list[int]
    heads: str = ""
    accelerations: tuple[int, ...] = ()


def read_samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a text file: times int64 [N], ns, and turn rates float64 [N, 3], rad/s.

    Lines are `t x y z` or, with accelerations, which are not used, `t ax ay az x y z`; a line of
    names may say another order. Spaces, commas, semicolons or tabs lie between. t is in s; rates
    are in rad/s, or in deg/s, mdps, mrad/s or rpm where their names or a line of units below these
    say so, or in deg/s where a comment (`#`) does. By their size, times are recognised to be in ms,
    us or ns, rates to be in deg/s or to stand before accelerations; this is told. Lines that are no
    samples are left out, which is told, too.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"Cannot read a gyro's samples from {path}: {error.strerror}.") from error
    comments = [line for line in lines if is_comment(line.encode())]
    table = [line for line in lines if line.strip() and not is_comment(line.encode())]
    table[:2] = _with_units(table[:2])
    heads = [*comments, *table[:1]]
    found = [named for head in heads if (named := _names_in(head)) is not None]
    found.sort(key=lambda named: not named.rates)
    named, rows = next(((n, r) for n in found if len(r := _rows(table, n.width))), (None, None))
    if named is None or rows is None:
        named, rows = _unnamed(table, path)
    if not named.rates:
        raise InputError(f"{path} names no turn rates about three axes: expected {LINES}.")
    first = _numbers(table[0]) is None and not len(_rows(table[:1], named.width))
    if bad := len(table) - len(rows) - first:
        tell(path, f"{bad} of {len(table)} lines are no samples and are left out")
    rows = rows[finite(rows[:, [*named.times, *named.rates]], path)]
    if not len(rows):
        raise InputError(f"{path} holds values that are not finite: expected {LINES}.")
    _check_times(rows, next(iter(named.times)), path)
    (t, unit), *rest = named.times.items()
    if rest and not is_part(rows[:, rest[0][0]], rest[0][1]):
        (t, unit), *rest = rest
    rates, unit = rows[:, named.rates], unit or unit_by_steps(rows[:, t], _STEP, "s", "s")
    times = to_ns(np.floor(rows[:, t]) if rest else rows[:, t], unit)
    times += sum(to_ns(rows[:, k], its_unit) for k, its_unit in rest)
    if unit != "s":
        tell(path, f"its times are taken as {unit}")
    words = "\n".join(heads)
    said = _units_in(named.heads) or _units_in(words, common=True)
    said = said or ["rad/s", *["deg/s"] * _in_g(rows[:, list(named.accelerations)])]
    said += [] if _units_in(named.heads) else _units_in(words)
    factor = dict(_RADIANS.values())[said[0]]
    taken = said[0]
    if taken == "rad/s" and np.quantile(np.abs(rates), 0.99) > _FASTEST:
        factor, taken = np.pi / 180, "deg/s"
    other = next((unit for unit in said if unit not in (said[0], taken)), "")
    if other or taken != said[0]:
        names = ", ".join(f"w{k}_{other.replace('/', '_')}" for k in "xyz")
        maybe = f" and may be {other} (columns named {names} say so)" if other else ""
        tell(path, f"its turn rates are taken as {taken}{maybe}")
    return by_time(times, rates * factor)


def _check_times(rows: np.ndarray, k: int, path: Path) -> None:
    """Refuses samples [N, values] whose column k of times falls while another rises."""
    if len(rows) < 50 or columns.falls(rows[:, k]) <= 0.25:
        return
    for other in range(rows.shape[1]):
        if columns.rises(rows[:, other]) and columns.moves(rows[:, other]):
            raise InputError(
                f"{path}: column {k + 1}, taken for times, falls, and column {other + 1} rises as "
                f"times do: expected {LINES}, or a first line that names them (t, gx, gy, gz, ..)."
            )


def _in_g(accelerations: np.ndarray) -> bool:
    """Whether accelerations [N, 3] are in g: then rates often are in deg/s. Of none: no."""
    norms = np.linalg.norm(accelerations, axis=1)
    return bool(abs(np.median(norms) - 1) < 0.1)


def _units_in(words: str, common: bool = False) -> list[str]:
    """The units of turn rates in some words, the surest first; of common ones only rad/s, deg/s."""
    units = [unit for unit in _UNIT.finditer(words) if not unit["other"]]
    units = [unit for unit in units if not common or unit["degrees"] or unit["radians"]]
    stated = [unit for unit in units if unit["to"]] + [unit for unit in units if unit["in"]]
    return [name for unit in stated or units for k, (name, _) in _RADIANS.items() if unit[k]]


def _numbers(line: str) -> list[float] | None:
    """See lines.numbers_in; but words for polarities, as a lone sign, are no numbers."""
    return numbers_in(line.encode(), signs=False)


def _names_in(head: str) -> _Named | None:
    """What a line of names says; None if it is no such line."""
    fields = _FIELDS.findall(head.lstrip("#% "))
    if _SPLIT.search(head):
        fields = [field.strip() for field in _SPLIT.split(head.strip("#% "))]
        fields[0] = fields[0].rsplit(": ", 1)[-1]
    plain = [_BEHIND.sub("", field) for field in fields]
    for k in range(1, len(plain)):
        if plain[k].lower() in _AXES[0] and re.search(r"\s[xyz]$", plain[k - 1], re.I):
            plain[k] = plain[k - 1][:-1] + plain[k]  # `gyro x, y, z`
    named = [(k, found) for k, field in enumerate(plain) if (found := _RATE.search(field))]
    where = {found[found.lastgroup or 0].lower(): k for k, found in named}
    known = (axes for axes in _AXES if len(named) == 3 and set(axes) == set(where))
    rates = [where[axis] for axis in next(known, [])]
    if not named and [field.lower() for field in plain[-3:]] == _AXES[0]:
        rates = list(range(len(fields)))[-3:]
    times = columns.times_in(fields) or [field for field in fields if _TIME.search(field)][:1]
    axes = [field for field in plain if _AXIS.search(field)]
    if len(fields) < 4 or not (rates or (times and len(axes) >= 3)):
        return None
    times = times or [field for k, field in enumerate(fields) if k not in rates][:1]
    units = {fields.index(t): columns.unit_in(t) for t in times}
    accelerations = [k for k, field in enumerate(plain) if re.search("acc", field, re.I)]
    return _Named(
        len(fields), units, rates, " ".join(fields[k] for k in rates),
        tuple(accelerations) if len(accelerations) == 3 else (),
    )  # fmt: skip


def _with_units(lines: list[str]) -> list[str]:
    """The first two lines of a table; a line of units below one of names goes into that."""
    names, *below = (_SPLIT.split(line) for line in lines) if lines else [[]]
    units = below[0] if below else []
    words = len(names) == len(units) > 3 and _numbers(lines[0]) is None
    if not words or any(_numbers(unit) for unit in units) or not _units_in(lines[1]):
        return lines
    return [",".join(f"{name} [{unit.strip(' ()[]')}]" for name, unit in zip(names, units))]


def _rows(table: list[str], width: int) -> np.ndarray:
    """The lines with so many numbers, [N, width]; NaN for a word among them."""
    rows = []
    for line in table:
        numbers = _numbers(line)
        words = re.split("[;\t]" if re.search("[;\t]", line) else ",", line)
        if (numbers is None or len(numbers) != width) and len(words) == width:
            numbers = [n[0] if (n := _numbers(w.replace(",", "."))) else np.nan for w in words]
        if numbers is not None and len(numbers) == width and not np.isnan(numbers).all():
            rows.append(numbers)
    return np.array(rows, float).reshape(-1, width)


def _unnamed(table: list[str], path: Path) -> tuple[_Named, np.ndarray]:
    """The rows of a table without names, and its columns.

    The last three are turn rates, unless these hold gravity.

    Raises:
        InputError: there are no rows, or they have another number of columns.
    """
    read = [numbers for line in table if (numbers := _numbers(line))]
    if not read:
        what = "something else than numbers" if table else "no samples"
        raise InputError(f"{path} holds {what}: expected {LINES}.")
    width = Counter(map(len, read)).most_common(1)[0][0]
    if width not in (4, 7):
        raise InputError(
            f"{path} has {width} columns: expected {LINES}, or a first line that names them "
            "(t, gx, gy, gz, ..)."
        )
    rows, rates = np.array([row for row in read if len(row) == width]), [-3, -2, -1]
    if width == 7:
        first, last = (np.median(np.linalg.norm(rows[:, k : k + 3], axis=1)) for k in (1, 4))
        if abs(last - _GRAVITY) < 1 < abs(first - _GRAVITY):
            tell(path, "its last columns are taken as accelerations, since they hold gravity")
            rates = [1, 2, 3]
    others = [k for k in range(1, width) if k - width not in rates and k not in rates]
    return _Named(width, {0: ""}, rates, "", tuple(others)), rows


def finite(samples: np.ndarray, source: object) -> np.ndarray:
    """Which samples [N, values] hold finite numbers only, bool [N]; how many do not is told."""
    sound: np.ndarray = np.isfinite(samples).all(1)
    if bad := np.count_nonzero(~sound):
        tell(source, f"{bad} of {len(sound)} samples are not finite and are left out")
    return sound


def by_time(t: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times [N] and rates sorted by time; of equal times the first stays."""
    times, first = np.unique(t, return_index=True)
    return times, rates[first]


def tell(source: object, what: str) -> None:
    """Prints what is wrong with a source, or was assumed: one clause."""
    print(f"evlayerseg: {source}: {what}.", file=sys.stderr)
