"""The search for motions, from window to window."""

from __future__ import annotations

import numpy as np
import pytest

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.motion.proposals import Proposal
from evlayerseg_ros.segmentation import search as module
from evlayerseg_ros.segmentation.search import SCHEDULE, SETTLED, Found, Search, Seen

END = 133_000_000  # ns
FEW = Events.from_arrays([1, 2], [3, 4], [0, END - 1], [0, 1], 640, 480)


def seen(rests: bool = False) -> Seen:
    return Seen(FEW, END, None, np.zeros((1, 2, 3)), rests)


def test_in_a_round_of_turns_all_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def propose(past, end, background):
        looked.append("anywhere")
        return [Proposal(np.full((2, 3), len(looked)), 1.0)]

    def propose_locally(past, end, background):
        looked.append("slow")
        return []

    monkeypatch.setattr(module, "propose", propose)
    monkeypatch.setattr(module, "propose_locally", propose_locally)
    search = Search()
    for _ in range(SETTLED):
        search.update(seen())
    assert looked == ["anywhere", "slow"] * SETTLED
    looked.clear()
    for _ in range(10 * len(SCHEDULE) + 1):
        search.update(seen())
    assert looked.count("anywhere") >= 10 and looked.count("slow") >= 10
    (newest,) = search.found.proposed  # of the last time that it was looked for, and no other
    assert newest[0, 0] == 1 + max(k for k, what in enumerate(looked) if what == "anywhere")


def test_the_best_of_each_kind_come_first() -> None:
    a, b, c = (np.full((2, 3), value) for value in (1.0, 2.0, 3.0))
    assert [m[0, 0] for m in Found(a, (b, c), (a,)).proposed] == [2, 1, 3]


def test_before_a_camera_at_rest_the_background_rests() -> None:
    search = Search(propose=False)
    search.found = Found(np.ones((2, 3)), slow=(np.ones((2, 3)),))
    search.update(seen(rests=True))
    assert not search.found.background.any() and search.found.proposed == []
