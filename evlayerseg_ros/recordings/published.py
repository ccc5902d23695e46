"""Bags that hold the node's outputs, as `evlayerseg replay -o` and `ros2 bag record` write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from evlayerseg_ros.outputs.messages import output_of
from evlayerseg_ros.outputs.outputs import Output
from evlayerseg_ros.recordings.storage import messages_in


def are_outputs(topics: Collection[str]) -> bool:
    """Whether a bag's topics are layers or masks beside which no events stand."""
    names = {topic.rsplit("/", 1)[-1] for topic in topics}
    return bool(names & {"mask", "layers"}) and "events" not in names


def outputs_in(path: Path, topics: Collection[str]) -> Iterator[tuple[int, dict[str, Output]]]:
    """The outputs of each window: its stamp in ns, and what its topics held.

    What cannot be read is left out, and told at the end.

    Args:
        path: a rosbag2 whose topics `are_outputs`.
        topics: those to read, by the last part of their names.

    Raises:
        InputError: nothing of it can be read.
    """
    now: int | None = None
    found: dict[str, Output] = {}
    wanted = lambda topic, _: topic.rsplit("/", 1)[-1] in topics  # noqa: E731
    for topic, (stamp, output) in messages_in(path, wanted, _stamped):
        if now is not None and stamp != now:
            yield now, found
            found = {}
        now = stamp
        if output is not None:
            found[topic.rsplit("/", 1)[-1]] = output
    if now is not None:
        yield now, found


def _stamped(message: Any, kind: str) -> tuple[int, Output | None]:
    stamp = message.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec, output_of(message, kind)
