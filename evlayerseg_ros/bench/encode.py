"""Encoders for every encoding that the node decodes, so that each can be measured anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events


class _Columns(NamedTuple):
    """Events as int64 columns; t in us."""

    t: np.ndarray
    y: np.ndarray
    p: np.ndarray
    x: np.ndarray

    def take(self, index: np.ndarray) -> _Columns:
        return _Columns(*(column[index] for column in self))


def encode(encoding: str, events: Events, time_base: int = 0) -> np.ndarray:
    """A packet that decodes to these events.

    Args:
        encoding: one of codecs.ENCODINGS.
        events: at least one, in the order of t, y, p, x; times are whole us, and no pixel fires
            twice in one. Encodings that read columns give those of one us in the order of t, x, p,
            y.
        time_base: ns, the packet's field; encodings without one ignore it.

    Returns:
        uint8 [n]. Each packet begins with a full time and address, as those of real cameras do.
    """
    if encoding == "mono":
        return np.frombuffer(encode_mono(events, time_base), np.uint8)
    base = time_base if encoding.startswith("libcaer") else 0
    columns = (events.t - base) // 1000, events.y, events.p, events.x
    return _ENCODERS[encoding](_Columns(*(c.astype(np.int64) for c in columns))).view(np.uint8)


def _changes(values: np.ndarray) -> np.ndarray:
    """bool [n]: which values differ from the one before; the first does."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _words(kind: str, *columns: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The words of all rows, one after the other: (which rows have it, its value) by column."""
    present, values = zip(*columns, strict=True)
    return np.stack(values, 1)[np.stack(present, 1)].astype(kind)


def _blocks(
    c: _Columns, along: np.ndarray, size: int
) -> tuple[_Columns, np.ndarray, np.ndarray, np.ndarray]:
    """Events of one time, line and polarity within `size` aligned pixels, together.

    Args:
        c: the events.
        along: their coordinate along the line.
        size: pixels of a block.

    Returns:
        The first event of each block, the block's first pixel, a bit for each pixel that fired,
        and whether there are several.
    """
    across = c.x if along is c.y else c.y
    begins = _changes(c.t) | _changes(across) | _changes(c.p) | _changes(along // size)
    index = np.flatnonzero(begins)
    bits = np.bitwise_or.reduceat(1 << along % size, index)
    several = np.diff(np.append(index, len(c.t))) > 1
    return c.take(index), along[index] // size * size, bits, several


def _evt3(c: _Columns) -> np.ndarray:
    c, base, bits, several = _blocks(c, c.x, 12)
    always = np.ones(len(c.t), bool)
    return _words(
        "<u2",
        (_changes(c.t >> 12), 0x8000 | c.t >> 12 & 0xFFF),
        (_changes(c.t), 0x6000 | c.t & 0xFFF),
        (_changes(c.t) | _changes(c.y), c.y),
        (several, 0x3000 | c.p << 11 | base),
        (always, np.where(several, 0x4000 | bits, 0x2000 | c.p << 11 | c.x)),
    )


def _evt2(c: _Columns) -> np.ndarray:
    always = np.ones(len(c.t), bool)
    high = 0x80000000 | c.t >> 6 & 0xFFFFFFF
    return _words(
        "<u4",
        (_changes(c.t >> 6), high),
        (always, c.p << 28 | (c.t & 63) << 22 | c.x << 11 | c.y),
    )


def _evt21(c: _Columns) -> np.ndarray:
    """Low half first, as GenX320 sends it."""
    c, base, bits, _ = _blocks(c, c.x, 32)
    low = np.stack([np.zeros_like(bits), bits], 1)
    high = np.stack(
        [0x80000000 | c.t >> 6 & 0xFFFFFFF, c.p << 28 | (c.t & 63) << 22 | base << 11 | c.y], 1
    )
    present = np.stack([_changes(c.t >> 6), np.ones(len(c.t), bool)], 1)
    return np.stack([low, high], 2)[present].astype("<u4").reshape(-1)


def _libcaer(c: _Columns) -> np.ndarray:
    return np.stack([c.x << 17 | c.y << 2 | c.p << 1 | 1, c.t], 1).astype("<u4").reshape(-1)


def _libcaer_cmp(c: _Columns) -> np.ndarray:
    c = c.take(np.lexsort((c.y, c.p, c.x, c.t)))
    c, base, bits, several = _blocks(c, c.y, 8)
    always = np.ones(len(c.t), bool)
    return _words(
        "<u2",
        (_changes(c.t >> 12), c.t >> 12),
        (_changes(c.t), 0x1000 | c.t & 0xFFF),
        (_changes(c.t) | _changes(c.x), 0x2000 | c.x),
        (several, 0x4000 | c.p << 11 | base),
        (always, np.where(several, 0x5000 | bits, 0x3000 | c.p << 11 | c.y)),
    )


_ENCODERS: dict[str, Callable[[_Columns], np.ndarray]] = {
    "evt3": _evt3,
    "evt2": _evt2,
    "evt21": _evt21,
    "libcaer": _libcaer,
    "libcaer_cmp": _libcaer_cmp,
}
