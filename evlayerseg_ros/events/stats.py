"""What a stream of packets has been through, in numbers and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class StreamStats:
    """What a stream has been through since it began; counters only grow.

    Attributes:
        packets: packets decoded.
        events: events decoded.
        windows: windows that came out.
        lost_packets: packets missing between sequence numbers.
        gaps: how often packets were missing.
        doubled_packets: packets that came again, or after younger ones; not used.
        bad_packets: packets refused with an InputError.
        time_jumps: how often the sensor's clock went back, or away from the header stamps.
        pauses: how often no packet moved the sensor's clock for more than 2 s; no fault.
        restarts: how often the publisher began anew, or the encoding or sensor size changed.
        out_of_range: events outside the sensor; not used.
        unsynced: events without time or address, at the start and after a loss; not used.
        unknown_words: words of no known type; skipped.
        time_errors: time words that did not fit, and events whose time went back.
        last_fault: a sentence on the last of these, "" if there was none.
        last_error: the text of the last InputError, "" if there was none.
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
    last_fault: str = ""
    last_error: str = ""

    def counts(self) -> dict[str, int]:
        """The counters by name."""
        return {name: n for name, n in asdict(self).items() if not isinstance(n, str)}

    def in_words(self) -> str:
        """What was wrong with the stream, "" if nothing was."""
        counts = {
            "bad packets": self.bad_packets,
            "lost packets": self.lost_packets,
            "doubled packets": self.doubled_packets,
            "time jumps": self.time_jumps,
            "restarts": self.restarts,
            "events outside the sensor": self.out_of_range,
        }
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return f"{told}: {self.last_fault}" if told and self.last_fault else told
