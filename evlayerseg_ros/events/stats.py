"""What a stream of packets has been through, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evlayerseg_ros.events.codecs.decoder import Counted

# So many different errors are told.
_KEPT = 3


@dataclass
class StreamStats:
    """What a stream has been through since it began; counters only grow.

    Attributes:
        packets: packets decoded.
        events: events decoded and used.
        windows: windows that came out.
        lost_packets: packets missing between sequence numbers.
        gaps: how often packets were missing.
        doubled_packets: packets that came again byte for byte, or after younger ones; not used.
        bad_packets: packets refused with an InputError.
        time_jumps: how often the sensor's clock went back, or away from the header stamps.
        pauses: how often no packet moved the sensor's clock for more than 2 s; no fault.
        restarts: how often the publisher began anew, or the encoding or sensor size changed.
        out_of_range: events outside the sensor; not used.
        unsynced: events without time or address, at the start and after a loss; not used.
        unknown_words: words of no known type; skipped.
        time_errors: time words that did not fit, and events whose time went back a little.
        stray_events: events whose times fit none of their neighbours'; not used.
        instants: messages of decoded events that all have one time, as from a simulator of frames.
        frame_changes: packets with another frame_id than the one before.
        other_pace: packets while the sensor's clock and the header stamps run at different paces.
        unstamped: packets whose header has no stamp; the time at which they came is used.
        last_fault: a sentence on the last of these, "" if there was none.
        last_error: the text of the last InputError, "" if there was none.
        errors: the first few different ones of these.
    """

    packets: int = 0
    events: int = 0
    windows: int = 0
    lost_packets: int = 0
    gaps: int = 0
    doubled_packets: int = 0
    bad_packets: int = 0
    time_jumps: int = 0
    pauses: int = 0
    restarts: int = 0
    out_of_range: int = 0
    unsynced: int = 0
    unknown_words: int = 0
    time_errors: int = 0
    stray_events: int = 0
    instants: int = 0
    frame_changes: int = 0
    other_pace: int = 0
    unstamped: int = 0
    last_fault: str = ""
    last_error: str = ""
    errors: tuple[str, ...] = ()

    def refuse(self, error: str) -> None:
        """Count a packet that was refused with an InputError, and keep what it says."""
        self.bad_packets += 1
        self.last_error = self.last_fault = error
        if error not in self.errors:
            self.errors = (*self.errors, error)[:_KEPT]

    def decoded(self, after: Counted, before: tuple[int, ...]) -> None:
        """Count a packet that was decoded, and what the decoder had counted after and before it."""
        new = Counted(*(a - b for a, b in zip(after, before, strict=True)))
        self.packets += 1
        self.out_of_range += new.out_of_range
        self.unsynced += new.unsynced
        self.unknown_words += new.unknown
        self.time_errors += new.time_errors
        self.stray_events += new.strays

    def counts(self) -> dict[str, int]:
        """The counters by name."""
        return {name: n for name, n in asdict(self).items() if isinstance(n, int)}

    def in_words(self) -> str:
        """What was wrong with the stream, "" if nothing was."""
        counts = {
            "bad packets": self.bad_packets,
            "lost packets": self.lost_packets,
            "doubled packets": self.doubled_packets,
            "time jumps": self.time_jumps,
            "restarts": self.restarts,
            "events outside the sensor": self.out_of_range,
            "events of stray times": self.stray_events,
            "packets without a stamp, whose time of arrival is used": self.unstamped,
        }
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        why = " ".join(dict.fromkeys((*self.errors, self.last_fault))).strip()
        told = f"{told}: {why}" if told and why else told
        large = left_out(vars(self))
        return f"{told} {large}".strip() if large else told


# Above this share of what came in, what is left out or mended is no small matter any more.
LARGE_SHARE = 0.1
# So few times that had to be mended may be those of a scene in which little happens.
_FEW = 100
_MIXED = "those of several cameras are mixed up."
_OUTSIDE = (
    " They lie outside the sensor: sensor.width and .height, or --size WxH, say another size."
)


def left_out(counts: Mapping[str, Any]) -> str:
    """A sentence if a large share of a stream was not used, or had wrong times, "" else.

    Args:
        counts: what grew in some time, by the names of StreamStats.
    """
    unused = {
        "packets": (counts["doubled_packets"] + counts["bad_packets"], counts["packets"]),
        "events": (
            counts["out_of_range"] + counts["stray_events"] + counts["unsynced"],
            counts["events"],
        ),
    }
    for what, (lost, used) in unused.items():
        if lost > 1 and lost > LARGE_SHARE * (lost + used):
            outside = what == "events" and counts["out_of_range"] > lost // 2
            told = f"{100 * lost / (lost + used):.0f} % of the {what} were left out."
            return f"{told}{_OUTSIDE if outside else ''}"
    if counts["frame_changes"] > max(1, LARGE_SHARE * counts["packets"]):
        share = 100 * counts["frame_changes"] / counts["packets"]
        return f"{share:.0f} % of the packets have another frame_id than the one before: {_MIXED}"
    if counts["instants"] > max(1, LARGE_SHARE * counts["packets"]):
        share = 100 * counts["instants"] / counts["packets"]
        return f"{share:.0f} % of the messages give all events one time: expected the sensor's."
    mended, events = counts["time_errors"], counts["events"]
    # Where they are more than events, they are time words.
    if max(_FEW, LARGE_SHARE * events) < mended <= events:
        told = f"{100 * mended / events:.0f} % of the events"
        return f"{told} had times that went back, or did not fit."
    return ""
