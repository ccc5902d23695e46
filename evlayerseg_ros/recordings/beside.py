"""What is said beside a table: the unit of its times, the order of its columns."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.recordings import columns
from evlayerseg_ros.recordings.lines import names_in

# What states the unit of times, by its name, and in prose.
_SAYS_UNIT = re.compile(r"(?:(?:t|ts|times?|time_?stamps?)_?)?units?")
_LINE = 200  # letters of a line that are looked at
_TOLD = re.compile(
    r"\W*(?:events?\s+)?(?:t|ts|times?|time_?stamps?)"
    r"(?:[\s:=_,(\[]+(?:units?|is|are|in|of|the|events?|given|measured|stored))*[\s:=_,(\[]+"
    rf"(?:{columns.ANY_UNIT})\b\D*",
    re.I,
)


def unit_said(said: Mapping[str, Any]) -> str:
    """The unit of times that values of a file state by their names; "" if none does."""
    for name, value in said.items():
        words = words_of(value) if _SAYS_UNIT.fullmatch(name.lower()) else []
        if len(words) == 1 and (unit := columns.unit_in(f"t {words[0]}")):
            return unit
    return ""


def unit_told(text: str) -> str:
    """The unit of times that a line of prose tells: `time unit: us`; "" if none does."""
    for line in text.splitlines():
        if found := _TOLD.fullmatch(line.strip()[:_LINE]):
            return found.lastgroup or ""
    return ""


def words_of(value: Any) -> list[str]:
    """The first words in a value of any type and shape; none of a mapping."""
    try:
        array = np.empty(0) if isinstance(value, Mapping) else np.asarray(value)
    except ValueError:  # lists of several lengths
        return []
    few = np.ravel(array)[:9].tolist() if array.dtype.kind in "SUO" else []
    words = (word.decode("latin-1") if isinstance(word, bytes) else word for word in few)
    return [word for word in words if isinstance(word, str)]


def stated_order(values: Iterable[Any], order: str) -> str:
    """The order of a table's columns that one of some values names, where it may be that.

    The table's own values, which `order` is by, tell times and polarities, but not x from y.
    """
    for value in values:
        words = words_of(value)
        for names in [words] if len(words) == 4 else map(names_in, words):
            with contextlib.suppress(InputError):
                found = (columns.by_names(names) if len(names) == 4 else None) or {}
                stated = "".join(sorted(found, key=lambda column: names.index(found[column])))
                if len(stated) == 4 and all(stated.index(c) == order.index(c) for c in "tp"):
                    return stated
    return order
