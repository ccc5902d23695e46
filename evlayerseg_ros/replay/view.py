"""A recording as a scene in Rerun."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.outputs.outputs import OUTPUTS
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
