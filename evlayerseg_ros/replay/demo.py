"""The whole path once, for real: the node in its own process, a recording played into it from
another over DDS, and what came out as a video, a picture and figures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.outputs import affine_in
from evlayerseg_ros.pipeline import PipelineConfig
from evlayerseg_ros.recordings.readers import open_recording
from evlayerseg_ros.replay.video import Frames, VideoWriter
from evlayerseg_ros.segmentation.segmentation import flow_of, objects_of

if TYPE_CHECKING:
    from evlayerseg_ros.node.demo_listener import Listener

SEGMENT = "evlayerseg_ros.node.segment"
NAMESPACE = "/event_camera"
NODE = f"{NAMESPACE}/evlayerseg"
EVENTS = f"{NAMESPACE}/events"
PICTURES = ("mask_overlay", "sharpened_events", "mask")
Tell = Callable[[str], object]


def run(recording: Path, out: Path, tell: Tell) -> str:
    """Plays a recording into the node and writes demo.mp4 and demo.png.

    Args:
        recording: anything that open_recording reads.
        out: folder for the two files, made if need be.
        tell: called with a sentence at each step.

    Returns:
        What was measured, in lines of text.

    Raises:
        InputError: the recording is unsound or too short, or the node does not run.
    """
    with open_recording(recording):
        pass  # a wrong path is told before anything starts
    out.mkdir(parents=True, exist_ok=True)
    prepare_ros()
    from evlayerseg_ros.node.demo_listener import Listener

    with Listener(NODE, EVENTS, PICTURES) as listener:
        _perform(recording, listener, tell)
    if (masks := len(listener.masks)) < 2:
        came = "one mask" if masks else "no mask"
        fault = f" The node said: {listener.fault}" if listener.fault else ""
        raise InputError(
            f"{recording} is too short for a demo: {came} came out, of at least two (a window "
            f"lasts 33 ms).{fault}"
        )
    tell(_write_pictures(listener, out))
    return figures(listener)


def prepare_ros() -> None:
    """A domain of our own, so that a demo does not mix with what else runs on this network."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@contextmanager
def process(
    module: str, *arguments: str, said: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A module of ours in its own process, ended on leaving as Ctrl-C would end it.

    Args:
        module: what to run.
        arguments: of its command line.
        said: file that takes what it prints; None: where we print.
    """
    command = [sys.executable, "-m", module, *arguments]
    child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT if said else None)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def figures(listener: Listener) -> str:
    """What was measured, in lines of text."""
    arrivals = sorted(listener.masks.values())
    seconds = (arrivals[-1] - arrivals[0]) * 1e-9
    windows = len(arrivals) - 1  # after the first, whose arrival begins the time
    first = min(listener.masks)
    events = sum(int(table["events"].sum()) for at, table in listener.layers.items() if at != first)
    latencies = listener.latencies()
    latency = "not measured: no packet was heard beside its mask"
    if latencies:
        p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
        latency = (
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms (last event's packet published -> mask received)"
        )
    told = listener.diagnostics
    return "\n".join(
        [
            f"windows      {windows} in {seconds:.2f} s: {windows / seconds:.1f} windows/s",
            f"latency      {latency}",
            f"events       {events * 1e-6:.2f} M: {events * 1e-6 / seconds:.2f} Mev/s",
            f"node         dropped {told.get('windows dropped', '?')} windows, "
            f"lost {told.get('lost packets', '?')} packets, "
            f"ran on {told.get('provider', '?')}",
        ]
    )


def _perform(recording: Path, listener: Listener, tell: Tell) -> None:
    """Starts the node, plays the recording into it and listens until all is over."""
    remaps = ("-r", f"__ns:={NAMESPACE}", "-r", f"~/events:={EVENTS}")
    with process(SEGMENT, "--ros-args", *remaps) as node:
        listener.wait_for_node(node.poll, tell)
        tell(f"the node is active; playing {recording}")
        listener.hear_packets()
        both = ("--wait", "60", "--subscribers", "2")  # the node and the listener
        play = ("evlayerseg_ros.cli", "play", str(recording), "--to", EVENTS)
        with process(*play, *both) as player:
            listener.listen(lambda: player.poll() is not None)


def _write_pictures(listener: Listener, out: Path) -> str:
    """Writes demo.mp4, a frame for each window of which all came, and demo.png."""
    stamps = sorted(set(listener.layers).intersection(*listener.pictures.values()))
    frames = Frames()
    with VideoWriter(out / "demo.mp4", fps=30.0) as video:
        for i, stamp in enumerate(stamps):
            frame = _frame(listener, stamp, frames, (stamp - stamps[0]) * 1e-9)
            video.write(frame)
            if i == len(stamps) // 2:
                cv2.imwrite(str(out / "demo.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return f"wrote {out / 'demo.mp4'} ({len(stamps)} frames) and {out / 'demo.png'}"


def _frame(listener: Listener, stamp: int, frames: Frames, seconds: float) -> np.ndarray:
    """A window's frame, of what the node said about it."""
    shown = {name: listener.picture(name, stamp) for name in PICTURES}
    table, mask = listener.layers[stamp], shown["mask"]
    affine, places = affine_in(table), np.stack([table["x"], table["y"]], axis=1)
    shown["flow"] = flow_of(mask, affine)
    objects = objects_of(mask, affine, table["events"], places, {})
    duration = PipelineConfig().window.duration_ms * 1e-3  # the node runs with the defaults
    return frames.draw(shown, objects, duration, seconds, f"heard over DDS from {NODE}")
