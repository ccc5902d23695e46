"""What it costs that a driver is another process: its packets on their way to ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np

from evlayerseg_ros.bench.camera import beside
from evlayerseg_ros.bench.end_to_end import prepare
from evlayerseg_ros.bench.measure import Row, summary
from evlayerseg_ros.bench.settings import Settings
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events.types import Packet

BYTES = (10_000, 100_000, 1_000_000)
WARM_UP = 10  # packets
PAUSE = 0.02  # s between packets
START = 30.0  # s for the other process


def transport(settings: Settings) -> Iterator[Row]:
    """Packets from another process: from before they are published to our callback.

    Raises:
        InputError: there is no ROS 2, or the other process failed.
    """
    prepare()
    from evlayerseg_ros.node.probe import PacketProbe

    count = WARM_UP + round(settings.seconds / PAUSE)
    for size in BYTES:
        topic = f"/evlayerseg_bench/packets{size}"
        with PacketProbe(topic) as probe, beside(_publish, topic, size, count) as (process, _):
            deadline = time.monotonic() + START + settings.seconds
            while process.is_alive() and time.monotonic() < deadline:
                probe.spin(0.05)
            if process.exitcode != 0:
                raise InputError("The process that publishes packets failed or took too long.")
        yield {"MB": size * 1e-6, **summary(np.array(probe.seconds[WARM_UP:]))}


def _publish(connection: Connection, topic: str, size: int, count: int) -> None:
    """The other process. A packet's stamp is the time at which it is handed to ROS."""
    connection.close()  # there is nothing to say
    from evlayerseg_ros.node.packet_publisher import PacketPublisher

    data = np.zeros(size, np.uint8)
    with PacketPublisher(topic, START) as publisher:
        for seq in range(count):
            publisher.publish(Packet("evt3", 640, 480, 0, data, time.monotonic_ns(), seq))
            time.sleep(PAUSE)
