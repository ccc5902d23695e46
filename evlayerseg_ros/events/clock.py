"""Sensor time to ROS time.

The ros-event-camera drivers document their clocks so: event times are the sensor's clock; the
header stamp of a packet is the host's clock when the first data of that packet arrived. The two
clocks drift apart, the header stamp jitters, and EVT3 sensor time starts anywhere. So

    ROS time = sensor time + offset,    offset = header stamp - sensor time of the first event,

where one packet's offset is the true one plus that packet's delay on its way. Delays only ever
add, so the least offset of the last seconds is the best, and the offset moves towards it by at most
1 % of the time that passes: stamps stay smooth, never go back, and follow drift. The first packet
sets the offset. If that one was late, or a clock was set, the offset is wrong by more than FAR:
once packets in a row say so, it moves fast, back by at most 90 % of the time that passes. Two
packets in a row that disagree by more than JUMP at once set it anew, because a clock was set or
restarted; a single one is a stray. Where the disagreement grew to that little by little, the two
clocks run at different paces: then the offset follows each stamp, in the same way.

Packets of encoding `mono` are documented differently: the header stamp is the ROS time of their
time base, exactly.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

# A larger disagreement (ns) than any delay: one of the clocks jumped.
JUMP = 1_000_000_000
# Most that the offset moves, as a share of the time that passes.
SLEW = 0.01
# The same, back and forth, where clocks run at different paces; stamps must not go back.
HURRY = (0.9, 9.0)
# How far (ns) the offset is off, and how many packets in a row must say so, for it to move fast.
FAR, AGREED = 100_000_000, 50
# They are at least so far apart (ns), and their halves say the same but for so much (ns, or share
# of the time between): else the clocks' paces differ.
APART, SAME, SAME_SHARE = 4_000_000, 2_000_000, 0.01
# The least offset is sought over one to two of these spans (ns).
SPAN = 5_000_000_000
# How many packets' offsets are remembered, for windows that end in an earlier packet.
MEMORY = 256


class _Piece(NamedTuple):
    """How the offset goes on from a sensor time on, all in ns."""

    since: int
    offset: int  # then
    target: int  # that it moves to
    slew: tuple[float, float]  # back and forth, as a share of the time that passes


class SensorClock:
    """Maps the sensor time of one stream to ROS time, as the module's text says."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the offset; the next packet sets it."""
        self._pieces: deque[_Piece] = deque(maxlen=MEMORY)  # oldest first
        self._recent: deque[tuple[int, int]] = deque(maxlen=AGREED)  # time, offset of packets
        self.corrects = False  # whether the offset moves fast, since it was wrong
        self._span_start = 0
        self._least = self._least_before = 0
        self._stamp: int | None = None
        self._slew = (SLEW, SLEW)
        self.limit = JUMP  # ns apart, more of which is told
        self._away = 0  # how far the last packet's stamp was from its event's time, ns

    @property
    def known(self) -> bool:
        """Whether any packet has set the offset."""
        return bool(self._pieces)

    @property
    def hurries(self) -> bool:
        """Whether the two clocks run at different paces."""
        return self._slew == HURRY

    def away(self, time: int, stamp: int) -> int:
        """How far (ns) a header stamp is ahead of a packet's first event at `time` (ns)."""
        return stamp - self.to_ros(time) if self._pieces else 0

    def drifts(self, away: int) -> bool:
        """Whether the two clocks came to be so far apart (ns) little by little."""
        return abs(away) > self.limit and abs(away - self._away) < JUMP // 2

    def hurry(self, away: int) -> None:
        """Bring together clocks that run at different paces and are `away` (ns) from each other."""
        self._slew = HURRY
        self.limit = abs(away) + JUMP

    def observe(self, time: int, stamp: int) -> None:
        """Learn from a packet: the sensor time of its first event and its header stamp, in ns."""
        if stamp == self._stamp:
            return  # a part of the same packet: its first event was seen
        self._stamp = stamp
        offset = stamp - time
        self._away = self.away(time, stamp)
        if not self._pieces:
            self._span_start = time
            self._least = self._least_before = offset
            self._pieces.append(_Piece(time, offset, offset, self._slew))
            return
        if time - self._span_start >= SPAN:
            self._span_start, self._least_before, self._least = time, self._least, offset
        self._least = min(self._least, offset)
        # Delays say nothing any more where the paces differ: then each stamp is followed.
        target = offset if self.hurries else min(self._least, self._least_before)
        now = self.to_ros(time) - time
        if not self._recent or time - self._recent[-1][0] >= APART:
            self._recent.append((time, offset))
        self.corrects = not self.hurries and (
            self._is_wrong(now, target) or (self.corrects and target != now)
        )
        self._pieces.append(_Piece(time, now, target, HURRY if self.corrects else self._slew))

    def _is_wrong(self, offset: int, target: int) -> bool:
        """Whether the last packets all say that the offset (ns) is far too large, or too small."""
        small, last = target > offset + FAR, self._recent[-1][1]
        if len(self._recent) < AGREED or not (small or last < offset - FAR):
            return False  # at once, since each packet comes here
        times, offsets = np.array(self._recent, np.int64).T
        if not small and offsets.max() >= offset - FAR:
            return False
        half, first = AGREED // 2, offsets[0]
        change = (offsets[half:] - first).mean() - (offsets[:half] - first).mean()
        return bool(abs(change) < max(SAME, SAME_SHARE * (times[half] - times[0])))

    def fix(self, time: int, offset: int) -> None:
        """Set the exact offset that holds from `time` (ns) on."""
        if not self._pieces or self._pieces[-1].offset != offset:
            self._pieces.append(_Piece(time, offset, offset, self._slew))

    def to_ros(self, time: int) -> int:
        """ROS time in ns of a sensor time in ns; sensor time itself while no offset is known."""
        if not self._pieces:
            return time
        piece = next((p for p in reversed(self._pieces) if p.since <= time), self._pieces[0])
        since, offset, target, slew = piece
        back, forth = (int(share * max(time - since, 0)) for share in slew)
        return time + offset + max(-back, min(target - offset, forth))
