"""How large a sensor is: by its header's words, or by its events where no header says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.events.types import MAX_SIDE

# Sensors that a file without a size may come from, the smallest first.
SENSORS = (
    (128, 128), (240, 180), (304, 240), (320, 320), (346, 260), (640, 480), (640, 512), (1280, 720)
)  # fmt: skip
# Of the events of a recording this share may lie outside the sensor; more, and it is a larger one.
_STRAY_SHARE = 1e-3

_GEN3 = ("evt2", (640, 480))
_GEN4 = ("evt3", (1280, 720))
# What Prophesee's system_ID stands for: encoding and size (OpenEB, hal_psee_plugins).
_SYSTEMS = {
    **dict.fromkeys(range(0x08, 0x10), ("evt2", (304, 240))),
    **dict.fromkeys((0x14, 0x15, 0x17, 0x19, 0x1C, 0x1D, 0x21, 0x22, 0x23, 0x29), _GEN3),
    0x1A: ("evt2", (1280, 720)),
    0x28: ("evt3", (640, 480)),
    **dict.fromkeys((0x1E, 0x1F, 0x20, 0x27, 0x2E, 0x30, 0x31, 0x32, 0x35, 0x3A), _GEN4),
    **dict.fromkeys((0x34, 0x36), ("evt3", (640, 512))),
    **dict.fromkeys((0x3B, 0x40), ("evt3", (320, 320))),
}
# Other words of headers: plug-ins, sensor names and generations, chips.
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
# Names of what states a size in a file of arrays.
NAMES = (
    "sensor_resolution", "resolution", "width", "height", "size", "sensor_size", "geometry"
)  # fmt: skip
# How a line of a header states it.
_SIZES = (
    re.compile(r"\b(?:geometry|resolution|size)[\s:=(]+(\d+)\s*[x*, ]\s*(\d+)", re.I),
    re.compile(r"^[^\w\n]*(\d+) *[x*] *(\d+)[^\w\n]*$", re.I | re.M),
)
# What Prophesee's sensors of these sizes write where the header does not say it.
_ENCODINGS = {(304, 240): "evt2", (640, 480): "evt2", (640, 512): "evt3", (1280, 720): "evt3"}


class Implied(NamedTuple):
    """What a header implies: encoding ("" if nothing) and size in px (None if nothing)."""

    encoding: str
    size: tuple[int, int] | None


def implied_by(header: str) -> Implied:
    """What a header says of its sensor without naming encoding or size."""
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
        Its size, of the largest known one at least that of the events.
    """
    for size in SENSORS:
        if holds(size, x, y):
            return size
    return max(int(x.max()) + 1, 1), max(int(y.max()) + 1, 1)


def counts_from_1(x: np.ndarray, y: np.ndarray, size: tuple[int, int], sure: bool) -> bool:
    """Whether x and y (px) of a sensor of that size reach from 1 to its last column and row.

    A size that is not sure has to be that of a known sensor.
    """
    reach = bool(np.any(x == size[0]) and np.any(y == size[1])) and holds(size, x - 1, y - 1)
    return reach and not np.any((x == 0) | (y == 0)) and (sure or size in SENSORS)


def holds(size: tuple[int, int], x: np.ndarray, y: np.ndarray) -> bool:
    """Whether there may be a sensor of that size (px) and all events but a few strays lie on it."""
    outside = np.count_nonzero((x < 0) | (x >= size[0]) | (y < 0) | (y >= size[1]))
    return max(size) <= MAX_SIDE and outside <= _STRAY_SHARE * len(x)


def turned(size: tuple[int, int], x: np.ndarray, y: np.ndarray) -> tuple[int, int]:
    """A size (px), with width and height exchanged where only so it holds these events."""
    return size[::-1] if not holds(size, x, y) and holds(size[::-1], x, y) else size


def stated(values: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
    """The size (width, height) in px that named values of a file state; None if none does.

    Args:
        values: numbers, pairs of them or text as 640x480, by name; only NAMES are looked at, and
            0 says nothing.
        x, y: px, of some events, which lie on what is stated by any other name than `size`; some
            write the height first, some the width.
    """
    if sides := _sides(values.get("size")):
        return turned(sides, x, y)
    found = [_sides(values.get(name)) for name in ("sensor_size", "geometry")]
    found.append(_sides(_numbers(values.get("width")) + _numbers(values.get("height"))))
    for name in ("sensor_resolution", "resolution"):
        if sides := _sides(values.get(name)):
            short, long = sorted(sides)
            found += [(long, short), (short, long)]
    return next((sides for sides in found if sides and holds(sides, x, y)), None)


def in_words(header: str) -> tuple[int, int] | None:
    """The size (width, height) in px that the lines of a header state; None if none does."""
    return next(iter(sizes_in(header)), None)


def sizes_in(header: str) -> list[tuple[int, int]]:
    """All sizes (width, height) in px that the lines of a header may state, the likeliest first."""
    texts: list[Any] = [found for pattern in _SIZES for found in pattern.findall(header)]
    sides = [re.search(rf"\b{name}[=:\s]+([1-9]\d*)", header, re.I) for name in ("width", "height")]
    texts.append([side[1] for side in sides if side])
    return [size for size in map(_sides, texts) if size]


def _sides(value: Any) -> tuple[int, int] | None:
    numbers = _numbers(value)
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else None


def _numbers(value: Any) -> list[int]:
    """The whole numbers in a value of any type; none in what is no small one."""
    array = np.ravel(np.asarray([] if value is None else value))
    if len(array) > 2:
        return []
    if array.dtype.kind in "iuf":
        return [int(number) for number in array.astype(float) if 0 <= number < 1e9]
    words = (v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in array.tolist())
    found = re.findall(r"\d+(?:\.\d+)?", " ".join(words))
    return [int(float(word)) for word in found if len(word) < 10]
