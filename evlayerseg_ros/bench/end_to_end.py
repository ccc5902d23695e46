"""How long messages take, and the real node in its own process, fed over DDS: needs ROS."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from tempfile import TemporaryFile
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np

from evlayerseg_ros.bench import camera, scenes
from evlayerseg_ros.bench.measure import Row, Usage, measure, summary
from evlayerseg_ros.bench.settings import Settings, size_name
from evlayerseg_ros.bench.stages import boxed
from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.replay.demo import SEGMENT, prepare_ros, process

if TYPE_CHECKING:
    from evlayerseg_ros.node.probe import Probe

NODE = "/evlayerseg_bench/evlayerseg"
WARM_UP = 1.5  # s of events that are not measured
START = 120.0  # s for the node to become active
QUIET = 1.5  # s to listen on when the camera has stopped; diagnostics come once a second
CAMERAS = (1, 2, 4)  # at once, 640x480 and 5 Mev/s each where these are to be measured
FLOW_RATE = 5.0  # Mev/s while the flow is listened to


def end_to_end(settings: Settings) -> Iterator[Row]:
    """A node of its own for each sensor and rate; its defaults, one subscriber to the mask.

    At the end of each sensor the same with one subscriber to the dense flow, the largest message.

    Raises:
        InputError: there is no ROS 2, or the node does not start.
    """
    prepare()
    for size in settings.sizes:
        for rate in settings.rates:
            yield _run(settings, size, rate, "mask")
        yield _run(settings, size, FLOW_RATE, "flow")


def cameras(settings: Settings) -> Iterator[Row]:
    """Several cameras at once, each with a node of its own: what each of them gets.

    Raises:
        InputError: there is no ROS 2, or a node does not start.
    """
    prepare()
    size = (640, 480) if (640, 480) in settings.sizes else settings.sizes[0]
    rate = 5.0 if 5.0 in settings.rates else settings.rates[0]
    for count in CAMERAS:
        all_active = Barrier(count, timeout=START)
        with ThreadPoolExecutor(count) as pool:
            jobs = [
                pool.submit(_run, settings, size, rate, "mask", home, all_active.wait)
                for home in (f"/evlayerseg_bench_{k}/evlayerseg" for k in range(count))
            ]
            for k, job in enumerate(jobs):
                yield {"cameras": count, "camera": k, **job.result()}


def messages(settings: Settings) -> Iterator[Row]:
    """Each output as a message: built, serialized and given to DDS, where nobody subscribes.

    Raises:
        InputError: there is no ROS 2.
    """
    prepare()
    from evlayerseg_ros.node.messages import to_bytes
    from evlayerseg_ros.node.probe import publishers

    with publishers() as publish:
        for size in settings.sizes:
            done = boxed(scenes.window(*size, 5.0))
            for name, make in OUTPUTS.items():
                output = make(done.window, done)
                times = measure(partial(publish[name], output), settings.seconds)
                data = len(to_bytes(output.data))
                yield {
                    "sensor": size_name(size),
                    "topic": name,
                    "MB": data * 1e-6,
                    **summary(times),
                }


def prepare() -> None:
    """ROS as the launch file sets it up, on a domain of our own unless the user chose one.

    Raises:
        InputError: there is no ROS 2.
    """
    from evlayerseg_ros.node.start import check_ros

    check_ros()
    try:
        import evlayerseg_ros.node.probe  # noqa: F401
        from evlayerseg_ros.node.standalone_node import prepare_dds
    except ImportError as error:
        raise InputError(
            f"Measuring end to end needs ROS 2 and this package in it ({error}): source them, "
            "or leave the section out with --only."
        ) from error
    prepare_ros()
    if not prepare_dds():
        raise InputError(
            "Measuring end to end needs this package in ROS: source the workspace that it is "
            "built in, or leave the section out with --only."
        )


def _run(
    settings: Settings,
    size: tuple[int, int],
    rate: float,
    topic: str,
    home: str = NODE,
    ready: Callable[[], object] = lambda: None,
) -> Row:
    """A node under the name `home`; what it does is measured when `ready` returns."""
    from evlayerseg_ros.node.probe import Probe

    seconds = 4 * settings.seconds
    window = settings.config.window
    about = (f"{home}/events", size, rate, WARM_UP, seconds)
    with camera.beside(camera.shoot, *about) as (shooting, connection), Probe(home, topic) as probe:
        connection.recv()  # its packets are made
        begun = time.monotonic()
        with _node(settings, home, size) as node:
            _await_active(node, probe, home)
            started = time.monotonic() - begun
            ready()
            connection.send("go")
            since = _word(connection, shooting, node, probe)
            before = Usage.of(node.pid)
            probe.most_backlog = 0
            shot = _word(connection, shooting, node, probe)
            after = Usage.of(node.pid)
            probe.spin(QUIET)
    assert isinstance(shot, camera.Shot) and isinstance(since, int)
    # What is open when the camera stops is closed by the silence after it, 0.2 s later.
    images = {stamp: at for stamp, at in probe.images.items() if stamp < shot.stamps[-1]}
    times = latencies(shot, images, since)
    told = probe.diagnostics
    span = after.at - before.at
    return {
        "sensor": size_name(size),
        "topic": topic,
        "mev_s": shot.events * 1e-6 / (WARM_UP + seconds),
        "MB_s": shot.bytes * 1e-6 / (WARM_UP + seconds),
        **summary(times),
        "max_ms": times.max() * 1e3 if len(times) else None,
        "node_ms": float(told.get("latency p50 ms", "nan")),
        "windows": round(seconds * 1e3 / (window.stride_ms or window.duration_ms)),
        "dropped": int(told.get("windows dropped", -1)),
        "backlog": probe.most_backlog,
        "packets_lost": int(told.get("lost packets", -1)),
        "packets_dropped": int(told.get("packets dropped", -1)),
        "cpu_cores": (after.cpu - before.cpu) / span,
        "rss_mb": after.now * 1e-6,
        "grown_mb": (after.now - before.now) * 1e-6,
        "start_s": started,
        "camera_late_ms": shot.late * 1e3,
    }


def latencies(shot: camera.Shot, images: dict[int, int], since: int) -> np.ndarray:
    """Seconds from a packet handed to ROS to the window's image in a subscriber's callback.

    Args:
        shot: when each packet was published.
        images: stamp (ns) to arrival.
        since: images of this stamp and later count.

    Returns:
        float64 [n]: for each image, counted from the packet that holds its window's last event.
    """
    stamps = np.array(sorted(stamp for stamp in images if stamp >= since), np.int64)
    arrivals = np.array([images[stamp] for stamp in stamps.tolist()], np.int64)
    # A packet's stamp is that of its first event, so it is the last one not after the window's.
    packet = np.searchsorted(shot.stamps, stamps, side="right") - 1
    return (arrivals - shot.published[packet]) * 1e-9


def _await_active(node: subprocess.Popen[bytes], probe: Probe, home: str) -> None:
    """Returns when the node listens to its events, which it does once it is active."""
    deadline = time.monotonic() + START
    while not probe.subscribed(f"{home}/events"):
        if node.poll() is not None or time.monotonic() > deadline:
            raise InputError("The node did not become active; what it said stands above.")
        probe.spin(0.02)


def _word(
    connection: Connection, shooting: BaseProcess, node: subprocess.Popen[bytes], probe: Probe
) -> object:
    """What the camera says next; meanwhile the probe hears the node."""
    while not connection.poll():
        if not shooting.is_alive() and not connection.poll():  # it says all before it ends
            raise InputError("The process that publishes packets ended by itself.")
        if node.poll() is not None:
            raise InputError("The node ended by itself; what it said stands above.")
        probe.spin(0.02)
    return connection.recv()


@contextmanager
def _node(
    settings: Settings, home: str, size: tuple[int, int]
) -> Iterator[subprocess.Popen[bytes]]:
    """The executable `segment`; what it said is shown if it fails."""
    namespace, config = home.rsplit("/", 1)[0], settings.config.segmenter
    values = {
        "model": config.model,
        "provider": config.provider,
        "threads": config.threads,
        "refine": str(config.refine).lower(),
        "window.stride_ms": settings.config.window.stride_ms,
        "sensor.width": size[0],  # known, so that its network is compiled before it is active
        "sensor.height": size[1],
    }
    arguments = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    with (
        TemporaryFile() as said,
        process(SEGMENT, "--ros-args", "-r", f"__ns:={namespace}", *arguments, said=said) as node,
    ):
        try:
            yield node
        except BaseException:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
