"""What a decoder remembers between packets, and the helpers that all compiled loops share.

The state of a decoder is one int64 array, so that a compiled loop can pick up where the last packet
ended, at any word. Its fields are the indices below; times are in the unit of the encoding.
"""

from __future__ import annotations

from typing import Any

from numba import njit, types, uint32
from numba.extending import intrinsic

# Clock. FLOOR: no later event may lie before it. HIGH, LOW: the parts of the time last sent.
FLOOR, HIGH, LOW, HAS_HIGH, HAS_LOW = 0, 1, 2, 3, 4
# A high time that does not fit, and how often in a row it was confirmed; of libcaer the low time
# before the last, -1 for none.
CANDIDATE, CONFIRMED = 5, 6
# Address. X and Y are -1 while unknown.
X, Y, POLARITY = 7, 8, 9
# Encodings with a time base: its value (ns).
BASE = 10
# EVT 2.1: 0 unknown, 1 the low half of a word comes first, 2 the high half comes first.
LAYOUT = 11
# Counters.
UNKNOWN, UNSYNCED, OUTSIDE, GLITCHES, STRAYS = COUNTERS = 12, 13, 14, 15, 16
SIZE = 17

# Words in a row that must agree before a jump of the high time is believed.
CONFIRM = 3

JIT: dict[str, Any] = {"nogil": True, "cache": True, "boundscheck": False}


def _lowest_bit(typingctx: Any, value: Any) -> Any:
    """Index of the lowest set bit of a non-zero uint32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        is_zero_poison = context.get_constant(types.boolean, True)
        return builder.cttz(args[0], is_zero_poison)

    return types.uint32(types.uint32), codegen


def _count_bits(typingctx: Any, value: Any) -> Any:
    """Number of set bits of a uint32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint32(types.uint32), codegen


lowest_bit: Any = intrinsic(_lowest_bit)
count_bits: Any = intrinsic(_count_bits)


@njit(**JIT)
def events_at_most(words: Any, one: int, twelve: int, eight: int) -> int:
    """At most how many events are in 16-bit words.

    Args:
        words: whose highest 4 bits are their type.
        one: the type of words that are an event each.
        twelve, eight: the types of words with a bit an event in their lowest 12 or 8; 16 for none.
    """
    n = vectors = 0
    for k in range(len(words)):  # nothing but comparisons, so that the processor does many at once
        code = words[k] >> 12
        n += code == one
        vectors += (code == twelve) | (code == eight)
    if 12 * vectors <= n >> 3:  # a little room too much costs less than counting bits
        n += 12 * vectors
    else:
        for k in range(len(words)):
            code = words[k] >> 12
            mask = 0xFFF if code == twelve else (0xFF if code == eight else 0)
            n += count_bits(uint32(words[k] & mask))
    return n


@njit(**JIT)
def next_high(high: int, code: int, bits: int, near: int, state: Any) -> int:
    """The unwrapped high time after the high time `code`, which has `bits` bits and wraps.

    A step of at most `near` either way is taken as it is: forward is time passing (a wrap of the
    counter included), a little back is a known quirk of sensors. A larger step is a bit error or a
    real jump: it is believed once CONFIRM words in a row agree, and always counts as forward.
    """
    mask = (1 << bits) - 1
    step = (code - high) & mask
    if step > mask >> 1:
        step -= mask + 1
    if -near <= step <= near:
        state[CONFIRMED] = 0
        return high + step
    if state[CONFIRMED] > 0 and (code - state[CANDIDATE]) & mask <= near:
        state[CONFIRMED] += 1
    else:
        state[CONFIRMED] = 1
        state[GLITCHES] += 1
    state[CANDIDATE] = code
    if state[CONFIRMED] < CONFIRM:
        return high
    state[CONFIRMED] = 0
    return high + ((code - high) & mask)
