"""How large a sensor is: by its header's words, or by its events where no header says it."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import MAX_SIDE, check_size

# Sensors that a file without a size may come from, the smallest first.
SENSORS = ((128, 128), (240, 180), (304, 240), (320, 320), (346, 260), (640, 480), (1280, 720))
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
    **dict.fromkeys((0x34, 0x36), ("evt3", (640, 480))),
    0x40: ("evt3", (320, 320)),
}
# Other words of headers: plug-ins, sensor names and generations, chips.
_WORDS = (
    (r"genx320|gen_?x320", (320, 320)),
    (r"imx63[67]hd|imx636|imx646|gen_?4\S*", (1280, 720)),
    (r"imx637|imx647|gen_?3\S*", (640, 480)),
    (r"generation 3\S*", (640, 480)),
    (r"generation 4\S*", (1280, 720)),
    (r"generation 320\S*", (320, 320)),
    (r"dvs128", (128, 128)),
    (r"davis240|dvs240", (240, 180)),
    (r"davis346|dvs346|mini346", (346, 260)),
    (r"davis640|dvxplorer|dvs640|dvs132", (640, 480)),
    (r"atis|gen_?1\S*", (304, 240)),
)
# What Prophesee's sensors of these sizes write where the header does not say it.
_ENCODINGS = {(304, 240): "evt2", (640, 480): "evt2", (1280, 720): "evt3"}


class Implied(NamedTuple):
    """What a header implies: encoding ("" if nothing) and size in px (None if nothing)."""

    encoding: str
    size: tuple[int, int] | None


def implied_by(header: str) -> Implied:
    """What a header says of its sensor without naming encoding or size."""
    found = re.search(r"system_?id\D{1,3}(\d+)", header, re.IGNORECASE)
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


def holds(size: tuple[int, int], x: np.ndarray, y: np.ndarray) -> bool:
    """Whether there may be a sensor of that size (px) and all events but a few strays lie on it."""
    outside = np.count_nonzero((x < 0) | (x >= size[0]) | (y < 0) | (y >= size[1]))
    return max(size) <= MAX_SIDE and outside <= _STRAY_SHARE * len(x)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) in px of a text like 640x480.

    Raises:
        InputError: it is no such text, or no sensor has that size.
    """
    found = re.fullmatch(r"\s*(\d{1,6})\s*[xX*, ]\s*(\d{1,6})\s*", text)
    if not found:
        raise InputError(f"The size is {text[:40]!r}: expected WIDTHxHEIGHT in px, as 640x480.")
    size = int(found[1]), int(found[2])
    check_size(*size)
    return size
