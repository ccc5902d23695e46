"""Compiled loops for libcaer, libcaer_cmp and mono, whose packets carry a time base in ns.

Same calling convention as the loops for Prophesee's formats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint32

from evlayerseg_ros.events.codecs._state import (
    BASE,
    FLOOR,
    FRESH,
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

# A packet that begins further back than this (ns) is a clock set back, not disorder.
NEAR = 65_000_000


@njit(**JIT)
def _in_order(time: int, floor: int, state: Any) -> int:
    """The event's time as the clock `floor` allows: in a packet, time never goes back."""
    if time < floor:
        state[GLITCHES] += 1
        if state[FRESH] == 0 or floor - time <= NEAR:
            time = floor
    state[FRESH] = 0
    return time


@njit(**JIT)
def libcaer(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """libcaer's events: address and 31 bits of time in us, which rolls over after 36 min."""
    n = 0
    floor = state[FLOOR]
    for k in range(0, len(words), 2):
        low = np.int64(words[k + 1] & 0x7FFFFFFF)
        # A packet lasts milliseconds: it sees at most one roll-over, a step back by nearly all.
        if state[HIGH] == 0 and state[LOW] - low > 1 << 30:
            state[HIGH] = 1 << 31
        state[LOW] = low
        floor = _in_order(state[BASE] + (state[HIGH] + low) * 1000, floor, state)
        address = words[k]
        column, row = address >> 17, (address >> 2) & 0x7FFF
        if column < width and row < height:
            x[n] = column
            y[n] = row
            t[n] = floor
            p[n] = (address >> 1) & 1
            n += 1
        else:
            state[OUTSIDE] += 1
    state[FLOOR] = floor
    return n


@njit(**JIT)
def libcaer_cmp(
    words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any
) -> int:
    """libcaer_driver's compressed form: 16-bit words, 12 + 12 bits of us since the time base."""
    n = 0
    floor, column, base, polarity = state[FLOOR], state[X], state[Y], state[POLARITY]
    for word in words:
        code = word >> 12
        value = np.int64(word & 0xFFF)
        if code == 0x3:  # one event
            row = value & 0x7FF
            floor = _in_order(state[BASE] + ((state[HIGH] << 12) | state[LOW]) * 1000, floor, state)
            if column < 0:
                state[UNSYNCED] += 1
            elif column < width and row < height:
                x[n] = column
                y[n] = row
                t[n] = floor
                p[n] = value >> 11
                n += 1
            else:
                state[OUTSIDE] += 1
        elif code == 0x2:
            column = value & 0x7FF
        elif code == 0x1:
            state[LOW] = value
        elif code == 0x0:
            state[HIGH] = value
        elif code == 0x4:
            base = value & 0x7FF
            polarity = value >> 11
        elif code == 0x5:  # 8 pixels in a column
            floor = _in_order(state[BASE] + ((state[HIGH] << 12) | state[LOW]) * 1000, floor, state)
            valid = uint32(value & 0xFF)
            while valid != 0:
                row = base + lowest_bit(valid)
                valid = uint32(valid & (valid - uint32(1)))
                if column < 0 or base < 0:
                    state[UNSYNCED] += 1
                elif column < width and row < height:
                    x[n] = column
                    y[n] = row
                    t[n] = floor
                    p[n] = polarity
                    n += 1
                else:
                    state[OUTSIDE] += 1
            if base >= 0:
                base += 8
        else:
            state[UNKNOWN] += 1
    state[FLOOR], state[X], state[Y], state[POLARITY] = floor, column, base, polarity
    return n


@njit(**JIT)
def libcaer_cmp_capacity(words: Any) -> int:
    """At most how many events the 16-bit words hold."""
    n = 0
    for word in words:
        code = word >> 12
        if code == 0x3:
            n += 1
        elif code == 0x5:
            n += count_bits(uint32(word & 0xFF))
    return n


@njit(**JIT)
def mono(words: Any, state: Any, width: int, height: int, x: Any, y: Any, t: Any, p: Any) -> int:
    """One event in 64 bits: 32 bits of ns since the time base, x, y, polarity."""
    n = 0
    floor = state[FLOOR]
    for k in range(0, len(words), 2):
        floor = _in_order(state[BASE] + np.int64(words[k]), floor, state)
        address = words[k + 1]
        column, row = address & 0xFFFF, (address >> 16) & 0x7FFF
        if column < width and row < height:
            x[n] = column
            y[n] = row
            t[n] = floor
            p[n] = address >> 31
            n += 1
        else:
            state[OUTSIDE] += 1
    state[FLOOR] = floor
    return n
