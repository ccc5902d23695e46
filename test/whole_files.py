"""What a recording holds, and what a stream that got all of it counted."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from evlayerseg_ros.events import Events
from evlayerseg_ros.events.stream import PacketStream
from evlayerseg_ros.events.window import WindowConfig
from evlayerseg_ros.pipeline import windows_of
from evlayerseg_ros.recordings.readers import open_recording

VGA = (640, 480)


def some_events(n=20_000, size=VGA, span_us=500_000, seed=3):
    """Events all over a sensor, in whole us, at 40 kev/s if not said otherwise."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(1, span_us, n)) * 1000
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    return Events.from_arrays(x, y, t, rng.integers(0, 2, n), *size)


def run(path: Path, **options):
    """The recording as opened, its windows and the stream's counters."""
    stream = PacketStream(WindowConfig())
    with open_recording(path, **options) as recording:
        windows = [window for window, _ in windows_of(recording, stream)]
    assert all(a.stamp <= b.stamp for a, b in pairwise(windows))
    return recording, windows, stream.stats


def aedat_3(e: Events, source: int) -> bytes:
    """A packet of AEDAT 3.1."""
    data = e.x.astype(np.uint32) << 17 | e.y.astype(np.uint32) << 2 | e.p << 1 | 1
    words = np.column_stack([data, (e.t // 1000).astype(np.uint32)]).astype("<u4")
    n = len(e)
    return struct.pack("<hhiiiiii", 1, source, 8, 4, 0, n, n, n) + words.tobytes()


def write_table(path: Path, e: Events, t=None, size=None) -> Path:
    """An npz, text or HDF5 file (DSEC's layout) with times as they are given."""
    t = (e.t // 1000 if path.suffix == ".h5" else e.t * 1e-9) if t is None else t
    if path.suffix == ".npz":
        np.savez(path, x=e.x, y=e.y, t=t, p=e.p, **({} if size is None else {"size": size}))
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, column in zip("xytp", (e.x, e.y, t, e.p), strict=True):
                file[f"events/{name}"] = column
    else:
        form = "%d" if np.issubdtype(np.asarray(t).dtype, np.integer) else "%.9f"
        head = "" if size is None else f"{size[0]} {size[1]}"
        np.savetxt(
            path, np.column_stack([np.asarray(t), e.x, e.y, e.p]),
            fmt=[form, "%d", "%d", "%d"], header=head, comments="",
        )  # fmt: skip
    return path
