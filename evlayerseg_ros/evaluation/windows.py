"""Windows of events that start at given times, out of a recording, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clock import SensorClock
from evlayerseg_ros.events.codecs import Decoder
from evlayerseg_ros.events.types import Events, Packet, Window
from evlayerseg_ros.segmentation.segmentation import Segmentation

Segment = Callable[[Window], Segmentation]


@dataclass(frozen=True)
class Length:
    """How long a window is: a number of events, or a time in ns where `events` is 0."""

    events: int = 50_000
    ns: int = 0

    def __str__(self) -> str:
        return f"{self.events} events" if self.events else f"{self.ns * 1e-6:g} ms"


def events_of(packets: Iterable[Packet], ros_time: bool = False) -> Iterator[Events]:
    """The events of a recording, packet by packet.

    Args:
        packets: of one topic, in order.
        ros_time: whether a bag's events count in ROS time, as the node maps it, instead of on the
            sensor's own clock.

    Raises:
        InputError: a packet cannot be decoded, or the sensor or the encoding changes on the way.
    """
    decoder: Decoder | None = None
    clock = SensorClock()
    for packet in packets:
        if packet.events is not None:
            yield _in_ros_time(packet.events, packet, clock) if ros_time else packet.events
            continue
        if decoder is None:
            decoder = Decoder(packet.encoding, packet.width, packet.height)
        kind = packet.encoding, packet.width, packet.height
        if kind != (decoder.encoding, decoder.width, decoder.height):
            raise InputError(
                f"The recording changes from {decoder.encoding} {decoder.width}x{decoder.height} "
                f"to {packet.encoding} {packet.width}x{packet.height}; expected one sensor."
            )
        events = decoder.decode(packet.data, packet.time_base)
        yield _in_ros_time(events, packet, clock) if ros_time else events


def _in_ros_time(events: Events, packet: Packet, clock: SensorClock) -> Events:
    """The events with times mapped as in the node; those of files are ROS time already."""
    if not len(events) or not packet.topic:
        return events
    first = int(events.t[0])
    if packet.encoding == "mono":
        clock.fix(first, packet.stamp - packet.time_base)
    else:
        clock.observe(first, packet.stamp)
    last = int(events.t[-1])
    begin, end = clock.to_ros(first) - first, clock.to_ros(last) - last
    drift = np.interp(events.t, (first, last), (0, end - begin)) if last > first else 0
    t = events.t + begin + np.rint(drift).astype(np.int64)
    return Events(events.x, events.y, t, events.p, events.width, events.height)


def windows_at(
    chunks: Iterable[Events], starts: np.ndarray, length: Length, gaps: bool = False
) -> Iterator[tuple[int, int, Window]]:
    """Full windows that start at given times, in bounded memory.

    Args:
        chunks: events in order, parts of one stream.
        starts: int64 [M], ns, rising. Windows may overlap. A window is left out where the stream
            ends in it, or (unless `gaps`) where its first event comes later after its start than it
            lasts.
        length: of the windows.
        gaps: whether to give windows whose first event comes late, too.

    Yields:
        (index into starts, index of the window's first event in the whole stream, window)
    """
    held: Events | None = None
    dropped = pending = 0
    for chunk in chunks:
        if not len(chunk):
            continue
        held = chunk if held is None else Events.concatenate([held, chunk])
        while pending < len(starts):
            first = int(np.searchsorted(held.t, starts[pending]))
            window = _cut(held, first, int(starts[pending]), length)
            if window is None:
                held = held[first:]
                dropped += first
                break
            if gaps or covers(window, int(starts[pending])):
                yield pending, dropped + first, window
            pending += 1
        if pending == len(starts):
            return


def windows_through(chunks: Iterable[Events], length: Length) -> Iterator[Window]:
    """Full windows back to back from the first event on, in bounded memory.

    Args:
        chunks: events in order, parts of one stream.
        length: of the windows.
    """
    held: Events | None = None
    for chunk in chunks:
        held = chunk if held is None else Events.concatenate([held, chunk])
        while len(held):
            window = _cut(held, 0, int(held.t[0]), length)
            if window is None:
                break
            yield window
            held = held[len(window.events) :]


def _cut(events: Events, first: int, start: int, length: Length) -> Window | None:
    """The window from event `first` on, or None where the events do not fill it yet."""
    if length.events:
        last = first + length.events
        if last > len(events):
            return None
        start, end = int(events.t[first]), int(events.t[last - 1])
    else:
        end = start + length.ns
        if not len(events) or events.t[-1] <= end:
            return None
        last = int(np.searchsorted(events.t, end, side="right"))
        end = int(events.t[last - 1]) if last > first else end
    return Window(events[first:last], start, end, end)


def covers(window: Window, start: int) -> bool:
    """Whether the window holds events from about its start on, not only some time later."""
    if not len(window.events):
        return False
    first = int(window.events.t[0])
    return first - start <= window.end - first


def fitted(window: Window, mask: np.ndarray) -> Window:
    """The window on a sensor of the mask's size, for files that do not say their sensor's size.

    Raises:
        InputError: the mask is smaller than the sensor.
    """
    events = window.events
    height, width = mask.shape
    if (width, height) == (events.width, events.height):
        return window
    if width < events.width or height < events.height:
        raise InputError(
            f"The masks are {width}x{height} but the sensor of the recording is "
            f"{events.width}x{events.height}."
        )
    events = Events(events.x, events.y, events.t, events.p, width, height)
    return Window(events, window.start, window.end, window.stamp)
