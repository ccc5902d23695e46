"""dvs_msgs/EventArray: the serialized message to events, without an object per event."""

from __future__ import annotations

import struct

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Events

# uint16 x, uint16 y, time ts (two 32-bit numbers), bool polarity; CDR pads an event to 16 bytes.
_NAMES = ["x", "y", "sec", "nsec", "p"]
_FORMATS = ["<u2", "<u2", "<i4", "<u4", "u1"]
_PACKED = np.dtype({"names": _NAMES, "formats": _FORMATS, "itemsize": 13})
_PADDED = np.dtype(
    {"names": _NAMES, "formats": _FORMATS, "offsets": [0, 2, 4, 8, 12], "itemsize": 16}
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
    layout = _PACKED if ros1 else _PADDED
    missing = at + n * layout.itemsize - len(raw)
    if missing > (0 if ros1 else 3):
        raise ValueError("too short")
    # CDR does not pad the last event.
    body = bytes(raw[at:]) + bytes(max(missing, 0))
    events = np.frombuffer(body, layout, n)
    t = events["sec"].astype(np.int64) * 1_000_000_000 + events["nsec"]
    if np.any(np.diff(t) < 0):
        order = np.argsort(t, kind="stable")
        events, t = events[order], t[order]
    decoded = Events.from_arrays(events["x"], events["y"], t, events["p"], width, height)
    return decoded, seconds * 1_000_000_000 + nanoseconds, frame_id
