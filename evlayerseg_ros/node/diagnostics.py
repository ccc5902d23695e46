"""What the node tells about itself once a second on /diagnostics."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from evlayerseg_ros.events.stats import StreamStats, left_out
from evlayerseg_ros.node.messages import to_time
from evlayerseg_ros.node.worker import Worker

# Rates, latencies and faults are those of the last HORIZON s.
HORIZON = 5.0
_PACES = (
    "The sensor's clock and the header stamps run at different paces: a recording is played at "
    "another rate, or a unit of time is wrong."
)
# What is wrong if a counter grew: by one, by more. Causes stand before what follows from them.
_GROWN = (
    ("lost_packets", "1 packet was lost on the way.", "{} packets were lost on the way."),
    (
        "packets_dropped",
        "1 packet was dropped: decoding does not keep up.",
        "{} packets were dropped: decoding does not keep up.",
    ),
    ("restarts", "The camera began anew.", "The camera began anew {} times."),
    (
        "time_jumps",
        "The sensor's clock and the host's disagreed once.",
        "The sensor's clock and the host's disagreed {} times.",
    ),
    ("other_pace", _PACES, _PACES),
    (
        "windows_dropped",
        "1 window was dropped: the network does not keep up.",
        "{} windows were dropped: the network does not keep up.",
    ),
    (
        "unstamped",
        "1 packet had no header stamp: the time at which it came is used.",
        "{} packets had no header stamp: the times at which they came are used.",
    ),
)


@dataclass
class Facts:
    """What the node knows when it reports.

    Attributes:
        state: lifecycle state.
        setup_fault: why the last configuration failed, "" if it did not.
        input_fault: why nothing comes in, "" if something does.
        info: further facts to show, such as model and provider.
        caution: something that is not as asked, such as the provider; "" if all is.
    """

    state: str
    setup_fault: str = ""
    input_fault: str = ""
    caution: str = ""
    info: dict[str, str] = field(default_factory=dict)


class Monitor:
    """Keeps counters' recent past and builds the message. Faults may come from any thread."""

    def __init__(self) -> None:
        # So many that the last HORIZON s fit, and no more: memory would seem to grow for minutes.
        self._latencies: deque[tuple[float, float]] = deque(maxlen=1000)
        self._faults: deque[tuple[float, str]] = deque(maxlen=100)
        self._past: deque[tuple[float, dict[str, int]]] = deque()
        self._stats: StreamStats | None = None  # whose past it is

    def latency(self, seconds: float) -> None:
        """Notes how long a window took from its last packet's arrival until it was published."""
        self._latencies.append((time.monotonic(), seconds))

    def fault(self, sentence: str) -> None:
        """Notes something that went wrong."""
        self._faults.append((time.monotonic(), sentence))

    def forget(self) -> None:
        """Begins anew, as when counters do."""
        for past in (self._latencies, self._faults, self._past):
            past.clear()

    def message(
        self, stamp: int, name: str, facts: Facts, worker: Worker | None
    ) -> DiagnosticArray:
        """The report.

        Args:
            stamp: ROS time in ns.
            name: full name of the node.
            facts: what the node knows.
            worker: while the node is active.
        """
        values = {"state": facts.state, **facts.info, "caution": facts.caution}
        grown: dict[str, int] = {}
        if worker is not None:
            rates, grown = self._rates(worker)
            values |= rates
        level, text = self._verdict(facts, grown)
        status = DiagnosticStatus(
            level=level,
            name=f"{name}: segmentation",
            hardware_id=facts.info.get("frame_id", ""),
            message=text,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = to_time(stamp)
        return array

    def _rates(self, worker: Worker) -> tuple[dict[str, str], dict[str, int]]:
        """Figures to show, and by how much each counter grew within the horizon."""
        now = time.monotonic()
        stats = worker.stream.stats
        counts = stats.counts() | asdict(worker.counters)
        if stats is not self._stats:  # another stream, which counts from 0
            self._past.clear()
            self._stats = stats
        self._past.append((now, counts))
        while len(self._past) > 2 and now - self._past[0][0] > HORIZON:
            self._past.popleft()
        then, before = self._past[0]
        grown = {name: count - before[name] for name, count in counts.items()}
        seconds = max(now - then, 1e-3)
        recent = [latency for at, latency in self._latencies.copy() if now - at <= HORIZON]
        p50, p99 = np.percentile(recent, (50, 99)) * 1e3 if recent else (np.nan, np.nan)
        shown = {
            "packets/s in": f"{grown['packets'] / seconds:.1f}",
            "Mev/s in": f"{grown['events'] / seconds * 1e-6:.3f}",
            "windows/s out": f"{grown['windows_done'] / seconds:.1f}",
            "latency p50 ms": f"{p50:.1f}",
            "latency p99 ms": f"{p99:.1f}",
            "backlog windows": str(worker.backlog),
            "backlog kB": str(worker.queued_bytes // 1000),
            **{name.replace("_", " "): str(count) for name, count in counts.items()},
            "last fault": stats.last_fault,
        }
        return shown, grown

    def _verdict(self, facts: Facts, grown: dict[str, int]) -> tuple[bytes, str]:
        now = time.monotonic()
        while self._faults and now - self._faults[0][0] > HORIZON:
            self._faults.popleft()
        if facts.setup_fault:
            return DiagnosticStatus.ERROR, facts.setup_fault
        if self._faults:
            return DiagnosticStatus.ERROR, self._faults[-1][1]
        if told := f"{facts.input_fault} {_what_grew(grown)}".strip():
            return DiagnosticStatus.WARN, told
        if facts.caution:
            return DiagnosticStatus.WARN, facts.caution
        if facts.state != "active":
            return DiagnosticStatus.OK, f"The node is {facts.state}."
        if grown.get("windows_idle") and not grown.get("windows_done"):
            return (
                DiagnosticStatus.OK,
                "Nobody subscribes to an output that is on: nothing is segmented.",
            )
        return DiagnosticStatus.OK, "Segmenting."


def _what_grew(grown: dict[str, int]) -> str:
    """The worst of what the counters say, by how much each grew; "" if nothing is wrong."""
    if grown and (large := left_out(grown)):
        return large
    for name, one, more in _GROWN:
        if count := grown.get(name):
            return one if count == 1 else more.format(count)
    return ""
