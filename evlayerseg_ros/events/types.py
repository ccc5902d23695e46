"""What an event is, a packet of events, and a window of events."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evlayerseg_ros.errors import InputError

# Larger sensors than this do not exist; what claims one is corrupt.
MAX_SIDE = 4096
# Times (ns) further from zero are corrupt, and would overflow where they are subtracted.
MAX_TIME = 1 << 62
# A time (ns) that no sensor's clock reaches, but ROS time does: the year 2001.
EPOCH = 10**18
MAX_ASPECT = 8  # rows a column
_NO_DATA = np.empty(0, np.uint8)


def check_size(width: int, height: int) -> None:
    """Raise InputError if no sensor has so many columns and rows (px)."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        remedy = "" if width and height else "; sensor.width and .height, or --size WxH, say it"
        raise InputError(
            f"A sensor of {width}x{height} pixels: expected 1 to {MAX_SIDE} each way{remedy}."
        )
    if height > MAX_ASPECT * width:  # the voxel grid, whose columns are given, would take GBs
        raise InputError(
            f"A sensor of {width}x{height} pixels: expected at most {MAX_ASPECT} rows a column."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Events of one sensor in the order of their times, as parallel arrays of length N.

    Attributes:
        x: uint16 [N], column in px, 0 at the left, below width.
        y: uint16 [N], row in px, 0 at the top, below height.
        t: int64 [N], sensor time in ns, not decreasing.
        p: uint8 [N], polarity: 1 brighter (ON), 0 darker (OFF).
        width: columns of the sensor.
        height: rows of the sensor.
    """

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray
    p: np.ndarray
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice | np.ndarray) -> Events:
        """The events that a slice, a mask bool [N] or an index array picks; slices share memory."""
        if isinstance(part, np.ndarray) and part.dtype == bool:
            part = np.flatnonzero(part)  # four columns by a mask would take ten times as long
        return Events(
            self.x[part], self.y[part], self.t[part], self.p[part], self.width, self.height
        )

    def seen(self) -> np.ndarray:
        """bool [height, width]: the pixels where at least one event happened."""
        seen = np.zeros((self.height, self.width), bool)
        seen[self.y, self.x] = True
        return seen

    @classmethod
    def empty(cls, width: int, height: int) -> Events:
        """No events of a sensor of that size."""
        return cls(
            np.empty(0, np.uint16),
            np.empty(0, np.uint16),
            np.empty(0, np.int64),
            np.empty(0, np.uint8),
            width,
            height,
        )

    @classmethod
    def from_arrays(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        t: np.ndarray,
        p: np.ndarray,
        width: int,
        height: int,
    ) -> Events:
        """Events from arrays of any integer type, checked.

        Args:
            x, y: [N] px.
            t: [N] ns.
            p: [N], anything positive is ON (so 0/1, -1/+1 and bool all work).
            width, height: sensor size in px, 1 to MAX_SIDE.

        Raises:
            InputError: lengths differ, no sensor has that size, a coordinate lies outside the
                sensor, time goes back or is beyond MAX_TIME.
        """
        check_size(width, height)
        x, y, t, p = (np.asarray(a) for a in (x, y, t, p))
        if not len(x) == len(y) == len(t) == len(p):
            raise InputError(
                "Events need x, y, t and p of one length, got "
                f"{len(x)}, {len(y)}, {len(t)}, {len(p)}."
            )
        if len(t):
            if x.min() < 0 or y.min() < 0 or x.max() >= width or y.max() >= height:
                raise InputError(
                    f"Events reach x {x.min()}..{x.max()}, y {y.min()}..{y.max()}, "
                    f"outside the sensor of {width}x{height}."
                )
            if np.any(t[1:] < t[:-1]):
                raise InputError("Events must be in the order of their times; time goes back.")
            if not -MAX_TIME < int(t[0]) <= int(t[-1]) < MAX_TIME:
                raise InputError(
                    f"Events have times from {t[0]} to {t[-1]} ns: expected less than 2^62 ns."
                )
        return cls(
            x.astype(np.uint16, copy=False),
            y.astype(np.uint16, copy=False),
            t.astype(np.int64, copy=False),
            (p > 0).astype(np.uint8),
            int(width),
            int(height),
        )

    @classmethod
    def concatenate(cls, parts: list[Events]) -> Events:
        """The parts one after the other; at least one part, all of one sensor size."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([e.x for e in parts]),
            np.concatenate([e.y for e in parts]),
            np.concatenate([e.t for e in parts]),
            np.concatenate([e.p for e in parts]),
            parts[0].width,
            parts[0].height,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One message of a camera, or the next events of a file: what a PacketStream takes.

    Attributes:
        encoding: as in event_camera_msgs/EventPacket; "events" where `events` holds them decoded.
        width, height: sensor size in px.
        time_base: ns, the sensor time that the times of some encodings count from.
        data: uint8 [n], the encoded events; empty for "events".
        stamp: ns, the header stamp; of files, the time of the first event.
        seq: the message's number; None if the source does not count.
        big_endian: the message's is_bigendian, which no known camera sets.
        frame_id: the header's frame_id, "" for files.
        topic: where it came from, "" for files.
        events: the decoded events if encoding is "events", else None.
        fault: a sentence on why the message could not be read at all, "" if it could. A stream
            refuses and counts it like a packet that it cannot decode.
        stamped: whether its header has a stamp; if not, `stamp` is the time at which it came.
        outside, strays: events that the reader left out, since they lie outside the sensor, or
            their times fit none of their neighbours'.
        late: events whose times the reader raised to that of the event before them.
    """

    encoding: str
    width: int
    height: int
    time_base: int
    data: np.ndarray | bytes
    stamp: int
    seq: int | None = None
    big_endian: bool = False
    frame_id: str = ""
    topic: str = ""
    events: Events | None = None
    fault: str = ""
    outside: int = 0
    strays: int = 0
    late: int = 0
    stamped: bool = True

    @classmethod
    def of_events(
        cls,
        events: Events,
        stamp: int | None = None,
        topic: str = "",
        frame_id: str = "",
        outside: int = 0,
        strays: int = 0,
        late: int = 0,
    ) -> Packet:
        """A packet of decoded events, at least one unless `stamp` (ns) is given."""
        stamp = int(events.t[0]) if stamp is None else stamp
        size = (events.width, events.height)
        return cls(
            "events", *size, 0, _NO_DATA, stamp, frame_id=frame_id, topic=topic, events=events,
            outside=outside, strays=strays, late=late,
        )  # fmt: skip

    @classmethod
    def unreadable(cls, fault: str, topic: str = "") -> Packet:
        """What stands for a message that could not be read; `fault` says why."""
        return cls("", 0, 0, 0, _NO_DATA, 0, topic=topic, fault=fault)

    def with_stamp(self, time: Callable[[], int]) -> Packet:
        """The same with the time at which it came (ns, 0 if unknown) where its header has no stamp.

        Events in ROS time need none.
        """
        in_ros_time = self.events is not None and len(self.events) and self.events.t[0] > EPOCH
        if self.stamp or in_ros_time or self.fault:
            return self
        return replace(self, stamp=time(), stamped=False)

    @property
    def holds_something(self) -> bool:
        """Whether there are events in it, or bytes that may be some."""
        return len(self.data if self.events is None else self.events) > 0

    def fingerprint(self) -> int:
        """Of the bytes and the time base: another packet has another one."""
        data = self.data if isinstance(self.data, bytes) else np.ascontiguousarray(self.data).data
        return zlib.crc32(data, self.time_base & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The events that are segmented together.

    Attributes:
        events: what happened in [start, end].
        start: int, sensor time in ns at which the window opens.
        end: int, sensor time in ns of its last event, the instant that the mask shows
            (of its nominal end if it holds no event).
        stamp: int, `end` as ROS time in ns, the stamp of every output of this window.
        first: number of its first event since the stream began.
    """

    events: Events
    start: int
    end: int
    stamp: int
    first: int = 0

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return (self.end - self.start) * 1e-9
