"""Packets one after the other: their numbers, what is kept of the last, which one call decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Packet

_WRAP = 1 << 32
# Bytes of packets that are decoded in one call: more would win nothing, and their windows wait.
MOST_BYTES = 1 << 16


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


def at_once(
    packets: Sequence[Packet], decoder: Decoder | None, seq: int | None, size: tuple[int, int]
) -> int:
    """How many of these packets, from the first on, only need decoding: nothing is wrong with them.

    Args:
        packets: in the order in which they came.
        decoder: of the packet before; None if there was none.
        seq: the number of the packet before.
        size: (width, height) of the sensor in px, 0 for what a packet says.
    """
    if decoder is None or decoder.encoding != "evt3":
        return 0
    n = total = 0
    for packet in packets:
        whole = packet.encoding == "evt3" and not (packet.fault or packet.big_endian)
        width, height = size[0] or packet.width, size[1] or packet.height
        fits = (width, height) == (decoder.width, decoder.height) and len(packet.data) % 2 == 0
        follows = seq is None or packet.seq is None or packet.seq == seq + 1
        total += len(packet.data)
        if not (whole and fits and follows and total <= MOST_BYTES):
            break
        seq, n = packet.seq, n + 1
    return n
