"""The search for motions, from window to window."""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.proposals import shifts
from evlayerseg_ros.segmentation.search import PHASES, Search, Seen

END = 133_000_000  # ns


def test_a_search_of_a_minute_goes_on_to_try_every_shift(monkeypatch) -> None:
    few = Events.from_arrays([1, 2], [3, 4], [0, END - 1], [0, 1], 640, 480)
    tried: list[np.ndarray] = []

    def remember(past, end, background, shifts):
        tried.append(shifts)
        return []

    monkeypatch.setattr("evlayerseg_ros.segmentation.search.propose", remember)
    seen = Seen(few, END, None, np.zeros((1, 2, 3)), True)
    search = Search()
    for _ in range(1800):
        search.update(seen)
    last = np.concatenate(tried[-PHASES:])
    assert {tuple(d) for d in last.tolist()} == {tuple(d) for d in shifts().tolist()}
