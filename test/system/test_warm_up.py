"""Warm-up: what is slow once is over before events come."""

from __future__ import annotations

import os
import subprocess
import sys

from root import ROOT

SCRIPT = """
import gc
import numpy as np
from numba.core.dispatcher import Dispatcher
from faulty import PACKETS, SIZE, bases
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.types import Packet
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.outputs.outputs import OUTPUTS
from evlayerseg_ros.segmentation.segmenter import Segmenter
from evlayerseg_ros.node.warm_up import finding_the_box, warm_up

TURN = np.array(((0.0, 0, 500), (0, 0, 500)))

def compiled():
    found = [o for o in gc.get_objects() if isinstance(o, Dispatcher)]
    return {f"{d.py_func.__qualname__}{s}" for d in found for s in d.signatures}

segmenter = Segmenter.load("default", "cpu", threads=1, track=True, camera_motion="imu")
warm_up(segmenter, 0, 0)
before = compiled()
moving = 0
for encoding, packets in PACKETS.items():
    stream, windows = PacketStream(WindowConfig(duration_ms=10.0)), []
    for k, (packet, base) in enumerate(zip(packets, bases())):
        data = np.frombuffer(bytearray(packet), np.uint8)
        windows += stream.push(Packet(encoding, *SIZE, base, data, 10**18 + base, k))
    assert len(windows) > 2
    for segment in (segmenter, finding_the_box(segmenter)):
        segment.forget()
        for k, window in enumerate(windows):
            segment.refine = k == len(windows) - 1
            found = segment(window, TURN if segment is segmenter else None)
            moving += bool(found.labels.any())
            for make in OUTPUTS.values():
                make(window, found)
assert moving
print(len(before), sorted(compiled() - before))
"""


def test_nothing_is_compiled_when_events_come():
    """In a process of its own: other tests would have compiled it already."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT / "test",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test")])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    count, rest = done.stdout.split(" ", 1)
    assert int(count) > 10
    assert rest.strip() == "[]"
