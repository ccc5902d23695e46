"""dvs_msgs/EventArray: the serialized message to events, without an object per event."""

from __future__ import annotations

import struct

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Events

# An event is uint16 x, uint16 y, time ts (two 32-bit numbers), bool polarity. ROS 1 packs that into
# 13 bytes. CDR aligns each number by itself: times fall on every 16 bytes, and every event but the
# first begins 2 bytes before its row, in the gap that the last event left.
_PACKED = np.dtype([("x", "<u2"), ("y", "<u2"), ("sec", "<i4"), ("nsec", "<u4"), ("p", "u1")])
_ALIGNED = np.dtype(
    {
        "names": ["y", "y_of_first", "sec", "nsec", "p", "x_of_next"],
        "formats": ["<u2", "<u2", "<i4", "<u4", "u1", "<u2"],
        "offsets": [0, 2, 4, 8, 12, 14],
        "itemsize": 16,
    }
)


def parse_event_array(raw: bytes, ros1: bool = False) -> tuple[Events, int, str]:
    """Events, header stamp (ns) and frame_id of a serialized dvs_msgs/EventArray.

    Events that the sensor sent out of order are put in order.

    Args:
        raw: the message in CDR, little endian, with its encapsulation; or as ROS 1 serializes it.
        ros1: which of these.

    Raises:
        InputError: not such a message, or an event outside the sensor.
    """
    try:
        return _parse(memoryview(raw), ros1)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"A message of {len(raw)} bytes is no dvs_msgs/EventArray: "
            "expected header, height, width and events."
        ) from None


def _parse(raw: memoryview, ros1: bool) -> tuple[Events, int, str]:
    if ros1:
        at = 4  # after the header's seq
    else:
        if bytes(raw[:2]) != b"\x00\x01":
            raise ValueError("encapsulation")
        raw, at = raw[4:], 0
    seconds, nanoseconds, length = struct.unpack_from("<iII", raw, at)
    at += 12
    frame_id = bytes(raw[at : at + length]).rstrip(b"\0").decode()
    at += length
    if not ros1:
        at += -at % 4
    height, width, n = struct.unpack_from("<III", raw, at)
    at += 12
    layout = _PACKED if ros1 else _ALIGNED
    missing = at + n * layout.itemsize - len(raw)
    if missing > (0 if ros1 else 3):
        raise ValueError("too short")
    table = np.frombuffer(bytes(raw[at:]) + bytes(max(missing, 0)), layout, n)
    if ros1 or n == 0:
        x, y = table["x" if ros1 else "y"], table["y"]
    else:
        x = np.concatenate([table["y"][:1], table["x_of_next"][:-1]])
        y = np.concatenate([table["y_of_first"][:1], table["y"][1:]])
    t, p = table["sec"].astype(np.int64) * 1_000_000_000 + table["nsec"], table["p"]
    if np.any(np.diff(t) < 0):
        order = np.argsort(t, kind="stable")
        x, y, t, p = x[order], y[order], t[order], p[order]
    decoded = Events.from_arrays(
        np.ascontiguousarray(x), np.ascontiguousarray(y), t, p, width, height
    )
    return decoded, seconds * 1_000_000_000 + nanoseconds, frame_id
