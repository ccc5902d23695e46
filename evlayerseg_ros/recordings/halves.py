"""Tables with all events of one polarity before all of the other, as some scripts write them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from evlayerseg_ros.events.clean import OVERLAP
from evlayerseg_ros.recordings.rows import Columns

# A half has at least so many events, such a share of them of one polarity.
_FEW, _SHARE = 50, 0.99
# So many steps back in time are looked at in a chunk.
_STEPS = 16


def in_order(read: Callable[[], Iterator[Columns]]) -> Iterator[Columns]:
    """The chunks of a table; of one with two such halves, these merged by time.

    Args:
        read: gives the chunks from the first on, each time that it is called.
    """
    chunks = read()
    first = next(chunks, None)
    if first is None:
        return
    seam = _seam([first])
    if seam is None and _usual(first[3])[1] < _SHARE:
        yield first
        yield from chunks
        return
    with contextlib.suppress(Exception):  # reading tells it
        seam = _seam(read()) if seam is None else seam
    yield from read() if seam is None else _merged(_part(read(), 0, seam), _part(read(), seam))


def _seam(chunks: Iterable[Columns]) -> int | None:
    """The index of the second half's first event; None if there are no halves."""
    one, odd, begin, last = None, 0, 0, None
    for _, _, t, p in chunks:
        steps = np.diff(t, prepend=t[:1] if last is None else last)
        for k in np.flatnonzero(steps < -OVERLAP)[:_STEPS].tolist():
            value = _usual(p[:k])[0] if one is None else one
            pure = odd + np.count_nonzero(p[:k] != value) <= (1 - _SHARE) * (begin + k)
            other, share = _usual(p[k:])
            long = min(begin + k, len(t) - k) >= _FEW and t[k:].max() > t[k]
            if pure and long and share >= _SHARE and other != value:
                return int(begin + k)
        one = _usual(p)[0] if one is None else one
        odd += np.count_nonzero(p != one)
        begin, last = begin + len(t), t[-1:]
        if odd > (1 - _SHARE) * begin:
            return None
    return None


def _usual(p: np.ndarray) -> tuple[float, float]:
    """The most common polarity and its share."""
    values, counts = np.unique(p, return_counts=True)
    k = int(np.argmax(counts)) if len(counts) else 0
    return (float(values[k]), float(counts[k] / len(p))) if len(counts) else (0.0, 0.0)


def _part(chunks: Iterator[Columns], begin: int, end: int | None = None) -> Iterator[Columns]:
    """The events from index `begin` to `end`, those of each chunk sorted by time."""
    at = 0
    for x, y, t, p in chunks:
        part = slice(max(begin - at, 0), None if end is None else max(end - at, 0))
        at += len(t)
        order = np.argsort(t[part], kind="stable")
        if len(order):
            yield x[part][order], y[part][order], t[part][order], p[part][order]


def _merged(a: Iterator[Columns], b: Iterator[Columns]) -> Iterator[Columns]:
    """Two tables as one; the chunks of each are in order."""
    held: list[Columns] = []  # of b, not given yet
    for part in a:
        while not held or held[-1][2][-1] <= part[2][-1]:
            if (more := next(b, None)) is None:
                break
            held.append(more)
        columns = [np.concatenate(some) for some in zip(part, *held, strict=True)]
        n = len(part[2]) + int(np.count_nonzero(columns[2][len(part[2]) :] <= part[2][-1]))
        order = np.argsort(columns[2][:n], kind="stable")
        x, y, t, p = (column[:n][order] for column in columns)
        rest = [column[n:] for column in columns]
        held = [(rest[0], rest[1], rest[2], rest[3])] if len(rest[2]) else []
        yield x, y, t, p
    yield from held
    yield from b
