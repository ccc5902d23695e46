"""Bags that hold the node's outputs, as `evlayerseg replay -o` and `ros2 bag record` write them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_typestore

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.outputs.messages import output_of
from evlayerseg_ros.outputs.outputs import Output
from evlayerseg_ros.recordings.storage import StorageFile, files_of


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
    types = get_typestore(Stores.ROS2_JAZZY)
    files, faults = files_of(path)
    now: int | None = None
    found: dict[str, Output] = {}
    for file in files:
        with closing(StorageFile(file)) as storage:
            wanted = [key for key in storage.counts if key[0].rsplit("/", 1)[-1] in topics]
            for raw in storage.messages(wanted):
                try:
                    message: Any = types.deserialize_cdr(raw.data, raw.msgtype)
                    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                    output = output_of(message, raw.msgtype)
                except Exception:  # rosbags raises many kinds
                    faults.append(raw.fault or f"{file}: a message on {raw.topic} is damaged.")
                    continue
                if now is not None and stamp != now:
                    yield now, found
                    found = {}
                now = stamp
                if output is not None:
                    found[raw.topic.rsplit("/", 1)[-1]] = output
    if now is not None:
        yield now, found
    elif faults:
        raise InputError(faults[0])
    for fault in dict.fromkeys(faults):
        print(f"evlayerseg: {fault}", file=sys.stderr)
