"""libcaer, libcaer_cmp and mono, whose packets carry a time base in ns; the encoder of mono.

The compiled loops are called as those for Prophesee's formats are (see _prophesee.py). Times are
given as they are in the packet: those that go back are counted, and Decoder puts them right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint32

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs._state import (
    BASE,
    CANDIDATE,
    FLOOR,
    GLITCHES,
    HIGH,
    JIT,
    LOW,
    OUTSIDE,
    POLARITY,
    UNKNOWN,
    UNSYNCED,
    X,
    Y,
    count_bits,
    lowest_bit,
)
from evlayerseg_ros.events.types import Events


@njit(**JIT)
def libcaer(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """libcaer's events: address and 31 bits of time in us, which rolls over after 36 min."""
    n = np.uint64(0)
    floor, base, high = state[FLOOR], state[BASE], state[HIGH]
    last, before = state[LOW], state[CANDIDATE]
    for k in range(np.uint64(0), np.uint64(len(words)), np.uint64(2)):
        address = np.int64(words[k])
        low = np.int64(words[k + np.uint64(1)] & 0x7FFFFFFF)
        # A packet lasts milliseconds: it sees at most one roll-over, a step back by nearly all. One
        # time that lies ahead is none.
        if high == 0 and min(last, before) - low > 1 << 30:
            high = 1 << 31
        before, last = (last if before >= 0 else low), low
        time = base + (high + low) * 1000
        state[GLITCHES] += time < floor
        floor = max(floor, time)
        column, row = address >> 17, (address >> 2) & 0x7FFF
        x[n] = column
        y[n] = row
        t[n] = time
        p[n] = (address >> 1) & 1
        good = (column < width) & (row < height)
        n += np.uint64(good)
        if not good:
            state[OUTSIDE] += 1
    state[FLOOR], state[HIGH], state[LOW], state[CANDIDATE] = floor, high, last, before
    return n


@njit(**JIT)
def libcaer_cmp(
    words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any
) -> int:
    """libcaer_driver's compressed form: 16-bit words, 12 + 12 bits of us since the time base."""
    n = np.uint64(0)
    floor, high, low = state[FLOOR], state[HIGH], state[LOW]
    column, base, polarity = state[X], state[Y], state[POLARITY]
    time_base, time = state[BASE], floor
    for k in range(np.uint64(len(words))):
        word = np.int64(words[k])
        code = word >> 12
        value = word & 0xFFF
        if code == 0x3 or code == 0x5:
            time = time_base + ((high << 12) | low) * 1000
            state[GLITCHES] += time < floor
            floor = max(floor, time)
        if code == 0x3:  # one event
            row = value & 0x7FF
            x[n] = column
            y[n] = row
            t[n] = time
            p[n] = value >> 11
            good = (column >= 0) & (column < width) & (row < height)
            n += np.uint64(good)
            if not good:
                state[OUTSIDE if column >= 0 else UNSYNCED] += 1
        elif code == 0x2:
            column = value & 0x7FF
        elif code == 0x1:
            low = value
        elif code == 0x0:
            high = value
        elif code == 0x4:
            base = value & 0x7FF
            polarity = value >> 11
        elif code == 0x5:  # 8 pixels in a column
            valid = uint32(value & 0xFF)
            if column < 0 or base < 0 or column >= width:
                state[OUTSIDE if column >= 0 and base >= 0 else UNSYNCED] += count_bits(valid)
                valid = uint32(0)
            while valid != 0:
                row = base + lowest_bit(valid)
                valid = uint32(valid & (valid - uint32(1)))
                x[n] = column
                y[n] = row
                t[n] = time
                p[n] = polarity
                good = row < height
                n += np.uint64(good)
                if not good:
                    state[OUTSIDE] += 1
            base += 8 if base >= 0 else 0
        else:
            state[UNKNOWN] += 1
    state[FLOOR], state[HIGH], state[LOW] = floor, high, low
    state[X], state[Y], state[POLARITY] = column, base, polarity
    return n


@njit(**JIT)
def mono(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """One event in 64 bits: 32 bits of ns since the time base, x, y, polarity.

    Some publishers keep one time base: then these bits roll over every 4.3 s.
    """
    n = np.uint64(0)
    floor, base, high = state[FLOOR], state[BASE], state[HIGH]
    last, before = state[LOW], state[CANDIDATE]
    for k in range(np.uint64(0), np.uint64(len(words)), np.uint64(2)):
        low = np.int64(words[k])
        if min(last, before) - low > 1 << 31:  # one time that lies ahead is none
            high += 1 << 32
        before, last = (last if before >= 0 else low), low
        time = base + high + low
        address = np.int64(words[k + np.uint64(1)])
        state[GLITCHES] += time < floor
        floor = max(floor, time)
        column, row = address & 0xFFFF, (address >> 16) & 0x7FFF
        x[n] = column
        y[n] = row
        t[n] = time
        p[n] = address >> 31
        good = (column < width) & (row < height)
        n += np.uint64(good)
        if not good:
            state[OUTSIDE] += 1
    state[FLOOR], state[HIGH], state[LOW], state[CANDIDATE] = floor, high, last, before
    return n


def encode_mono(events: Events, time_base: int) -> bytes:
    """The events as the bytes of a `mono` packet.

    Args:
        events: t in ns, from time_base on and less than 2^32 ns (4.29 s) after it.
        time_base: ns, the packet's time_base.

    Raises:
        InputError: an event lies outside that time span.
    """
    if len(events) == 0:
        return b""
    dt = events.t - time_base
    if dt[0] < 0 or dt[-1] >= 1 << 32:
        raise InputError(
            f"A mono packet with time base {time_base} ns cannot hold events from {events.t[0]} to "
            f"{events.t[-1]} ns: expected 0 to 4.29 s after the time base."
        )
    words = np.empty((len(events), 2), "<u4")
    words[:, 0] = dt
    words[:, 1] = events.p.astype(np.uint32) << 31 | events.y.astype(np.uint32) << 16 | events.x
    return words.tobytes()
