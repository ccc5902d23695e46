"""A stand-in for a camera: publishes synthetic EVT 3.0 packets at a rate, on time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import numpy as np

from evlayerseg_ros.bench import scenes
from evlayerseg_ros.bench.encode import encode
from evlayerseg_ros.bench.scenes import PACKET_NS
from evlayerseg_ros.events.types import Packet

# Packets that are made beforehand and sent again and again, with their times moved on.
LOOP = 64
PATIENCE = 120.0  # s to wait for the node


class Shot(NamedTuple):
    """What the camera did.

    Attributes:
        stamps: int64 [n], header stamps in ns, ROS time.
        published: int64 [n], time.monotonic_ns() when each packet was handed to ROS.
        events: how many in all.
        bytes: of packets in all.
        late: longest delay behind its own pace, s.
    """

    stamps: np.ndarray
    published: np.ndarray
    events: int
    bytes: int
    late: float


@contextmanager
def beside(target: Callable[..., None], *about: object) -> Iterator[tuple[BaseProcess, Connection]]:
    """A camera in a process of its own, so that its work does not delay ours; with our end of a
    connection to it.

    Args:
        target: the camera's process, such as `shoot`.
        about: its arguments after the connection.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *about), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.join(5)
        if process.is_alive():
            process.terminate()


def shoot(
    connection: Connection,
    topic: str,
    size: tuple[int, int],
    mev_s: float,
    warm_up: float,
    seconds: float,
) -> None:
    """The process of the camera.

    Says "ready" when its packets are made, waits for a word, publishes, says when the warm-up is
    over (the header stamp in ns from which to measure), and ends with a Shot.

    Args:
        connection: to whoever started it.
        topic: where to publish.
        size: of the sensor, px.
        mev_s: million events per second.
        warm_up, seconds: how long to publish, s.
    """
    from evlayerseg_ros.node.packet_publisher import PacketPublisher

    first, words, counts = loop(size, mev_s)
    connection.send("ready")
    connection.recv()
    skipped, count = (round(s * 1e9 / PACKET_NS) for s in (warm_up, warm_up + seconds))
    stamps, published = np.zeros(count, np.int64), np.zeros(count, np.int64)
    late = 0.0
    with PacketPublisher(topic, PATIENCE) as publisher:
        begun, epoch = time.monotonic(), time.time_ns()
        for seq, data in enumerate(moved_on(words, count)):
            # Stamped as by drivers: the time of the first event, sent when the packet is complete.
            stamps[seq] = epoch + seq * PACKET_NS + first[seq % LOOP]
            ahead = begun + (seq + 1) * PACKET_NS * 1e-9 - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            late = max(late, -ahead)
            if seq == skipped:
                connection.send(int(stamps[seq]))
            published[seq] = time.monotonic_ns()
            publisher.publish(Packet("evt3", *size, 0, data, int(stamps[seq]), seq))
    sent = [seq % LOOP for seq in range(count)]
    events, size_bytes = sum(counts[k] for k in sent), sum(words[k].nbytes for k in sent)
    connection.send(Shot(stamps, published, events, size_bytes, late))


def loop(size: tuple[int, int], mev_s: float) -> tuple[list[int], list[np.ndarray], list[int]]:
    """For each packet: first event's time after the packet's begin in ns, words, events."""
    first, words, counts = [], [], []
    for k, events in enumerate(scenes.packets(*size, mev_s, LOOP)):
        first.append(int(events.t[0]) - (k + 1) * PACKET_NS)
        words.append(encode("evt3", events).view("<u2"))
        counts.append(len(events))
    return first, words, counts


def moved_on(words: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The packets again and again, uint8 [n]; a packet lasts one step of EVT 3.0's high time."""
    highs = [np.flatnonzero(w >> 12 == 0x8) for w in words]
    for seq in range(count):
        turn, k = divmod(seq, LOOP)
        packet = words[k].copy()
        packet[highs[k]] = 0x8000 | (packet[highs[k]] + (turn * LOOP & 0xFFF)) & 0xFFF
        yield packet.view(np.uint8)
