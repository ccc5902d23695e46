"""EventArrays: the serialized message to events, without an object per event.

dvs_msgs, prophesee_event_msgs, dv_ros_msgs, dv_ros2_msgs and others each have an EventArray, all of
one layout.
"""

from __future__ import annotations

import re
import struct

import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.clean import clean
from evlayerseg_ros.events.types import Packet

# So many events of a message, or messages in a row, do not happen at the sensor's time 0.
MANY = 16
# An event is uint16 x, uint16 y, time ts (two 32-bit numbers), bool polarity. ROS 1 packs that into
# 13 bytes. CDR aligns each number by itself: times fall on every 16 bytes, and every event but the
# first begins 2 bytes before its row, in the gap that the last event left.
_FIELD = re.compile(r"^[ \t]*([\w/]+\S*)[ \t]+(\w+)(?![ \t]*=)\b", re.M)
_PACKED = np.dtype([("x", "<u2"), ("y", "<u2"), ("sec", "<i4"), ("nsec", "<u4"), ("p", "u1")])
_ALIGNED = np.dtype(
    {
        "names": ["y", "y_of_first", "sec", "nsec", "p", "x_of_next"],
        "formats": ["<u2", "<u2", "<i4", "<u4", "u1", "<u2"],
        "offsets": [0, 2, 4, 8, 12, 14],
        "itemsize": 16,
    }
)


def parse_event_array(
    raw: bytes, ros1: bool = False, size: tuple[int, int] = (0, 0), topic: str = ""
) -> Packet:
    """The events of a serialized EventArray, its header stamp and frame_id.

    Events that the sensor sent out of order are put in order; those outside the sensor, and those
    whose times fit none of their neighbours', are left out and counted.

    Args:
        raw: the message in CDR, little endian, with its encapsulation; or as ROS 1 serializes it.
        ros1: which of these.
        size: (width, height) of the sensor in px, 0 for what the message says.
        topic: where it came from.

    Raises:
        InputError: not such a message, or no sensor has that size.
    """
    try:
        return _parse(memoryview(raw), ros1, size, topic)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"A message of {len(raw)} bytes is no EventArray: "
            "expected header, height, width and events."
        ) from None


def check_layout(definition: str) -> None:
    """Checks that a definition of an EventArray has the layout that is read.

    Args:
        definition: the .msg file, and those of the types in it, as bags hold them.

    Raises:
        InputError: its events' fields lie in another way. A definition without their type passes.
    """
    head, *others = re.split(r"^={3,}\s*^MSG:\s*(\S+)\s*$", definition, flags=re.M)
    of_event = re.search(r"(\w+)\[\][ \t]+\w+", head)
    parts = {n.rsplit("/", 1)[-1]: text for n, text in zip(others[::2], others[1::2], strict=True)}
    fields = _FIELD.findall(parts.get(of_event[1], "") if of_event else "")
    kinds = [kind.rsplit("/", 1)[-1].lower() for kind, _ in fields]
    of_layout = [kind.removeprefix("u") for kind in kinds[:3]] == ["int16", "int16", "time"]
    of_layout = of_layout and kinds[3:] in (["bool"], ["uint8"], ["byte"])
    first, second = ([name for _, name in fields] + ["", ""])[:2]
    swapped = re.match(r"y|row|v|height", first, re.I) or re.match(r"x|col|u|width", second, re.I)
    if fields and (not of_layout or swapped):
        raise InputError(
            f"Its events have `{', '.join(map(' '.join, fields))}`: expected `uint16 x, uint16 y, "
            "time ts, bool polarity`."
        )


def _parse(raw: memoryview, ros1: bool, size: tuple[int, int], topic: str) -> Packet:
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
    if abs(missing) > (0 if ros1 else 3):  # CDR pads to a multiple of four bytes
        raise ValueError("of another length than its number of events says")
    table = np.frombuffer(bytes(raw[at:]) + bytes(max(missing, 0)), layout, n)
    if ros1 or n == 0:
        x, y = table["x" if ros1 else "y"], table["y"]
    else:
        x = np.concatenate([table["y"][:1], table["x_of_next"][:-1]])
        y = np.concatenate([table["y_of_first"][:1], table["y"][1:]])
    t, p = table["sec"].astype(np.int64) * 1_000_000_000 + table["nsec"], table["p"]
    if n >= MANY and not t.any():
        raise InputError(f"A message of {n} events without times (ts is 0): expected the sensor's.")
    width, height = size[0] or width, size[1] or height
    (part,) = clean(x, y, t, p, width, height, as_one=True)
    stamp = seconds * 1_000_000_000 + nanoseconds
    return Packet.of_events(part.events, stamp, topic, frame_id, part.outside, part.strays)
