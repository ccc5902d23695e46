"""Decoder: packets of one camera to events."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clean import OVERLAP, is_stray
from evlayerseg_ros.events.codecs import _prophesee, _time_base
from evlayerseg_ros.events.codecs import _state as field
from evlayerseg_ros.events.codecs._pause import believe_step
from evlayerseg_ros.events.codecs._prophesee import HIGH_EVT2, HIGH_EVT3
from evlayerseg_ros.events.types import Events, check_size

# More events than any camera sends at once: 436 MB when they are decoded.
MAX_EVENTS = 1 << 25
# At most so many events are in one byte of any encoding: 12 in a word of EVT 3.0.
_EVENTS_PER_BYTE = 6


@dataclass(frozen=True)
class _Codec:
    """How to decode one encoding: its word (numpy type, bytes), loop and units of time in ns."""

    words: np.dtype[Any]
    word_bytes: int
    loop: Callable[..., int]
    capacity: Callable[[np.ndarray], int]
    tick: int
    high: int  # unit of the high time; 0 where packets have a time base

    @property
    def has_base(self) -> bool:
        return not self.high


def _evt3_capacity(words: np.ndarray) -> int:
    return int(field.events_at_most(words, 0x2, 0x4, 0x5))


def _libcaer_cmp_capacity(words: np.ndarray) -> int:
    return int(field.events_at_most(words, 0x3, 16, 0x5))


def _one_per_two_halves(words: np.ndarray) -> int:
    return len(words) // 2


_U2, _U4 = np.dtype("<u2"), np.dtype("<u4")
_CODECS = {
    "evt3": _Codec(_U2, 2, _prophesee.evt3, _evt3_capacity, 1000, HIGH_EVT3),
    "evt2": _Codec(_U4, 4, _prophesee.evt2, len, 1000, HIGH_EVT2),
    "evt21": _Codec(_U4, 8, _prophesee.evt21, _prophesee.evt21_capacity, 1000, HIGH_EVT2),
    "libcaer": _Codec(_U4, 8, _time_base.libcaer, _one_per_two_halves, 1, 0),
    "libcaer_cmp": _Codec(_U2, 2, _time_base.libcaer_cmp, _libcaer_cmp_capacity, 1, 0),
    "mono": _Codec(_U4, 8, _time_base.mono, _one_per_two_halves, 1, 0),
}
ENCODINGS: tuple[str, ...] = tuple(_CODECS)


class Counted(NamedTuple):
    """What a decoder has left out, skipped or mended since it was made, as COUNTERS are ordered.

    Attributes:
        unknown: words of a type that the encoding does not have; skipped.
        unsynced: events whose time or address came before the stream was joined; dropped.
        out_of_range: events outside the sensor; dropped.
        time_errors: time words that did not fit the clock, and events whose time went back a
            little; mended.
        strays: events whose time fits none of their neighbours'; dropped.
    """

    unknown: int
    unsynced: int
    out_of_range: int
    time_errors: int
    strays: int


class Decoded(NamedTuple):
    """A packet's events, and what the decoder says after it.

    Attributes:
        events: maybe none.
        now: Decoder.now.
        counted: Decoder.counted.
    """

    events: Events
    now: int | None
    counted: Counted


class Decoder:
    """Decodes the packets of one camera, in order; the same events wherever the stream is cut.

    Times never go back, except that a packet of an encoding with a time base (libcaer, libcaer_cmp,
    mono) may begin far before the last one, when the camera's clock was set back. EVT formats wrap
    (EVT3 after 16.8 s): wraps are counted, and single wrong time words (bit errors) not believed.
    EVT3 time begins with whatever the 24-bit counter shows first, between 0 and 16.8 s.

    Args:
        encoding: one of ENCODINGS, as in event_camera_msgs/EventPacket.
        width, height: size of the sensor in px, 1 to MAX_SIDE; events outside are dropped.

    Attributes:
        word_bytes: the encoding's word, whose bytes belong together.

    Raises:
        InputError: unknown encoding, or a size that no sensor has.
    """

    def __init__(self, encoding: str, width: int, height: int) -> None:
        if encoding not in _CODECS:
            raise InputError(
                f"Unknown encoding {json.dumps(encoding[:40])}: expected {', '.join(ENCODINGS)}."
            )
        check_size(width, height)
        self.encoding, self.width, self.height = encoding, int(width), int(height)
        self._codec = _CODECS[encoding]
        self.word_bytes = self._codec.word_bytes
        self._state = np.zeros(field.SIZE, np.int64)
        self._doubted: int | None = None  # see believe_step
        self.reset()

    def decode(self, data: np.ndarray | bytes, time_base: int = 0) -> Events:
        """The events of the next packet.

        Args:
            data: uint8 [n], the bytes of the packet, n a multiple of the encoding's word.
            time_base: ns, the packet's field of that name (used by libcaer, libcaer_cmp, mono).

        Returns:
            Events with sensor time in ns; maybe none.

        Raises:
            InputError: a truncated packet, one with more than MAX_EVENTS events, or an impossible
                time base; the state is as before.
        """
        self.check(data, time_base)
        codec, words = self._codec, self._words(data)
        before = self._state[[field.FLOOR, field.GLITCHES]]
        if codec.has_base:
            self._begin(time_base)
        n = codec.capacity(words) + 1
        x, y = np.empty(n, np.uint16), np.empty(n, np.uint16)
        t, p = np.empty(n, np.int64), np.empty(n, np.uint8)
        n = codec.loop(words, self._state, self.width, self.height, x, y, t, p)
        events = Events(x[:n], y[:n], t[:n], p[:n], self.width, self.height)
        return self._in_order(events, *before.tolist()) if codec.has_base else events

    def _in_order(self, events: Events, floor: int, glitches: int) -> Events:
        """A packet's events without strays; times that go back a little stand still.

        Args:
            events: as they are in the packet, times in ns.
            floor: the clock before the packet, ns; 0 if there was none.
            glitches: times that had gone back before the packet.
        """
        state = self._state
        if state[field.GLITCHES] == glitches:
            return events
        lost = is_stray(events.t, floor or None)
        events = events[~lost]
        t = events.t
        if len(t) and t[0] >= floor - OVERLAP:  # else the clock was set back
            t = np.maximum(t, floor)
        t = np.maximum.accumulate(t)
        state[field.STRAYS] += np.count_nonzero(lost)
        state[field.GLITCHES] = glitches + np.count_nonzero(t > events.t)
        state[field.FLOOR] = t[-1] if len(t) else floor
        return replace(events, t=t)

    def decode_each(self, packets: Sequence[np.ndarray | bytes]) -> list[Decoded]:
        """The events of several packets of EVT 3.0 that follow each other, in one call.

        A call from Python costs as much as some hundred events: this is for many small packets.

        Args:
            packets: the bytes of each, for which check() raises nothing.
        """
        words = np.concatenate([self._words(data) for data in packets])
        words.flags.writeable = False
        ends = np.cumsum([len(data) // self._codec.word_bytes for data in packets])
        n = self._codec.capacity(words) + 1
        x, y = np.empty(n, np.uint16), np.empty(n, np.uint16)
        t, p = np.empty(n, np.int64), np.empty(n, np.uint8)
        after = np.empty((len(packets), 1 + field.SIZE), np.int64)
        size = self.width, self.height
        _prophesee.evt3_each(words, ends, self._state, size, x, y, t, p, after)
        found, begin = [], 0
        for end, *state in after.tolist():
            part = slice(begin, end)
            events = Events(x[part], y[part], t[part], p[part], *size)
            counted = Counted(*state[field.COUNTERS[0] :])
            found.append(Decoded(events, self._now(state), counted))
            begin = end
        return found

    def check(self, data: np.ndarray | bytes, time_base: int = 0) -> None:
        """Raise the InputError that decode() would raise for this packet, if any."""
        if len(data) % self._codec.word_bytes:
            raise InputError(
                f"Truncated {self.encoding} packet of {len(data)} bytes: "
                f"expected a multiple of {self._codec.word_bytes}."
            )
        if len(data) * _EVENTS_PER_BYTE > MAX_EVENTS:  # else counting would be in vain
            events = self._codec.capacity(self._words(data))
            if events > MAX_EVENTS:
                raise InputError(
                    f"A {self.encoding} packet with up to {events} events: "
                    f"expected at most {MAX_EVENTS}."
                )
        if self._codec.has_base and not 0 <= time_base < 1 << 62:
            raise InputError(
                f"Time base {time_base} in a packet of encoding {self.encoding}: "
                "expected nanoseconds from 0 to 2^62."
            )

    def _words(self, data: np.ndarray | bytes) -> np.ndarray:
        """The packet as words of one array type for the compiled loops: aligned, read only."""
        array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
        words = np.ascontiguousarray(array).view(self._codec.words)
        if not words.flags.aligned:
            words = words.copy()
        words.flags.writeable = False
        return words

    def _begin(self, time_base: int) -> None:
        """Start a packet of an encoding with a time base; the same base goes on with the last."""
        state = self._state
        if time_base != state[field.BASE]:
            state[field.BASE] = time_base
            state[field.HIGH] = state[field.LOW] = 0
            state[field.CANDIDATE] = -1

    @property
    def now(self) -> int | None:
        """The sensor's clock in ns, which time words move even without events; None before any."""
        return self._now(self._state)

    def _now(self, state: Sequence[int] | np.ndarray) -> int | None:
        floor = int(state[field.FLOOR])
        return floor * self._codec.tick if floor else None

    @property
    def counted(self) -> Counted:
        """What was left out, skipped or mended so far."""
        return Counted(*self._state[field.COUNTERS[0] :].tolist())

    def resync(self) -> None:
        """Go on after lost bytes: wait for a fresh time and address, keep the wraps counted."""
        state = self._state
        state[[field.HAS_HIGH, field.HAS_LOW, field.CONFIRMED]] = 0
        state[[field.X, field.Y]] = -1
        if self._codec.has_base:
            state[field.BASE] = -1

    def pause(self, data: np.ndarray | bytes, length: int) -> None:
        """Tell, before the packet `data` is decoded, that none came for some time.

        A far step of EVT's high time may be a bit error: it is believed after CONFIRM words, and
        the events before them have the time before the step. After a pause the first may be.

        Args:
            data: as for decode().
            length: of the pause, ns, by another clock.
        """
        if self._codec.has_base:
            return
        words = self._words(data)
        if self.encoding == "evt21":
            words = words[self._state[field.LAYOUT] % 2 :: 2]
        high = self._codec.high
        self._doubted = believe_step(self._state, words, high, length, self._doubted)

    def reset(self) -> None:
        """Forget everything but the counters, as if the stream began now."""
        self._state[: field.COUNTERS[0]] = 0
        self.resync()
