"""Tables that are not quite in order: what is late by a little, or comes in blocks of a frame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

import numpy as np

from evlayerseg_ros.events.clean import OVERLAP, in_order, is_stray
from evlayerseg_ros.events.types import MAX_TIME
from evlayerseg_ros.recordings.halves import in_order as in_halves
from evlayerseg_ros.recordings.rows import Columns, usual

# Blocks are looked for in so many chunks, if times go back in the first, or its events are alike.
_AHEAD = 16
# Blocks of a frame: so often do times go back, by at most so much (ns), and each time about alike.
_OFTEN, _MOST, _ALIKE = 3, 1_500_000_000, 3
# So many events at most wait for earlier ones.
_WAITING = 1 << 20
# They end this near to where the next begins, as a share of how far times go back.
_NEAR = 0.1


def ordered(
    read: Callable[[], Iterator[Columns]], sound: Callable[..., Columns]
) -> Iterator[Columns]:
    """The chunks of a table; what precedes the end of the chunk before is joined with that end.

    This holds up to OVERLAP, or as far as blocks of a frame, as of ON and then OFF, go back. These
    are sorted.

    Args:
        read: gives the chunks from the first on, each time that it is called.
        sound: mends a chunk.

    Raises:
        BaseException: what reading raises, after all that was read.
    """
    chunks = read()
    first = next(chunks, None)
    if first is None:
        return
    back = 0
    if np.any(np.diff(first[2]) < -OVERLAP) or len(usual(first[3])) == 1:
        with contextlib.suppress(Exception):  # reading tells it
            back = _back([t for _, _, t, _ in islice(read(), _AHEAD)])
    whole = chain([first], chunks)
    begun = iter([whole])
    broke: list[BaseException] = []
    held: Columns | None = None
    for raw in _until_it_breaks(
        whole if back else in_halves(lambda: next(begun, None) or read()), broke
    ):
        chunk = sound(*raw)
        if held is not None:
            held, chunk = _apart(held, chunk, back)
            yield held
        held = in_order(*chunk) if back else chunk
    if held is not None:
        yield held
    if broke:
        raise broke[0]


def _until_it_breaks(chunks: Iterator[Columns], broke: list[BaseException]) -> Iterator[Columns]:
    try:
        yield from chunks
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # some readers panic
        broke.append(error)


def _back(times: Sequence[np.ndarray]) -> int:
    """How far (ns) the blocks of a frame go back in time, if there are such; 0 if not.

    They go back to where the frame before ended, as no clock does that is set back.
    """
    t = np.concatenate([[], *(_known(part) for part in times)])
    t = t[~is_stray(t.astype(np.int64))]
    steps = np.diff(t)
    at = np.flatnonzero(steps < -OVERLAP)
    if len(at) < _OFTEN or -steps[at].min() > min(_MOST, -_ALIKE * np.median(steps[at])):
        return 0
    begin, end = t[at + 1], t[at]
    goes_on = np.all(np.diff(begin) > 0) and np.all(np.diff(end) > 0)
    off = np.median(np.abs(begin[1:] - end[:-1]))
    return int(2 * -steps[at].min()) if goes_on and off < -_NEAR * np.median(steps[at]) else 0


def _apart(held: Columns, chunk: Columns, back: int) -> tuple[Columns, Columns]:
    """A chunk without what the next one, or one after it, may precede, and that one with it."""
    if not back and len(held[2]) and len(chunk[2]) and chunk[2].min() >= held[2].max():
        return held, chunk  # as most tables are
    old, new = _known(held[2]), _known(chunk[2])
    if back:
        old = old[~is_stray(old)]
    begin = old.max() - (back or OVERLAP) if len(old) else 0
    if not back:  # nothing is held without need
        begin = new[new >= begin].min(initial=MAX_TIME)
    late = held[2] > begin
    if back:
        late[: max(0, len(late) - _WAITING)] = False
        late &= new.max(initial=begin) >= begin  # else the clock was set back
    if not late.any():
        return held, chunk
    x, y, t, p = (np.concatenate([a[late], b]) for a, b in zip(held, chunk, strict=True))
    return (held[0][~late], held[1][~late], held[2][~late], held[3][~late]), (x, y, t, p)


def _known(t: np.ndarray) -> np.ndarray:
    """Those that are times at all."""
    return t[(t > -MAX_TIME) & (t < MAX_TIME)]
