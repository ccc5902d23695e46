"""make soak MINUTES=30: the real node under a camera at 5 Mev/s that fails every few seconds.

Sound is: memory grows by less than 1 %, the latency's 99th percentile at the end is within 20 % of
that at the beginning, and every window is accounted for:
published + dropped + lost = what the same packets give offline.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench.camera import _loop, _moved_on
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig

NODE = "/soak/evlayerseg"
EVERY = 5.0  # s from fault to fault
WARM_UP = 15.0  # s that figures leave out
SETTLE = 3.0  # s to wait for the last windows


class Shot(NamedTuple):
    """What the camera did: stamps and times of publishing (ns) of sound packets; counts."""

    stamps: np.ndarray
    published: np.ndarray
    events: int
    expected: int
    faults: dict[str, int]


def shoot(connection: Connection, size: tuple[int, int], mev_s: float, seconds: float) -> None:
    """The camera's process. It feeds its own PacketStream too, to know what windows to expect."""
    from evlayerseg_ros.node.packets import PacketPublisher

    first, words, counts = _loop(size, mev_s)
    names = ("lost", "doubled", "cut", "noise", "restarted")
    faults = dict.fromkeys(names, 0)
    n = round(seconds * 1e9 / PACKET_NS)
    stamps, published = np.zeros(n, np.int64), np.zeros(n, np.int64)
    offline, expected = PacketStream(WindowConfig()), 0
    connection.send("ready")
    with PacketPublisher(f"{NODE}/events", 120.0) as publisher:
        begun, epoch, seq, last = time.monotonic(), time.time_ns(), 0, 0.0
        for k, data in enumerate(_moved_on(words, n)):
            stamp = stamps[k] = epoch + k * PACKET_NS + first[k % len(words)]
            ahead = begun + (k + 1) * PACKET_NS * 1e-9 - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            fault = "none"
            if k * PACKET_NS * 1e-9 - last > EVERY:
                last, fault = k * PACKET_NS * 1e-9, names[sum(faults.values()) % len(names)]
                faults[fault] += 1
            data = {"cut": data[:-1], "noise": _noise(k)}.get(fault, data)
            seq = 0 if fault == "restarted" else seq + 1
            published[k] = time.monotonic_ns()
            for _ in range({"lost": 0, "doubled": 2}.get(fault, 1)):
                publisher.publish("evt3", *size, 0, data, int(stamp), seq, "soak")
                with contextlib.suppress(InputError):
                    expected += len(offline.push("evt3", *size, 0, data, int(stamp), seq))
        expected += len(offline.flush())
    events = sum(counts[k % len(words)] for k in range(n))
    connection.send(Shot(stamps, published, events, expected, faults))


def _noise(seed: int) -> np.ndarray:
    """Words of events at any place and of unknown kinds; none of time."""
    words = np.random.default_rng(seed).integers(0, 1 << 16, 500, np.uint16)
    return words[~np.isin(words >> 12, (0x6, 0x8))].astype("<u2").view(np.uint8)


def resident(pid: int) -> int:
    """Memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(minutes: float, size: tuple[int, int], mev_s: float, log: Path) -> int:
    """The soak; prints its table and returns the exit status."""
    from evlayerseg_ros.bench.end_to_end import latencies
    from evlayerseg_ros.node.probe import Probe

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    camera = context.Process(target=shoot, args=(theirs, size, mev_s, 60 * minutes), daemon=True)
    camera.start()
    ours.recv()
    memory: list[tuple[float, int]] = []
    with Probe(NODE) as probe, log.open("wb") as said:
        node = subprocess.Popen(
            [
                *(sys.executable, "-m", "evlayerseg_ros.node.segment"),
                *("--ros-args", "-r", "__ns:=/soak"),
            ],
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            while not ours.poll():
                probe.spin(1.0)
                if node.poll() is not None or not camera.is_alive():
                    print(f"The node or the camera ended by itself; the node's log is {log}.")
                    return 1
                memory.append((time.monotonic(), resident(node.pid)))
            shot: Shot = ours.recv()
            probe.spin(SETTLE)
        finally:
            node.send_signal(signal.SIGINT)
            status = node.wait(30)
    times = latencies(shot, probe.masks, int(shot.stamps[0] + WARM_UP * 1e9))
    return report(shot, probe.masks, probe.diagnostics, memory, times, status)


def report(
    shot: Shot,
    masks: dict[int, int],
    told: dict[str, str],
    memory: list[tuple[float, int]],
    times: np.ndarray,
    status: int,
) -> int:
    """Prints what happened; 0 if all is sound."""
    begun = shot.published[0] * 1e-9
    used = np.array([size for at, size in memory if at > begun + WARM_UP])
    part = max(1, min(60, len(used) // 4))  # s at the beginning and at the end
    share = max(1, round(len(times) * part / max(len(used), 1)))
    if len(used) < 2 or len(times) < 2:
        print("Too short, or no masks came.")
        return 1
    before, after = used[:part].mean(), used[-part:].mean()
    early, late = (np.percentile(t, 99) * 1e3 for t in (times[:share], times[-share:]))
    dropped, failed = int(told["windows dropped"]), int(told["failures"])
    done = int(told["windows done"])
    undelivered = done - len(masks)
    idle = int(told["windows idle"])  # before the node knew of its subscriber
    lost = shot.expected - len(masks) - dropped - idle
    # The middleware may drop packets of a best-effort camera: windows go with them, or are cut
    # in two where many are missing. The first ones leave no gap behind, so all are counted.
    heard = int(told["packets"]) + int(told["bad packets"])
    missing = len(shot.stamps) - shot.faults["lost"] - heard
    inside = int(told["windows"]) - done - dropped - failed - idle
    checks = {
        "memory": abs(after / before - 1) < 0.01 or after < before,
        "latency": late < 1.2 * early,
        "windows": undelivered == 0 and inside == 0 and abs(lost - failed) <= missing,
        "exit status": status == 0,
    }
    seconds = len(shot.stamps) * PACKET_NS * 1e-9
    print(
        f"{seconds / 60:.1f} min, {shot.events * 1e-6 / seconds:.2f} Mev/s, faults: {shot.faults}"
    )
    print(f"the first and the last {part} s are compared, after {WARM_UP:g} s of warm-up\n")
    rows = {
        "memory": f"{before * 1e-6:.1f} to {after * 1e-6:.1f} MB ({after / before - 1:+.2%})",
        "latency": f"p99 {early:.1f} to {late:.1f} ms, p50 {np.median(times) * 1e3:.1f} ms",
        "windows": f"{len(masks)} published + {dropped} dropped + {lost} lost = {shot.expected} "
        f"expected; {failed} failed, {undelivered} not delivered, "
        f"{idle} unheard at the start, {missing} packets missing",
        "exit status": str(status),
    }
    for name, text in rows.items():
        print(f"{'sound' if checks[name] else 'FAULT':6} {name:12} {text}")
    for name in ("lost packets", "doubled packets", "bad packets", "restarts", "packets dropped"):
        print(f"       {name:16} {told.get(name)}")
    return 0 if all(checks.values()) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--mev-s", type=float, default=5.0, help="million events per second")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    log = Path(tempfile.gettempdir()) / "evlayerseg_soak.log"
    return run(options.minutes, tuple(options.size), options.mev_s, log)


if __name__ == "__main__":
    sys.exit(main())
