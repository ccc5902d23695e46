"""Plays a recording to the node over ROS, for machines without `ros2 bag`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.codecs import encode_mono
from evlayerseg_ros.events.types import Events, Packet
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.recordings.zero import FromZero

# Decoded events go out in packets of this much sensor time, ns, as from a camera driver.
SLICE = 4_000_000
# Stamps that go back or forth by more than this (s) are not waited for.
_BACK, _FORTH = 5.0, 60.0


@dataclass
class Played:
    """What was played.

    Attributes:
        topic: where.
        packets: how many.
        bytes: of events in them.
        seconds: wall time.
        late: longest delay behind the recording's own pace, s.
        fault: what was wrong with the recording, "" if nothing was.
    """

    topic: str
    packets: int = 0
    bytes: int = 0
    seconds: float = 0.0
    late: float = 0.0
    fault: str = ""

    def __str__(self) -> str:
        return (
            f"{self.packets} packets, {self.bytes * 1e-6:.2f} MB in {self.seconds:.2f} s "
            f"on {self.topic}, at most {self.late * 1e3:.0f} ms late"
            f"{'; ' if self.fault else ''}{self.fault}"
        )


def play(
    path: Path,
    rate: float = 1.0,
    topic: str | None = None,
    loop: bool = False,
    recorded_topic: str | None = None,
    patience: float = 10.0,
    size: tuple[int, int] | None = None,
    subscribers: int = 1,
) -> Played:
    """Publishes a recording as EventPackets at its own pace.

    Where its stamps go forth by more than 60 s or back by more than 5 s, as where a clock was set
    or nothing was recorded, what follows is published without a wait, which is told.

    Args:
        path: any recording that open_recording reads. Packets go out as they are, events in
            encoding mono; the header stamps are the recording's, moved if they are negative.
        rate: how many times as fast as it was recorded.
        topic: where to; None finds who listens, see PacketPublisher.
        loop: begins again at the end, with numbers and times as recorded, until interrupted.
        recorded_topic: which topic of a bag, None if it has one.
        patience: s to wait for subscribers.
        size: (width, height) of the sensor in px, None for what the recording says.
        subscribers: how many to wait for.

    Raises:
        InputError: the recording is unsound, the rate is not positive, or too few subscribe.
    """
    # rclpy only where a recording is really played.
    from evlayerseg_ros.node.packet_publisher import PacketPublisher

    if not rate > 0:
        raise InputError(f"The rate is {rate:g}: expected a number above 0.")
    with open_recording(path, recorded_topic, size) as recording:
        recording.tell()  # a wrong path is told before anybody waits
    with PacketPublisher(topic, patience, subscribers) as publisher:
        played, zero = Played(publisher.topic), FromZero("what is played")
        begun = time.monotonic()
        try:
            again = True
            while again:
                with open_recording(path, recorded_topic, size) as recording:
                    _play_once(recording, rate, publisher.publish, zero, played, begun)
                again = loop
        except KeyboardInterrupt:
            pass  # that is how a loop ends
        return played


def _play_once(
    recording: Iterable[Packet],
    rate: float,
    publish: Callable[[Packet], None],
    zero: Callable[[int], int],
    played: Played,
    begun: float,
) -> None:
    """One pass through the recording, each packet at its time."""
    due, last, seq = time.monotonic(), None, 0
    for packet in recording:
        played.fault = packet.fault or played.fault
        for out in encoded(packet, zero):
            due += 0.0 if last is None else _step((out.stamp - last) * 1e-9, seq) / rate
            last = out.stamp
            _wait(due, played)
            publish(out if out.seq is not None else replace(out, seq=seq))
            seq += 1
            played.packets += 1
            played.bytes += len(out.data)
            played.seconds = time.monotonic() - begun


def _step(seconds: float, seq: int) -> float:
    """How long after the message before (s) the one of a number is due, by their stamps."""
    if -_BACK <= seconds <= _FORTH:
        return seconds
    print(
        f"evlayerseg: Before message {seq} the stamps go {abs(seconds):.1f} s "
        f"{'forth' if seconds > 0 else 'back'}, as where a clock was set: that is not waited for.",
        file=sys.stderr,
    )
    return 0.0


def encoded(packet: Packet, zero: Callable[[int], int] = int) -> Iterator[Packet]:
    """A packet of a recording as a camera would send it: as it is, or its events as "mono".

    Nothing of a message that could not be read.

    Args:
        packet: the packet.
        zero: moves the times (ns) of events.
    """
    if packet.fault:
        return
    if packet.events is None:
        yield packet
        return
    for part in slices(packet.events):
        base = zero(int(part.t[0]))
        data = encode_mono(part, int(part.t[0]))
        yield Packet("mono", part.width, part.height, base, data, base, frame_id=packet.frame_id)


def slices(events: Events) -> Iterator[Events]:
    """The events in parts of SLICE ns of sensor time; empty parts are left out."""
    if not len(events):
        return
    edges = np.flatnonzero(np.diff(events.t // SLICE)) + 1
    for begin, end in zip([0, *edges], [*edges, len(events)]):
        yield events[begin:end]


def _wait(until: float, played: Played) -> None:
    ahead = until - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
    else:
        played.late = max(played.late, -ahead)
