"""Which packets that wait can be decoded in one call."""

from __future__ import annotations

from collections.abc import Sequence

from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Packet

# Bytes of packets that are decoded in one call: more would win nothing, and their windows wait.
MOST_BYTES = 1 << 16


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
