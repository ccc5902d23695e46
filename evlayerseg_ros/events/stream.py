"""PacketStream: packets of one topic to windows; faults of the stream are seen and survived."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.behind import PacketsBehind
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.codecs.decoder import Decoded
from evlayerseg_ros.events.event_array_filter import EventArrayFilter, on_sensor
from evlayerseg_ros.events.sequence import PAUSE, RESTART, Last, Numbers, batch_size, step
from evlayerseg_ros.events.stats import StreamStats
from evlayerseg_ros.events.timeline import Timeline
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.events.window import WindowConfig, Windower, WindowerAt


class PacketStream:
    """Decodes packets, cuts windows and gives them ROS stamps. Not thread safe.

    Faults are counted in `stats` and leave the stream usable:
    - Lost packets (a step in seq): the decoder waits for a fresh time and address and keeps the
      time wraps; the open window goes on without the lost events. Numbers that start again, another
      encoding or another sensor size: the open window closes and everything begins anew.
    - A packet twice, byte for byte, or after younger ones: left out. It waits until a newer one
      follows, since a short recording that begins again looks the same at first: after AGAIN
      packets in a row that were used before, they are used again, and everything begins anew. The
      same number with other bytes or another time base is another packet, of a source that does
      not count.
    - Decoded events far before those that came earlier: a few of a message are strays and dropped;
      a whole message waits likewise, and AGAIN of them are a clock that was set back.
    - Sensor time that goes back, or two header stamps in a row that disagree with it by more than
      1 s: the open window closes, and windows and clock begin anew. A single such stamp is not
      used. No fault is a pause, which the header
      stamps tell (nothing moves): after more than 2 s only the windows begin anew.
    - A packet that cannot be decoded: InputError; the decoder goes on as after a loss.

    Args:
        config: the window rule.
        width, height: sensor size in px; 0 takes what each packet says.
        starts: int64 [M], sensor times in ns, rising: windows that open at these instants instead
            of one after the other (see WindowerAt).

    Raises:
        InputError: a wrong value in config.
    """

    def __init__(
        self,
        config: WindowConfig,
        width: int = 0,
        height: int = 0,
        starts: np.ndarray | None = None,
    ) -> None:
        self.stats = StreamStats()
        windower = Windower(config) if starts is None else WindowerAt(config, starts)
        self._timeline = Timeline(windower, self.stats)
        self._max_age = round(config.max_age_ms * 1e6)
        self._width, self._height = width, height
        self._decoder: Decoder | None = None
        self._last = Last()
        self._numbers = Numbers()
        self._behind = PacketsBehind()
        self._decoded = EventArrayFilter(self._timeline, self.stats)
        self._size: tuple[int, int] | None = None

    @property
    def silence_ns(self) -> int:
        """How long (ns) no packet may come before flush() should close the open window."""
        return 2 * self._max_age + self._timeline.span

    @property
    def began(self) -> int | None:
        """Sensor time of the very first event, ns; None before it."""
        return self._timeline.began

    def push(self, packet: Packet) -> list[Window]:
        """Take one packet and return the windows that it closes.

        Decoded events (dvs_msgs/EventArray, vendor files) whose times are within 1 s of the stamp
        are in ROS time already; others are mapped like sensor time.

        Args:
            packet: later than those before, apart from the faults named above.

        Raises:
            InputError: the packet cannot be decoded; counted, and the next packet is welcome.
        """
        if packet.events is not None:
            return self._push_events(packet, packet.events)
        packet = self._numbered(packet)
        try:
            decoder = self._decoder_of(packet)
        except InputError as error:
            self._refuse(error, packet.seq, packet.stamp)
            raise
        windows = self._change_to(decoder)
        if self._behind.comes(packet, self._last):
            return windows + self._hold(packet)
        self._leave_out()
        return windows + self._use(packet)

    def push_each(self, packets: Sequence[Packet]) -> Iterator[list[Window] | Exception]:
        """What push() returns or raises for each; small packets are decoded in one call."""
        ready: deque[Decoded] = deque()
        for k, packet in enumerate(packets):
            try:
                if not ready:
                    size = self._width, self._height
                    n = batch_size(packets[k:], self._decoder, self._last, size)
                    if n > 1 and self._decoder is not None:
                        some = [one.data for one in packets[k : k + n]]
                        ready.extend(self._decoder.decode_each(some))
                if ready:
                    self._leave_out()
                    yield self._use(self._numbered(packet), ready.popleft())
                else:
                    yield self.push(packet)
            except Exception as error:
                yield error

    def skip(self) -> None:
        """The caller leaves out packets: the decoder goes on as after a loss, which is not counted.

        The number of the next packet says nothing about losses.
        """
        self._leave_out()
        self._last.seq = None
        if self._decoder is not None:
            self._decoder.resync()

    def flush(self) -> list[Window]:
        """Close the open window with what it has: the stream stalled or ended."""
        self._leave_out()
        return self._decoded.finish() + self._timeline.flush()

    def reset(self) -> None:
        """Forget buffered events, decoder and clock; the counters stay."""
        self._timeline.reset()
        self._decoder = None
        self._last = Last()
        self._behind.clear()
        self._decoded.clear()
        self._size = None

    # -- faults of the packet sequence

    def _refuse(self, error: InputError, seq: int | None, stamp: int) -> None:
        self.stats.refuse(str(error))
        if self._decoder is not None:
            self._decoder.resync()
        if self._last.seq is None:
            return
        if seq is None:
            self._last.seq += 1  # what could not be read at all was the next one
        elif step(seq, self._last.seq) > 0:
            self._last.seq, self._last.stamp = seq, stamp

    def _decoder_of(self, packet: Packet) -> Decoder:
        """The decoder in use if it fits the packet, else a new one; InputError if none does."""
        if packet.fault:
            raise InputError(packet.fault)
        if packet.big_endian:
            raise InputError(
                f"A {packet.encoding} packet with is_bigendian set: expected little-endian words."
            )
        kind = (packet.encoding, self._width or packet.width, self._height or packet.height)
        decoder = self._decoder
        if not decoder or (decoder.encoding, decoder.width, decoder.height) != kind:
            decoder = Decoder(*kind)
        decoder.check(packet.data, packet.time_base)
        return decoder

    def _change_to(self, decoder: Decoder) -> list[Window]:
        windows: list[Window] = []
        old = self._decoder
        if old is not None and old is not decoder:
            windows = self._restart(
                f"The camera changed from {old.encoding} {old.width}x{old.height} "
                f"to {decoder.encoding} {decoder.width}x{decoder.height}."
            )
        self._decoder = decoder
        return windows

    def _resize(self, size: tuple[int, int]) -> list[Window]:
        windows: list[Window] = []
        if self._size is not None and self._size != size:
            windows = self._restart(
                f"The sensor's size changed from {self._size[0]}x{self._size[1]} "
                f"to {size[0]}x{size[1]}; sensor.width and .height, or --size WxH, say one for all."
            )
        self._size = size
        return windows

    def _restart(self, fault: str) -> list[Window]:
        self.stats.restarts += 1
        self.stats.last_fault = fault
        windows = self.flush()
        self.reset()
        return windows

    def _numbered(self, packet: Packet) -> Packet:
        """The packet, without its number where numbers say nothing."""
        seq = self._numbers.of(packet.seq)
        if seq == packet.seq:
            return packet
        self.stats.last_fault = f"Packet numbers as {packet.seq} are no count, and are not used."
        return replace(packet, seq=None)

    def _hold(self, packet: Packet) -> list[Window]:
        """Keep an encoded packet that comes behind until it is known if a publisher restarts."""
        if not self._behind.follows(packet):
            self._leave_out()
        self._behind.held.append(packet)
        if not self._behind.begin_again():
            return []
        again = self._behind.held.copy()
        windows = self._begin_again(again[0].seq)
        for packet in again:
            windows += self._use(packet)
        return windows

    def _leave_out(self) -> None:
        """Count the packets that came behind: no publisher begins again."""
        if held := self._behind.held:
            self.stats.doubled_packets += len(held)
            which = f"Packet {held[-1].seq} came again, or after packet {self._last.seq}."
            self.stats.last_fault = "A packet came again." if held[-1].seq is None else which
            held.clear()
        self._decoded.leave_out()

    def _follow(self, seq: int | None) -> list[Window]:
        """See what happened between the last packet and this one."""
        last = self._last.seq
        if seq is None or last is None or (n := step(seq, last)) in (0, 1):
            return []  # the same number: a source that does not count
        if not 0 < n <= RESTART:
            return self._begin_again(seq)
        self.stats.gaps += 1
        self.stats.lost_packets += n - 1
        self.stats.last_fault = f"{n - 1} packets were lost before packet {seq}."
        if self._decoder is not None:
            self._decoder.resync()
        return []

    def _begin_again(self, seq: int | None) -> list[Window]:
        decoder = self._decoder
        self._behind.clear()
        windows = self._restart(f"The publisher began again with packet {seq}.")
        if decoder is not None:
            self._decoder = Decoder(decoder.encoding, decoder.width, decoder.height)
        return windows

    def _use(self, packet: Packet, decoded: Decoded | None = None) -> list[Window]:
        """Decode a packet, if it is not yet, and return the windows that it closes."""
        windows = self._follow(packet.seq)
        decoder = self._decoder
        assert decoder is not None
        stamp, time_base = packet.stamp, packet.time_base
        # The stamp of a mono packet is that of its time base, unless only the stamps go on.
        moves = time_base != self._last.base or stamp == self._last.stamp
        exact = decoder.encoding == "mono" and packet.stamped and moves
        if self._last.exact and not exact:
            self._timeline.forget_clock()
        self._last.exact = exact
        self._last.seq, self._last.stamp, self._last.base = packet.seq, stamp, time_base
        if decoded is None:
            if (pause := stamp - (self._last.filled or stamp)) > PAUSE:
                decoder.pause(packet.data, pause)
            events = decoder.decode(packet.data, time_base)
            decoded = Decoded(events, decoder.now, decoder.counted)
        if len(decoded.events):  # others are often alike
            self._behind.use(packet)
        self._last.filled = stamp if len(packet.data) else self._last.filled
        self.stats.decoded(decoded.counted, self._last.counted)
        self._last.counted = decoded.counted
        self.stats.unstamped += not packet.stamped
        self._see_frame(packet)
        offset = stamp - time_base if exact else None
        return windows + self._timeline.push(decoded.events, decoded.now, stamp, offset)

    def _see_frame(self, packet: Packet) -> None:
        before, self._last.frame_id = self._last.frame_id, packet.frame_id
        self.stats.frame_changes += before not in (None, packet.frame_id)

    def _push_events(self, packet: Packet, events: Events) -> list[Window]:
        events, outside = on_sensor(events, self._width, self._height)
        self.stats.out_of_range += packet.outside + outside
        self.stats.stray_events += packet.strays
        self.stats.time_errors += packet.late
        self.stats.unstamped += not packet.stamped
        self._see_frame(packet)
        windows = self._resize((events.width, events.height))
        return windows + self._decoded.push(events, packet.stamp)
