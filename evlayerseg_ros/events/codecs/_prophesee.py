"""Compiled loops for EVT 3.0, 2.0 and 2.1, after the formats that Prophesee publishes.

Each loop decodes the words of one packet into x, y, t (ns), p and returns how many events it wrote.
It keeps everything else in `state`, so the events do not depend on where packets are cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint32

from evlayerseg_ros.events.codecs._state import (
    CONFIRMED,
    FLOOR,
    HAS_HIGH,
    HAS_LOW,
    HIGH,
    JIT,
    LAYOUT,
    LOW,
    OUTSIDE,
    POLARITY,
    UNKNOWN,
    UNSYNCED,
    X,
    Y,
    count_bits,
    lowest_bit,
    next_high,
)

# Unit of each format's high time, and how far that may step at once: about 65 ms.
HIGH_EVT3, HIGH_EVT2, NEAR = 4_096_000, 64_000, 65_536_000  # ns
NEAR_EVT3, NEAR_EVT2 = NEAR // HIGH_EVT3, NEAR // HIGH_EVT2

# Set bits are the EVT 3.0 types 0x7, 0xA, 0xE, 0xF: trigger, vendor's own and their continuations.
EVT3_IGNORED = 0xC480


@njit(**JIT)
def evt3(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """EVT 3.0: 16-bit words, 12 + 12 bits of time in us, which wraps every 16.8 s.

    An event is written before it is known to be good, and only a good one moves on to the next
    place: no branch that depends on coordinates. The arrays need one place more for that.
    """
    n = np.uint64(0)  # unsigned, so that no index is checked for being negative
    floor, high, low = state[FLOOR], state[HIGH], state[LOW]
    has_high, has_low = state[HAS_HIGH] != 0, state[HAS_LOW] != 0
    row, has_row = max(state[Y], 0), state[Y] >= 0
    base, polarity = state[X], state[POLARITY]
    synced = has_low & has_row
    steady = has_high & (state[CONFIRMED] == 0)
    again = 0x8000 | (high & 0xFFF) if steady else -1
    now = floor * 1000
    for k in range(np.uint64(len(words))):
        word = np.int64(words[k])
        code = word >> 12
        value = word & 0xFFF
        if code == 0x2:  # one event
            column = value & 0x7FF
            x[n] = column
            y[n] = row
            t[n] = now
            p[n] = value >> 11
            good = synced & (column < width) & (row < height)
            n += np.uint64(good)
            if not good:
                state[OUTSIDE if synced else UNSYNCED] += 1
        elif code == 0x0:
            row = value & 0x7FF
            has_row, synced = True, has_low
        elif code == 0x6:
            if not has_high:
                continue
            # While a jump is not believed yet, the low part alone says that time went on.
            if not steady and value < low:
                high += 1
            low = value
            floor = max(floor, (high << 12) | low)
            now = floor * 1000
            has_low, synced = True, has_row
        elif word == again:
            pass  # the high time once more, as sensors send it every 16 us
        elif code == 0x8:
            before = high
            if has_high:
                high = next_high(high, value, 12, NEAR_EVT3, state)
            else:
                high += (value - high) & 0xFFF  # after a loss, wraps counted so far are kept
                has_high = True
            if high != before:
                low = 0
                floor = max(floor, high << 12)
                now = floor * 1000
            steady = state[CONFIRMED] == 0
            again = 0x8000 | (high & 0xFFF) if steady else -1
        elif code == 0x3:
            base = value & 0x7FF
            polarity = value >> 11
        elif code == 0x4 or code == 0x5:  # 12 or 8 pixels in a row
            span = 12 if code == 0x4 else 8
            valid = uint32(value & ((1 << span) - 1))
            if not synced or base < 0 or row >= height:
                state[OUTSIDE if synced and base >= 0 else UNSYNCED] += count_bits(valid)
                valid = uint32(0)
            while valid != 0:
                column = base + lowest_bit(valid)
                valid = uint32(valid & (valid - uint32(1)))
                x[n] = column
                y[n] = row
                t[n] = now
                p[n] = polarity
                good = column < width
                n += np.uint64(good)
                if not good:
                    state[OUTSIDE] += 1
            base += span if base >= 0 else 0
        elif not (EVT3_IGNORED >> code) & 1:
            state[UNKNOWN] += 1
    state[FLOOR], state[HIGH], state[LOW] = floor, high, low
    state[HAS_HIGH], state[HAS_LOW] = has_high, has_low
    state[X], state[POLARITY], state[Y] = base, polarity, row if has_row else -1
    return n


@njit(**JIT)
def evt3_each(
    words: Any, ends: Any, state: Any, size: Any, x: Any, y: Any, t: Any, p: Any, after: Any
) -> None:
    """Several packets of EVT 3.0 one after the other, as evt3 would decode each.

    Args:
        words: of all packets.
        ends: int64 [K], where each packet ends in them.
        size: (width, height).
        after: int64 [K, 1 + field.SIZE], filled: events until each packet's end, and the state
            there.
    """
    n = begin = 0
    for k in range(len(ends)):
        packet = words[begin : ends[k]]
        n += evt3(packet, state, size[0], size[1], x[n:], y[n:], t[n:], p[n:])
        begin = ends[k]
        after[k, 0] = n
        after[k, 1:] = state


@njit(**JIT)
def evt2(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """EVT 2.0: 32-bit words, 28 + 6 bits of time in us, which wraps every 4.8 h."""
    n = 0
    floor = state[FLOOR]
    for word in words:
        code = word >> 28
        if code <= 0x1:
            if state[HAS_HIGH] == 0:
                state[UNSYNCED] += 1
                continue
            floor = max(floor, (state[HIGH] << 6) | ((word >> 22) & 0x3F))
            column, row = (word >> 11) & 0x7FF, word & 0x7FF
            if column < width and row < height:
                x[n] = column
                y[n] = row
                t[n] = floor * 1000
                p[n] = code
                n += 1
            else:
                state[OUTSIDE] += 1
        elif code == 0x8:
            floor = _high28(np.int64(word & 0xFFFFFFF), floor, state)
        elif code != 0xA and code != 0xE and code != 0xF:  # those hold no events
            state[UNKNOWN] += 1
    state[FLOOR] = floor
    return n


@njit(**JIT)
def _high28(code: int, floor: int, state: Any) -> int:
    """Take the 28-bit high time of EVT 2.0 and 2.1; the clock in us after it."""
    if state[HAS_HIGH] == 0:
        state[HIGH] += (code - state[HIGH]) & 0xFFFFFFF
        state[HAS_HIGH] = 1
    else:
        state[HIGH] = next_high(state[HIGH], code, 28, NEAR_EVT2, state)
    return max(floor, state[HIGH] << 6)


@njit(**JIT)
def evt21_capacity(words: Any) -> int:
    """At most how many events the 32-bit halves of the words hold, whichever half is the mask."""
    n = 0
    for k in range(0, len(words), 2):
        n += max(count_bits(words[k]), count_bits(words[k + 1]))
    return n


@njit(**JIT)
def evt21(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """EVT 2.1: 64-bit words given as 32-bit halves, 28 + 6 bits of time in us.

    Sensors differ in which half they send first (GenX320 the low one, IMX636 the high one). The
    first time word tells: its low half is zero. Events before it have no time and are dropped.
    """
    n = 0
    floor = state[FLOOR]
    for k in range(0, len(words), 2):
        first, second = words[k], words[k + 1]
        if state[LAYOUT] == 0:
            if first == 0 and second >> 28 == 0x8:
                state[LAYOUT] = 1
            elif second == 0 and first >> 28 == 0x8:
                state[LAYOUT] = 2
            else:
                state[UNSYNCED] += 1
                continue
        valid, word = (first, second) if state[LAYOUT] == 1 else (second, first)
        code = word >> 28
        if code <= 0x1:
            floor = max(floor, (state[HIGH] << 6) | ((word >> 22) & 0x3F))
            column, row = (word >> 11) & 0x7FF, word & 0x7FF
            if state[HAS_HIGH] == 0:
                state[UNSYNCED] += count_bits(valid)
                continue
            if row >= height:
                state[OUTSIDE] += count_bits(valid)
                continue
            while valid != 0:
                here = column + lowest_bit(valid)
                valid = uint32(valid & (valid - uint32(1)))
                if here < width:
                    x[n] = here
                    y[n] = row
                    t[n] = floor * 1000
                    p[n] = code
                    n += 1
                else:
                    state[OUTSIDE] += 1
        elif code == 0x8:
            floor = _high28(np.int64(word & 0xFFFFFFF), floor, state)
        elif code != 0xA and code != 0xE and code != 0xF:  # those hold no events
            state[UNKNOWN] += 1
    state[FLOOR] = floor
    return n
