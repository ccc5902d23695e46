"""make soak MINUTES=30 [RATE=5]: the real node under a camera that fails every few seconds.

Sound is: memory grows by less than 1 %, the latency's 99th percentile at the end is within 20 % of
that at the beginning, and every window is accounted for:
published + dropped + lost = what the same packets give offline.

The result is a section of Markdown, for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench.camera import beside, loop, moved_on
from evlayerseg_ros.bench.measure import Usage, busy, machine
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.replay.demo import SEGMENT, prepare_ros, process

NODE = "/soak/evlayerseg"
START = 600.0  # s for the node to start, which compiles where the cache is empty
EVERY = 5.0  # s from fault to fault
SETTLE = 3.0  # s to wait for the last windows
# s that figures leave out, or a quarter of a short run. The node's own objects stop growing within
# seconds, but the allocator keeps what is freed, and its heap is full-grown only when the largest
# windows, queues and DDS histories have met once; the middleware keeps 100 packets, too, each in
# memory of the largest packet that was ever there.
WARM_UP = 180.0
# "uncounted" has the number of the packet before it, as from a source that does not count; "coarse"
# has its stamp; "strayed" brings the events of half a second ago.
FAULTS = ("lost", "doubled", "cut", "noise", "restarted", "uncounted", "coarse", "strayed")
WRAP = 4096  # packets after which EVT 3.0's high time begins again


class Shot(NamedTuple):
    """What the camera did: stamps and times of publishing (ns) of sound packets; counts."""

    stamps: np.ndarray
    published: np.ndarray
    events: int
    expected: int
    faults: dict[str, int]


class Run(NamedTuple):
    """What was seen of the node: arrival of each mask by its stamp, last diagnostics, memory."""

    masks: dict[int, int]
    told: dict[str, str]
    memory: np.ndarray  # [n, 2]: time.monotonic(), resident bytes
    status: int


def shoot(connection: Connection, size: tuple[int, int], mev_s: float, seconds: float) -> None:
    """The camera's process. It feeds its own PacketStream too, to know what windows to expect."""
    from evlayerseg_ros.node.packet_publisher import PacketPublisher

    first, words, counts = loop(size, mev_s)
    faults = dict.fromkeys(FAULTS, 0)
    n = round(seconds * 1e9 / PACKET_NS)
    stamps, published = np.zeros(n, np.int64), np.zeros(n, np.int64)
    offline, expected = PacketStream(WindowConfig()), 0
    connection.send("ready")
    with PacketPublisher(f"{NODE}/events", START) as publisher:
        begun, epoch, seq, last = time.monotonic(), time.time_ns(), 0, 0.0
        old: deque[np.ndarray] = deque(maxlen=round(0.5e9 / PACKET_NS))
        for k, data in zip(range(n), endless(words)):
            stamp = stamps[k] = epoch + k * PACKET_NS + first[k % len(words)]
            ahead = begun + (k + 1) * PACKET_NS * 1e-9 - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            fault = "none"
            if k * PACKET_NS * 1e-9 - last > EVERY:
                last, fault = k * PACKET_NS * 1e-9, FAULTS[sum(faults.values()) % len(FAULTS)]
                faults[fault] += 1
            old.append(data)
            data = {"cut": data[:-1], "noise": noise(k), "strayed": old[0]}.get(fault, data)
            seq = 0 if fault == "restarted" else seq + (fault != "uncounted")
            told = stamps[max(k - 1, 0)] if fault == "coarse" else stamp
            published[k] = time.monotonic_ns()
            for _ in range({"lost": 0, "doubled": 2}.get(fault, 1)):
                packet = Packet("evt3", *size, 0, data, int(told), seq)
                publisher.publish(packet)
                with contextlib.suppress(InputError):
                    expected += len(offline.push(packet))
        expected += len(offline.flush())
    events = sum(counts[k % len(words)] for k in range(n))
    connection.send(Shot(stamps, published, events, expected, faults))


def endless(words: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The packets again and again, their times moved on."""
    while True:
        yield from moved_on(words, WRAP)


def noise(seed: int) -> np.ndarray:
    """Words of events at any place and of unknown kinds; none of time."""
    words = np.random.default_rng(seed).integers(0, 1 << 16, 500, np.uint16)
    return words[~np.isin(words >> 12, (0x6, 0x8))].astype("<u2").view(np.uint8)


def run(seconds: float, size: tuple[int, int], mev_s: float, log: Path) -> tuple[Shot, Run] | None:
    """Camera and node in processes of their own; None if one of them ended by itself."""
    from evlayerseg_ros.node.probe import Probe

    memory: list[tuple[float, int]] = []
    with beside(shoot, size, mev_s, seconds) as (camera, ours), Probe(NODE) as probe:
        ours.recv()  # its packets are made
        with (
            log.open("wb") as said,
            process(SEGMENT, "--ros-args", "-r", "__ns:=/soak", said=said) as node,
        ):
            while not ours.poll():
                probe.spin(1.0)
                gone = not camera.is_alive() and not ours.poll()  # it says all before it ends
                if gone or node.poll() is not None:
                    return None
                try:
                    memory.append((time.monotonic(), Usage.of(node.pid).now))
                except InputError:  # it ended just now
                    return None
            shot: Shot = ours.recv()
            probe.spin(SETTLE)
    return shot, Run(probe.images, probe.diagnostics, np.array(memory), node.returncode)


def report(shot: Shot, seen: Run) -> tuple[bool, str]:
    """Whether all is sound, and what happened as Markdown."""
    from evlayerseg_ros.bench.end_to_end import latencies

    seconds = len(shot.stamps) * PACKET_NS * 1e-9
    warm_up = min(WARM_UP, seconds / 4)
    part = min(60.0, seconds / 4)  # s at the beginning and at the end that are compared
    times = latencies(shot, seen.masks, 0)
    lines = []
    sound = True
    for name, (good, text) in {
        "memory": _memory(shot, seen, warm_up, part),
        "latency": _latency(shot, seen, times, warm_up, part),
        "windows": _windows(shot, seen),
        "exit status": (seen.status == 0, str(seen.status)),
    }.items():
        sound &= good
        lines.append(f"| {name} | {text} | {'sound' if good else '**not sound**'} |")
    counters = ("lost packets", "doubled packets", "bad packets", "restarts", "packets dropped")
    told = ", ".join(f"{name} {seen.told.get(name)}" for name in counters)
    done = ", ".join(f"{n} {name}" for name, n in shot.faults.items())
    head = [
        f"{seconds / 60:.1f} min at {shot.events * 1e-6 / seconds:.2f} Mev/s; packets that went "
        f"wrong: {done}. The node counted: {told}. The first {warm_up:.0f} s are warm-up; then the "
        f"first {part:.0f} s and the last {part:.0f} s are compared.",
        "",
        "| what | result | |",
        "|---|---|---|",
    ]
    return sound, "\n".join([*head, *lines])


def _memory(shot: Shot, seen: Run, warm_up: float, part: float) -> tuple[bool, str]:
    at, size = (seen.memory - (shot.published[0] * 1e-9, 0)).T
    early, late = (at > warm_up) & (at < warm_up + part), at > at[-1] - part
    before, after = size[early].mean(), size[late].mean()
    marks = [m for m in (0, 1, 2, 3, 5, 10, 15, 20, 25, 30, 60, 120) if 60 * m < at[-1]]
    curve = ", ".join(f"{size[at >= 60 * m][0] * 1e-6:.1f} after {m}" for m in marks)
    growth = after / before - 1
    text = f"{before * 1e-6:.1f} to {after * 1e-6:.1f} MB: {growth:+.2%} (MB after min: {curve})"
    return growth < 0.01, text


def _latency(
    shot: Shot, seen: Run, times: np.ndarray, warm_up: float, part: float
) -> tuple[bool, str]:
    at = (np.array(sorted(seen.masks)) - shot.stamps[0]) * 1e-9
    early, late = (at > warm_up) & (at < warm_up + part), at > at[-1] - part
    before, after = (np.percentile(times[which], 99) * 1e3 for which in (early, late))
    median = np.median(times[at > warm_up]) * 1e3
    return after < 1.2 * before, f"p99 {before:.1f} to {after:.1f} ms; p50 {median:.1f} ms"


def _windows(shot: Shot, seen: Run) -> tuple[bool, str]:
    """Whether published + dropped + lost is what was expected, and lost is what it may be."""
    count = {name: int(value) for name, value in seen.told.items() if value.isdecimal()}
    published, dropped, failed = len(seen.masks), count["windows dropped"], count["failures"]
    idle = count["windows idle"]  # before the node knew of its subscriber
    lost = shot.expected - published - dropped - idle
    # The middleware may drop packets of a best-effort camera, and the node those that it cannot
    # decode in time: windows go with them, or are cut in two where many are missing. A camera
    # process that stutters has its windows cut, too; the last one is cut in any case.
    heard = count["packets"] + count["bad packets"] + count["doubled packets"]
    sent = len(shot.stamps) - shot.faults["lost"] + shot.faults["doubled"]
    missing = sent - heard
    undelivered = count["windows done"] - published
    inside = count["windows"] - count["windows done"] - dropped - failed - idle
    cut = max(count["windows cut"] - 1, 0)
    good = undelivered == 0 and inside == 0 and -missing - cut <= lost - failed <= missing
    return good, (
        f"{published} published + {dropped} dropped + {lost} lost + {idle} before anybody listened "
        f"= {shot.expected} expected; {failed} failed, {undelivered} not delivered, {missing} of "
        f"{sent} packets missing, {cut} windows cut in two where the camera stuttered"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--mev-s", type=float, default=5.0, help="million events per second")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    options = parser.parse_args()
    prepare_ros()
    about = machine()
    log = Path(tempfile.gettempdir()) / "evlayerseg_soak.log"
    done = run(60 * options.minutes, tuple(options.size), options.mev_s, log)
    if done is None or len(done[1].masks) < 10:
        print(f"The node or the camera ended by itself, or no masks came; the node's log is {log}.")
        return 1
    sound, text = report(*done)
    size = "x".join(map(str, options.size))
    print(f"`make soak MINUTES={options.minutes:g} RATE={options.mev_s:g}`, {size}, on", end=" ")
    named = ("cpu", "cores", "python", "load")
    print(", ".join(f"{name} {about[name]}" for name in named) + f". {busy(about)}\n")
    print(text)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
