"""The numbers of packets, and what is kept of the last one."""

from __future__ import annotations

from dataclasses import dataclass

_WRAP = 1 << 32


@dataclass
class Last:
    """The packet before this one.

    Attributes:
        seq: its number; None before the first packet, or where it says nothing.
        stamp: of its header, ns.
        base: its time base, ns.
        exact: whether its stamp is the ROS time of its time base.
        print: of its bytes and time base.
        counted: the decoder's counters after it.
    """

    seq: int | None = None
    stamp: int | None = None
    base: int | None = None
    exact: bool = False
    print: int = 0
    counted: tuple[int, ...] = (0, 0, 0, 0, 0)


def step(seq: int, last: int) -> int:
    """How many numbers a packet comes after the last one; those of 32 bits go on after a wrap."""
    if max(seq, last) >= _WRAP:
        return seq - last
    return ((seq - last + _WRAP // 2) & (_WRAP - 1)) - _WRAP // 2
