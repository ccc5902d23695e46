"""Events as sources give them, to events in order: what does not fit is dropped and counted."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.events.types import MAX_TIME, Events, check_size

# Events up to this much (ns) out of order are sorted; a little is common.
OVERLAP = 65_000_000
# A step back of more than this (ns) may be a stray event.
_STEP = 10_000_000
# So few events before such a step forward (ns), at the beginning of everything, are strays.
_FEW, _FAR = 3, 60 * 10**9
# A stray is judged by so many neighbours to each side.
_NEIGHBOURS = 16


class Clean(NamedTuple):
    """Sound events, and how many others there were.

    Attributes:
        events: in order, on the sensor.
        outside: events outside the sensor.
        strays: events whose time fits none of their neighbours', or is no time at all.
        late: events whose time became that of the last event before them.
    """

    events: Events
    outside: int
    strays: int
    late: int


def clean(
    x: np.ndarray,
    y: np.ndarray,
    t: np.ndarray,
    p: np.ndarray,
    width: int,
    height: int,
    floor: int | None = None,
    as_one: bool = False,
) -> list[Clean]:
    """Events in the order of their arrival, made sound.

    Args:
        x, y: [N] px, any number type.
        t: [N] ns; floats may hold what is no number.
        p: [N], anything positive is ON.
        width, height: sensor size in px.
        floor: time (ns) of the last event before these, None if there is none.
        as_one: whether to give one part in any case, sorted.

    Returns:
        One part, or more where the clock itself went back by more than OVERLAP: then each part is
        in order. A part may have no events.

    Raises:
        InputError: no sensor has that size.
    """
    check_size(width, height)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    is_time = (t > -MAX_TIME) & (t < MAX_TIME)
    outside, strays = int(np.count_nonzero(~inside & is_time)), int(np.count_nonzero(~is_time))
    if outside or strays:
        good = inside & is_time
        x, y, t, p = x[good], y[good], t[good], p[good]
    t = t.astype(np.int64, copy=False)
    lost = is_stray(t, floor)
    if floor is None and len(t) > 4 * _FEW:
        far = np.flatnonzero(np.diff(t[: _FEW + 1]) > _FAR)
        lost[: far[-1] + 1 if len(far) else 0] = True
    if lost.any():
        strays += int(np.count_nonzero(lost))
        x, y, t, p = x[~lost], y[~lost], t[~lost], p[~lost]
    back = [] if as_one else (np.flatnonzero(np.diff(t) < -OVERLAP) + 1).tolist()
    cuts = [0, *back, len(t)]
    parts = []
    for begin, end in pairwise(cuts):
        part = [column[begin:end] for column in (x, y, t, p)]
        x_, y_, t_, p_ = in_order(*part)
        late = 0
        if floor is not None and len(t_) and 0 < floor - int(t_[0]) <= OVERLAP:
            late = int(np.searchsorted(t_, floor))
            t_ = np.maximum(t_, floor)
        events = Events.from_arrays(x_, y_, t_, p_, width, height)
        parts.append(Clean(events, outside, strays, late))
        floor = int(events.t[-1]) if len(events) else floor
        outside = strays = 0
    return parts


def in_order(
    x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, t, p sorted by t."""
    if np.any(t[1:] < t[:-1]):
        order = np.argsort(t, kind="stable")
        x, y, t, p = x[order], y[order], t[order], p[order]
    return x, y, t, p


def is_stray(t: np.ndarray, floor: int | None = None) -> np.ndarray:
    """bool [N]: events whose time lies far from those that came before and after them.

    Only events near a step back are tested. A clock set back gives no strays: what follows agrees.

    Args:
        t: int64 [N] ns, in the order of arrival.
        floor: time (ns) of the event before the first one.
    """
    stray = np.zeros(len(t), bool)
    before = np.concatenate([[t[:1].min() if floor is None else floor], t[:-1]]) if len(t) else t
    back = np.flatnonzero(t - before < -_STEP)
    size = 2 * _NEIGHBOURS + 1
    if not len(back) or len(t) < 3:
        return stray
    asked = np.unique(np.clip(back[:, None] + np.arange(-3, 4), 0, len(t) - 1))
    begin = np.clip(asked - _NEIGHBOURS, 0, max(len(t) - size, 0))
    around = t[np.minimum(begin[:, None] + np.arange(size), len(t) - 1)]
    low, middle, high = np.percentile(around, (25, 50, 75), axis=1)
    stray[asked] = np.abs(t[asked] - middle) > _STEP + 4 * (high - low)
    return stray
