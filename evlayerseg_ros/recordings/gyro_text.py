"""A gyro's samples in a text file."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns, text
from evlayerseg_ros.recordings.text import is_comment
from evlayerseg_ros.recordings.units import is_part, to_ns, unit_by_steps

LINES = "lines `t x y z`, t in s as the events have it, turn rates in rad/s"
_STEP = 0.005  # seconds from one sample to the next, on the average
_GRAVITY = 9.81  # m/s^2
_FASTEST = 40.0  # rad/s, 2300 deg/s: what no gyro of a camera tells
# Names of columns: `gyroX`, `w_RS_S_x`, `wx`, `angular_velocity.x`, `gyro[0]`, `rx`, `roll_rate`;
# what is derived from rates is none.
_RATE = re.compile(
    r"^(?!.*(?:acc|bias|cov|dot|std)).*(?:(?:gyr\w*|\bw(?:_\w+)?|omega\w*|(?<![a-z])angular|"
    r"(?:(?<![a-z])ang(?:ular)?|rot(?:ation)?(?:al)?)[_\s]?(?:vel|rate|speed)\w*)"
    r"[_.\s-]?\[?(?P<axis>[xyz0-3])\]?|\b[gr][_.]?(?P<letter>[xyz])|"
    r"(?P<angle>roll|pitch|yaw)_?rate)$",
    re.I,
)
# What three rates are about, in the order of x, y, z.
_AXES = (["x", "y", "z"], ["roll", "pitch", "yaw"], ["0", "1", "2"], ["1", "2", "3"])
_AXIS = re.compile(r"[xyz]$|roll|pitch|yaw", re.I)
_TIME = re.compile(r"^(t|ts|secs?)\b|time|stamp|elapsed", re.I)
_BEHIND = re.compile(r"\s*[(\[](?![xyz0-3]\]).*|_(?:rad|deg|dps).*", re.I)  # a name's unit
_PER_S = r"(?:\s*/|[_\s]*per|[_\s])[_\s]*s(?:ec(?:onds?)?)?\b"
_UNITS = (
    rf"(?P<degrees>deg(?:rees?)?{_PER_S}|°\s*/\s*s|dps(?![a-z]))|(?P<radians>rad(?:ians?)?{_PER_S})"
)
# What stands before a unit: it is that of something else, as a range or a noise; what the rates
# were brought to; what they are in. With a `/` behind it, as of `rad/s/sqrt(Hz)`, it is none.
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
    """What a line of names says.

    Attributes:
        width: how many columns there are.
        times: the column of times and its unit, "" if it is not said; beside one of seconds maybe
            that of what is added to them.
        rates: those of turn rates about x, y, z; none if there are no three.
        heads: what is written above these.
    """

    width: int
    times: dict[int, str]
    rates: list[int]
    heads: str = ""


def read_samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a text file: times int64 [N], ns, and turn rates float64 [N, 3], rad/s.

    Lines are `t x y z`, t in s, rates in rad/s, or in deg/s where a comment (`#`) says `deg/s`; or
    `t ax ay az x y z` with accelerations, which are not used; or in the order that a line of names
    says. Commas, semicolons and tabs between them are as good as spaces. What is recognised by the
    numbers is told: times in ms, us or ns, rates in deg/s or before accelerations. So are lines
    that are no samples, which are left out.

    Raises:
        InputError: no such file, or it holds something else.
    """
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"Cannot read a gyro's samples from {path}: {error.strerror}.") from error
    comments = [line for line in lines if is_comment(line.encode())]
    table = [line for line in lines if line.strip() and not is_comment(line.encode())]
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
    (t, unit), *rest = named.times.items()
    if rest and not is_part(rows[:, rest[0][0]], rest[0][1]):
        (t, unit), *rest = rest
    rates, unit = rows[:, named.rates], unit or unit_by_steps(rows[:, t], _STEP, "s", "s")
    times = to_ns(np.floor(rows[:, t]) if rest else rows[:, t], unit)
    times += sum(to_ns(rows[:, k], its_unit) for k, its_unit in rest)
    if unit != "s":
        tell(path, f"its times are taken as {unit}")
    said = _units_in(named.heads) or _units_in("\n".join(heads)) or ["rad/s"]
    degrees = said[0] == "deg/s"
    if not degrees and np.quantile(np.abs(rates), 0.99) > _FASTEST:
        degrees = True
        tell(path, "its turn rates are taken as deg/s")
    elif other := next((unit for unit in said if unit != said[0]), ""):
        names = ", ".join(f"w{k}_{other.replace('/', '_')}" for k in "xyz")
        taken = f"its turn rates are taken as {said[0]} and may be {other}"
        tell(path, f"{taken} (columns named {names} say so)")
    return by_time(times, np.deg2rad(rates) if degrees else rates)


def _units_in(words: str) -> list[str]:
    """The units that words give turn rates, the surest first; several leave it open."""
    units = [unit for unit in _UNIT.finditer(words) if not unit["other"]]
    stated = [unit for unit in units if unit["to"]] + [unit for unit in units if unit["in"]]
    return ["deg/s" if unit["degrees"] else "rad/s" for unit in stated or units]


def _numbers(line: str) -> list[float] | None:
    """See text.numbers_in; a lone sign is no number here."""
    return text.numbers_in(line.encode(), signs=False)


def _names_in(head: str) -> _Named | None:
    """What a line says that names columns; None if it does not."""
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
    return _Named(len(fields), units, rates, " ".join(fields[k] for k in rates))


def _rows(table: list[str], width: int) -> np.ndarray:
    """The lines with so many numbers, [N, width]; a word among them is no number."""
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
    """The rows without names, and which columns are turn rates: the last ones, unless these weigh.

    Raises:
        InputError: there are none, or of another number of columns.
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
    return _Named(width, {0: ""}, rates), rows


def finite(samples: np.ndarray, source: object) -> np.ndarray:
    """Which samples [N, values] hold numbers only, bool [N]; how many do not is told."""
    sound: np.ndarray = np.isfinite(samples).all(1)
    if bad := np.count_nonzero(~sound):
        tell(source, f"{bad} of {len(sound)} samples are not finite and are left out")
    return sound


def by_time(t: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by rising times, none twice."""
    times, first = np.unique(t, return_index=True)
    return times, rates[first]


def tell(source: object, what: str) -> None:
    """Prints what was wrong or assumed, one clause."""
    print(f"evlayerseg: {source}: {what}.", file=sys.stderr)
