"""A recording, or a bag of the node's outputs, as a scene in Rerun."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.outputs import OUTPUTS, Output
from evlayerseg_ros.pipeline import Pipeline

if TYPE_CHECKING:
    from evlayerseg_ros.outputs.scene import Scene


def view_recording(packets: Iterable[Packet], pipeline: Pipeline, scene: Scene) -> int:
    """Segments a recording into a scene; returns the number of windows.

    Args:
        packets: the recording.
        pipeline: what the node runs.
        scene: that shows it.

    Raises:
        InputError: the recording is unsound.
    """
    from evlayerseg_ros.outputs.scene import SHOWN

    count = 0
    for segmentation, _, seconds in pipeline.run(packets):
        window = segmentation.window
        shown = {name: OUTPUTS[name](window, segmentation) for name in SHOWN}
        rate = len(window.events) / max(window.duration, 1e-9) * 1e-6
        figures = {"Mev/s": rate}
        if count:  # the first one compiles and warms up
            figures["compute ms"] = seconds * 1e3
        scene.log(window.stamp, shown, figures)
        scene.say(window.stamp, pipeline.faults() or "The recording is sound so far.")
        count += 1
    if faults := pipeline.faults():
        print(f"evlayerseg: {faults}", file=sys.stderr)
    return count


def view_outputs(windows: Iterable[tuple[int, Mapping[str, Output]]], scene: Scene) -> int:
    """Shows the node's outputs; returns the number of windows.

    Args:
        windows: the stamp of each (ns), and its outputs by topic.
        scene: that shows them.

    Raises:
        InputError: the bag that they come from is unsound.
    """
    count = 0
    for stamp, outputs in windows:
        scene.log(stamp, outputs)
        count += 1
    return count
