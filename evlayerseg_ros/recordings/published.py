"""Bags that hold the node's outputs, as `evlayerseg replay -o` and `ros2 bag record` write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.messages import output_of
from evlayerseg_ros.outputs.outputs import Output


def holds_outputs(path: Path) -> bool:
    """Whether it is a rosbag2 with a topic of layers or masks beside which no events stand."""
    if path.suffix not in (".mcap", ".db3") and not (path / "metadata.yaml").is_file():
        return False
    try:
        with Reader(path) as reader:
            names = {c.topic.rsplit("/", 1)[-1] for c in reader.connections}
    except Exception:
        return False  # whoever opens it as a recording says what is wrong
    return bool(names & {"mask", "layers"}) and "events" not in names


def outputs_in(path: Path, topics: Collection[str]) -> Iterator[tuple[int, dict[str, Output]]]:
    """The outputs of each window: its stamp in ns, and what its topics held.

    Args:
        path: a bag of which `holds_outputs` is true.
        topics: those to read, by the last part of their names.

    Raises:
        InputError: the bag is unsound.
    """
    types = get_typestore(Stores.ROS2_JAZZY)
    now: int | None = None
    found: dict[str, Output] = {}
    try:
        with Reader(path) as reader:
            wanted = [c for c in reader.connections if c.topic.rsplit("/", 1)[-1] in topics]
            for connection, _, raw in reader.messages(wanted):
                message: Any = types.deserialize_cdr(raw, connection.msgtype)
                stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                if now is not None and stamp != now:
                    yield now, found
                    found = {}
                now = stamp
                output = output_of(message, connection.msgtype)
                if output is not None:
                    found[connection.topic.rsplit("/", 1)[-1]] = output
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is no sound bag: {type(error).__name__}: {error}") from error
    if now is not None:
        yield now, found
