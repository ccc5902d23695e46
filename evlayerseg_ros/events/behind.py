"""Encoded packets that come behind: a second time, or after younger ones."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from evlayerseg_ros.events.event_array_filter import AGAIN, LATE_TIME
from evlayerseg_ros.events.sequence import LATE_PACKETS, Last, step
from evlayerseg_ros.events.types import Packet


class PacketsBehind:
    """Keeps packets that come behind until it is known whether the publisher began again.

    Attributes:
        held: those that wait, in the order in which they came.
    """

    def __init__(self) -> None:
        self.held: list[Packet] = []
        self._used: deque[tuple[int | None, int]] = deque(maxlen=LATE_PACKETS)

    def use(self, packet: Packet) -> None:
        """Remember a packet that is used."""
        self._used.append((packet.seq, packet.fingerprint()))

    def clear(self) -> None:
        """Forget all."""
        self.held.clear()
        self._used.clear()

    def comes(self, packet: Packet, last: Last) -> bool:
        """Whether a packet comes again, or a little too late.

        Numbers and bytes tell; stamps only where they say something: a relay may have set another,
        and some sources set the same, or none, always.

        Args:
            packet: the packet.
            last: the youngest before it.
        """
        if last.stamp is None:
            return False
        late = last.stamp - packet.stamp
        n = None if packet.seq is None or last.seq is None else step(packet.seq, last.seq)
        if n is not None and n > 0:
            return False
        if abs(late) < LATE_TIME and packet.holds_something and self._was_used(packet):
            return True
        if not n:  # no number, or the same: it may be the next one of a source that does not count
            return False
        return n > -LATE_PACKETS and (0 <= late < LATE_TIME or not packet.stamped)

    def _was_used(self, packet: Packet) -> bool:
        return (packet.seq, packet.fingerprint()) in self._used

    def follows(self, packet: Packet) -> bool:
        """Whether a packet that comes behind goes on where the last one that waits ended."""
        if not self.held:
            return True
        before = self.held[-1]
        if before.seq is None or packet.seq is None or packet.seq == before.seq:
            rises = packet.fingerprint() != before.fingerprint()
        else:
            rises = step(packet.seq, before.seq) > 0
        return rises and before.stamp <= packet.stamp

    def begin_again(self) -> bool:
        """Whether those that wait say that the publisher began again.

        A short recording that begins again looks like packets that come twice at first. Where
        stamps say nothing, packets in a row with numbers in a row do.
        """
        if len(self.held) < AGAIN:
            return False
        if sum(self._was_used(packet) for packet in self.held) >= AGAIN:
            return True
        first = self.held[0]
        steps = {step(b.seq or 0, a.seq or 0) for a, b in pairwise(self.held)}
        return steps == {1} and all(p.stamp == first.stamp or not p.stamped for p in self.held)
