"""How large a sensor is: as a header states or implies, or as its events show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.events.types import MAX_SIDE
from evlayerseg_ros.recordings.beside import words_of

# Known sensors, the smallest first: a file without a size is taken to come from one of them.
SENSORS = (
    (128, 128), (240, 180), (304, 240), (320, 240), (320, 320), (346, 260),
    (640, 480), (640, 512), (1280, 720),
)  # fmt: skip
# If more than this share of the events lies outside a sensor, it was a larger one.
_STRAY_SHARE = 1e-3

_GEN3 = ("evt2", (640, 480))
_GEN4 = ("evt3", (1280, 720))
# Encoding and size by Prophesee's system_ID (OpenEB, hal_psee_plugins).
_SYSTEMS = {
    **dict.fromkeys(range(0x08, 0x10), ("evt2", (304, 240))),
    **dict.fromkeys((0x14, 0x15, 0x17, 0x19, 0x1C, 0x1D, 0x21, 0x22, 0x23, 0x29), _GEN3),
    0x1A: ("evt2", (1280, 720)),
    0x28: ("evt3", (640, 480)),
    **dict.fromkeys((0x1E, 0x1F, 0x20, 0x27, 0x2E, 0x30, 0x31, 0x32, 0x35, 0x3A), _GEN4),
    **dict.fromkeys((0x34, 0x36), ("evt3", (640, 512))),
    **dict.fromkeys((0x3B, 0x40), ("evt3", (320, 320))),
}
# Sizes by other words of headers: plug-ins, sensor names and generations, chips.
_WORDS = (
    (r"genx320|gen_?x320|generation 320", (320, 320)),
    (r"imx63[67]hd|imx636|imx646|gen_?4\S*", (1280, 720)),
    (r"imx637|imx647", (640, 512)),
    (r"gen_?3\S*", (640, 480)),
    (r"generation 1", (304, 240)),
    (r"generation [23]", (640, 480)),
    (r"generation 4", (1280, 720)),
    (r"dvs128|davis128", (128, 128)),
    (r"davis240|dvs240", (240, 180)),
    (r"davis346|dvs346|mini346", (346, 260)),
    (r"dvxplorer.?lite", (320, 240)),
    (r"davis640|dvxplorer|dvs640", (640, 480)),
    (r"dvs132", (132, 104)),
    (r"atis|gen_?1\S*", (304, 240)),
)
# Words before the name of a size, and in a file of arrays the names of widths, heights and pairs.
_OF = ("", "sensor_", "image_", "img_", "im_", "frame_", "camera_")
_SIDES = (
    ("width", "height"), ("res_x", "res_y"), ("w", "h"),
    ("resolution_x", "resolution_y"), ("num_cols", "num_rows"), ("cols", "rows"),
)  # fmt: skip
_PAIRS = ("size", "geometry", "resolution", "shape", "dims", "res")
# Those of sensors; others may be of a frame camera or a patch.
_SURE = (
    *("sensor_size", "sensor_resolution", "sensor_width", "sensor_height"),
    *("geometry", "resolution", "width", "height"),
)
# What states a size in a file of arrays has one of these names, in any writing.
_NAMES = {of + name for of in _OF for name in (*_PAIRS, *sum(_SIDES, ()))}
# A size in a line of a header.
_SIZES = (
    re.compile(r"\b(?:geometry|resolution|size)[\s:=(]+(\d+)\s*[x*, ]\s*(\d+)", re.I),
    re.compile(r"^[^\w\n]*(\d+) *[x*] *(\d+)[^\w\n]*$", re.I | re.M),
)
# What may be one, too, if it is a known sensor's.
_BEFORE = rf"\b(?:{'|'.join(_OF)})"
_BY = r"\s*(?:[x*×]|\xc3\x97|\bby\b)\s*"  # the second is UTF-8's ×, read as Latin-1
_OTHERS = (
    re.compile(
        rf"{_BEFORE}(?:geometry|resolution|size)[\s:=(\[]+(\d+)(?:{_BY}|\s*[, ]\s*)(\d+)", re.I
    ),
    re.compile(rf"^[^\w\n]*(?:(?:sensor|camera)[\s:=]+)?(\d+){_BY}(\d+)[^\w\n]*$", re.I | re.M),
)
_HEIGHT_FIRST = re.compile(r"height\W{1,3}width\W+(\d+)\W+(\d+)", re.I)
# Encodings of Prophesee's sensors by their size, where the header does not say it.
_ENCODINGS = {(304, 240): "evt2", (640, 480): "evt2", (640, 512): "evt3", (1280, 720): "evt3"}


class Implied(NamedTuple):
    """What a header implies: encoding, "" if none, and size in px, None if none."""

    encoding: str
    size: tuple[int, int] | None


def implied_by(header: str) -> Implied:
    """What a header implies by the sensor that it names."""
    found = re.search(r"(?<!sub)system_?id\D{1,3}(\d+)", header, re.IGNORECASE)
    if found and (int(found[1]) & 0x7F) in _SYSTEMS:
        return Implied(*_SYSTEMS[int(found[1]) & 0x7F])
    text = re.sub(r"sensor_", "", header.lower())
    for line in text.splitlines():
        if re.match(r"(plugin_name|name|generation|aechip|source|device|sensor|camera)", line):
            for word, size in _WORDS:
                if re.search(word, line):
                    return Implied(_ENCODINGS.get(size, ""), size)
    return Implied("", None)


def smallest(x: np.ndarray, y: np.ndarray) -> tuple[int, int]:
    """The smallest known sensor that holds all events but a few strays.

    Args:
        x, y: [N] px, of some or all events.

    Returns:
        Its size; where no known sensor is large enough, the extent of the events.
    """
    for size in SENSORS:
        if holds(size, x, y):
            return size
    near = (x >= 0) & (x < MAX_SIDE) & (y >= 0) & (y < MAX_SIDE)
    if 0.9 < np.mean(near) < 1:  # damaged ones tell nothing
        return smallest(x[near], y[near])
    return max(int(x.max()) + 1, 1), max(int(y.max()) + 1, 1)


def counts_from_1(x: np.ndarray, y: np.ndarray, size: tuple[int, int], sure: bool) -> bool:
    """Whether x and y (px), on a sensor of that size, reach from 1 to its last column and row.

    A size that is not sure has to be a known sensor's.
    """
    reach = bool(np.any(x == size[0]) and np.any(y == size[1])) and holds(size, x - 1, y - 1)
    return reach and not np.any((x == 0) | (y == 0)) and (sure or size in SENSORS)


def holds(size: tuple[int, int], x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a sensor may have that size (px) and all events but a few strays lie on it."""
    outside = np.count_nonzero((x < 0) | (x >= size[0]) | (y < 0) | (y >= size[1]))
    # Rows of zeros may be space that was never filled.
    return max(size) <= MAX_SIDE and outside <= _STRAY_SHARE * np.count_nonzero((x != 0) | (y != 0))


class Pair(tuple[int, int]):
    """A size (px) of two numbers, of which some programs write the height first."""


def turned(size: tuple[int, int], x: np.ndarray, y: np.ndarray) -> tuple[int, int]:
    """A size (px); width and height exchanged if only so it holds these events.

    A Pair that stands upright is exchanged, too, if so it is a known sensor's that holds them.
    """
    upright = isinstance(size, Pair) and size[0] < size[1] and size[::-1] in SENSORS
    return size[::-1] if (upright or not holds(size, x, y)) and holds(size[::-1], x, y) else size


def no_px(x: np.ndarray, y: np.ndarray, size: tuple[int, int] | None) -> str:
    """Why x and y [N] of events, finite, are no px of a sensor, one clause; "" if they may be.

    With a stated size (px) those that are negative are taken to lie outside.
    """
    whole = (x == np.rint(x)) & (y == np.rint(y))
    if np.mean((x <= 1) & (y <= 1)) > 0.99 and np.mean(whole) < 0.5:
        return "its x and y are fractions of the sensor"
    ends = np.percentile([x, y], (1, 99), axis=1)
    if not size and np.any((ends[0] < -1) & (np.abs(ends.sum(0)) < 0.1 * (ends[1] - ends[0]))):
        return "many of its x or y are negative, as if they began in the middle of the sensor"
    return ""


def is_name(name: str) -> bool:
    """Whether a value of that name in a file of arrays may state a size."""
    return _plain(name) in _NAMES


def _plain(name: str) -> str:
    """A name as of _NAMES: sensorSize is sensor_size."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])| ", "_", name).lower()


def stated(values: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
    """The size (width, height) in px that named values of a file state; None if none does.

    `size` is believed as it stands. What other names state has to hold the events, and what no name
    of a sensor's size states has to be a known sensor's. The name of a sensor or camera states one,
    too.

    Args:
        values: by name: numbers, pairs of them or text as 640x480; 0 says nothing.
        x, y: px, of some events.

    Returns:
        A Pair where it may be the height that comes first.
    """
    if sides := _sides(values.get("size")):
        return sides
    found = _holding({name: values[name] for name in _SURE if name in values}, x, y)
    plain = {_plain(name): value for name, value in values.items()}
    found += filter(_is_known, _holding(plain, x, y))
    lines = (f"{name}: {word}" for name, value in plain.items() for word in words_of(value))
    named = implied_by("\n".join(lines)).size
    found += [named] if named and holds(named, x, y) else []
    return found[0] if found else None


def _holding(values: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
    """The sizes (px) in values by name that hold these events, the likeliest first."""

    def pairs(*names: str) -> list[tuple[int, int]]:
        found = (_sides(values.get(of + name)) for name in names for of in _OF)
        return [sides for sides in found if sides]

    found: list[tuple[int, int]] = [Pair(sides) for sides in pairs("size", "geometry")]
    for of, (width, height) in product(_OF, _SIDES):
        numbers = _numbers(values.get(of + width)) + _numbers(values.get(of + height))
        found += [sides] if (sides := _sides(numbers)) else []
    found = [sides for sides in found if holds(turned(sides, x, y), x, y)]
    for short, long in map(sorted, pairs("resolution", "res", "shape", "dims")):
        found += [sides for sides in ((long, short), (short, long)) if holds(sides, x, y)]
    return found


def _is_known(size: tuple[int, int]) -> bool:
    """Whether it is a known sensor's, upright or not."""
    return size in SENSORS or size[::-1] in SENSORS


def in_words(header: str) -> tuple[int, int] | None:
    """The size (width, height) in px that the lines of a header state; None if none does."""
    return next(iter(sizes_in(header)), None)


def sizes_in(header: str) -> list[tuple[int, int]]:
    """All sizes (width, height) in px that the lines of a header may state, the likeliest first."""
    texts: list[Any] = [found for pattern in _SIZES for found in pattern.findall(header)]
    texts.append(_both(r"\b", ("width", "height"), header))
    others: list[Any] = [found for pattern in _OTHERS for found in pattern.findall(header)]
    others += [_both(_BEFORE, names, header) for names in (("width", "height"), ("cols", "rows"))]
    others += [found[::-1] for found in _HEIGHT_FIRST.findall(header)]
    sizes, known = ([size for size in map(_sides, said) if size] for said in (texts, others))
    return sizes + [size for size in known if _is_known(size)]


def _both(before: str, names: tuple[str, str], header: str) -> list[str]:
    """The numbers behind both names, those that there are."""
    sides = [re.search(rf"{before}{name}[=:\s]+([1-9]\d*)", header, re.I) for name in names]
    return [side[1] for side in sides if side]


def _sides(value: Any) -> tuple[int, int] | None:
    numbers = _numbers(value)
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else None


def _numbers(value: Any) -> list[int]:
    """The whole numbers in a value of any type; none if it has more than two elements."""
    array = np.ravel(np.asarray([] if value is None else value))
    if len(array) > 2:
        return []
    if array.dtype.kind in "iuf":
        return [int(number) for number in array.astype(float) if 0 <= number < 1e9]
    words = (v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in array.tolist())
    found = re.findall(r"\d+(?:\.\d+)?", " ".join(words))
    return [int(float(word)) for word in found if len(word) < 10]
