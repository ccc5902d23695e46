"""Time words of EVT after a pause: when is their far step believed?"""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.events.codecs import _state as field
from evlayerseg_ros.events.codecs._prophesee import NEAR

APART = 1_000_000_000  # ns by which two clocks may measure a pause differently


def believe_step(
    state: np.ndarray, words: np.ndarray, high: int, length: int, doubted: int | None
) -> int | None:
    """Prepare a decoder for the first time word of a packet after a pause.

    Its step is believed if the other clock says about the same: within APART where the next time
    words agree, else within NEAR. What is not believed may be a bit error, or the other clock was
    set or late; if the step from one such packet to the next is as the other clock says, the
    packets were right.

    Args:
        state: of the decoder, changed.
        words: of the packet, unsigned; those with time words of evt21 alone.
        high: unit of the high time, ns.
        length: of the pause by another clock, ns: it tells how often the time wrapped.
        doubted: what this returned after the pause before.

    Returns:
        The high time that was not believed; None: there is none.
    """
    bits = 8 * words.itemsize - 4
    codes = words[words >> bits == 0x8][: field.CONFIRM].astype(np.int64)
    mask, near = (1 << bits) - 1, NEAR // high

    def measure(since: int) -> tuple[int, int, int]:
        """Step from a high time, how often it wrapped, and how far off the other clock is, ns."""
        step = int(codes[0] - since) & mask
        wraps = max(round((length / high - step) / (mask + 1)), 0)
        return step, wraps, abs(length - (step + wraps * (mask + 1)) * high)

    if not len(codes) or np.any((codes - codes[0]) & mask > near):
        return None
    step, wraps, off = measure(int(state[field.HIGH]))
    back = step > mask - near  # or nearly once around
    if not wraps and (step <= near or (back and off > NEAR)):
        return None  # no far step
    if off > (APART if len(codes) > 1 else NEAR):
        if doubted is None:
            return int(codes[0])
        _, wraps, off = measure(doubted)
        if off > NEAR:
            return int(codes[0])
    if wraps or back or not state[field.HAS_HIGH]:
        state[[field.HAS_HIGH, field.HAS_LOW, field.CONFIRMED]] = 0
        state[field.HIGH] += wraps << bits
    else:  # events before its first time word are of the time before the pause
        state[field.CANDIDATE], state[field.CONFIRMED] = codes[0] & mask, field.CONFIRM - 1
    return None
