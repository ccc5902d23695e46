"""Packets one after the other: their numbers, what is kept of the last, which one call decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Packet

# Packets that arrive after younger ones are at most so many numbers late.
LATE_PACKETS = 100
# A larger step of the packet number is a new publisher, not loss.
RESTART = 1_000_000
# Steps from 0 to this are usual; so many others in a row say that the numbers are no count.
_LARGEST, _WILD = 1000, 20
_WRAP = 1 << 32
# So long (ns) without a packet the sensor may have paused; less than what Decoder.pause() mends.
PAUSE = 50_000_000
# Bytes of packets that are decoded in one call: more would win nothing, and their windows wait.
MOST_BYTES = 1 << 16


@dataclass
class Last:
    """The packet before this one.

    Attributes:
        seq: its number; None before the first packet, or where it says nothing.
        stamp: of its header, ns.
        filled: the stamp of the last packet that was not empty.
        base: its time base, ns.
        exact: whether its stamp is the ROS time of its time base.
        frame_id: of its header; None before the first packet.
        counted: the decoder's counters after it.
    """

    seq: int | None = None
    stamp: int | None = None
    filled: int | None = None
    base: int | None = None
    exact: bool = False
    frame_id: str | None = None
    counted: tuple[int, ...] = (0, 0, 0, 0, 0)


@dataclass
class Numbers:
    """Whether the numbers of packets count them: some publishers fill in a time, or anything.

    Attributes:
        wild: steps in a row that no count makes.
    """

    wild: int = 0
    _last: int | None = None

    def of(self, seq: int | None) -> int | None:
        """The number of the next packet; None where numbers say nothing."""
        last, self._last = self._last, seq
        if seq is None or last is None:
            return seq
        self.wild = 0 if 0 <= step(seq, last) <= _LARGEST else self.wild + 1
        return None if self.wild >= _WILD else seq


def step(seq: int, last: int) -> int:
    """Difference of two packet numbers; 32-bit ones may wrap."""
    if max(seq, last) >= _WRAP:
        return seq - last
    return ((seq - last + _WRAP // 2) & (_WRAP - 1)) - _WRAP // 2


def batch_size(
    packets: Sequence[Packet], decoder: Decoder | None, last: Last, size: tuple[int, int]
) -> int:
    """How many of these packets, from the first on, only need decoding: nothing is wrong with them.

    Args:
        packets: in the order in which they came.
        decoder: of the packet before; None if there was none.
        last: the packet before.
        size: (width, height) of the sensor in px, 0 for what a packet says.
    """
    if decoder is None or decoder.encoding != "evt3":
        return 0
    n = total = 0
    seq, filled = last.seq, last.filled
    for packet in packets:
        whole = packet.encoding == "evt3" and not (packet.fault or packet.big_endian)
        width, height = size[0] or packet.width, size[1] or packet.height
        fits = (width, height) == (decoder.width, decoder.height) and len(packet.data) % 2 == 0
        follows = seq is None or packet.seq is None or packet.seq == seq + 1
        paused = filled is not None and packet.stamp - filled > PAUSE
        total += len(packet.data)
        if paused or not (whole and fits and follows and total <= MOST_BYTES):
            break
        seq, n = packet.seq, n + 1
        filled = packet.stamp if len(packet.data) else filled
    return n
