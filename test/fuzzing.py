"""What the properties of test_fuzz.py and test_fuzz_files.py share.

Hypothesis picks kinds of faults and a seed; numpy makes the bytes. `make fuzz` runs the same
properties for longer and counts the inputs.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from faulty import FAULTS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.events import Window
from evlayerseg_ros.events.voxel import VoxelSpec, voxel_grid

S = 1_000_000_000
STAMP = 1_700_000_000 * S
SPEC = VoxelSpec(bins=5, split=True, width=80, multiple=8)
# Times the examples of `make test`; where there are more, each has its faults ten times in a row,
# every time in other places, since most of the time goes into the choice of examples.
SCALE = int(os.environ.get("EVLAYERSEG_FUZZ", "1"))
TURNS = 10 if SCALE > 1 else 1
inputs: Counter[str] = Counter()
"""How many inputs each property has given, for `make fuzz`."""


def count_inputs() -> None:
    """Tells `make fuzz` how many inputs there were so far."""
    if path := os.environ.get("EVLAYERSEG_FUZZ_COUNTS"):
        Path(path).write_text("".join(f"{name} {n}\n" for name, n in inputs.items()))


def examples(n: int) -> settings:
    """n examples, times as many as `make fuzz` asks for."""
    return settings(
        max_examples=n * SCALE,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


seeds = st.integers(0, 2**32 - 1)
faults = st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=24)
sides = st.sampled_from([1, 2, 64, 240, 320, 1280, 4096])


def sound(windows: list[Window]) -> None:
    """Asserts what everything after the decoder relies on; a voxel grid is made of the first.

    A pause is answered by hundreds of empty windows, of which some do.
    """
    for k, window in enumerate(windows[:20] + windows[20:][-20:]):
        sound_window(window, k == 0)


def sound_window(window: Window, with_grid: bool) -> None:
    events = window.events
    assert np.all(events.x < events.width) and np.all(events.y < events.height)
    assert np.all(events.p <= 1) and np.all(events.t[1:] >= events.t[:-1])
    assert window.start <= window.end
    assert len(events) == 0 or window.start <= events.t[0] <= events.t[-1] == window.end
    if with_grid and events.width * events.height <= 320 * 240:
        grid = voxel_grid(window, SPEC)
        assert np.isclose(np.abs(grid).sum(), len(events), rtol=1e-3, atol=1e-3)


def told(error: InputError) -> None:
    """Asserts that the error is one sentence."""
    text = str(error)
    assert text.endswith(".") and "\n" not in text and 20 < len(text) < 1000, text
