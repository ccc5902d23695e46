"""Bags of the node's outputs, as `evlayerseg replay -o` and `ros2 bag record` write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from evlayerseg_ros.outputs.messages import nanoseconds, output_of
from evlayerseg_ros.outputs.outputs import Output
from evlayerseg_ros.recordings.storage import messages_in


def are_outputs(topics: Collection[str]) -> bool:
    """Whether a bag's topics have layers or masks, but no events."""
    names = {topic.rsplit("/", 1)[-1] for topic in topics}
    return bool(names & {"mask", "layers"}) and "events" not in names


def outputs_in(path: Path, topics: Collection[str]) -> Iterator[tuple[int, dict[str, Output]]]:
    """The stamp (ns) of each window, and its outputs by topic.

    What cannot be read is left out, and told at the end.

    Args:
        path: a rosbag2 whose topics `are_outputs`.
        topics: those to read, by the last part of their names.

    Raises:
        InputError: nothing in it can be read.
    """
    now: int | None = None
    found: dict[str, Output] = {}

    def wanted(topic: str, _: str) -> bool:
        return topic.rsplit("/", 1)[-1] in topics

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
    return nanoseconds(message.header.stamp), output_of(message, kind)
