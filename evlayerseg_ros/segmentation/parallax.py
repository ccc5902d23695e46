"""Parallax: things at rest that are nearer or farther than the background.

Before a camera that moves they pass the background along its own direction, the faster the nearer
they are (and turn with it: turns have no parallax). One such object may as well be a mover that
goes that way by chance. Two that pass at different speeds show that the scene has depth; from then
on, whatever passes so is taken for a thing at rest.
"""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.motion.evidence import SPAN
from evlayerseg_ros.segmentation.segmentation import Segmentation

MEMORY = 1_000_000_000  # ns for which depth that was seen is believed
# Of a sensor 640 px wide, over SPAN:
FEWEST = 2.0  # px: slower motions have no direction
ASIDE, ASIDE_SHARE = 1.5, 0.15  # px, and share of its way, that a thing may go off the line
MOST_ASIDE = 0.7  # share of its way: about 45 degrees
NEAREST = 6.0  # times the background's motion: the fastest that things at rest pass it
UNLIKE = 1.25  # ratio of two ways past the background from which on they are of two depths


class Depth:
    """Whether the scene is known to have depth, and what of it is at rest. For one camera."""

    def __init__(self) -> None:
        self._until: int | None = None

    def without_parallax(self, found: Segmentation) -> Segmentation:
        """The objects that move by themselves, as far as is known.

        Args:
            found: objects of a window, later than those before.
        """
        if found.rests or len(found.affine) < 2:
            return found
        passing = ways_past(found)
        end = found.window.end
        if differ(list(passing.values())):
            self._until = end + MEMORY
        if not passing or self._until is None or end > self._until:
            return found
        return found.only([k for k in range(1, len(found.affine)) if k not in passing])


def ways_past(found: Segmentation) -> dict[int, float]:
    """How far (px of 640 over SPAN) each label passes the background along the background's own
    direction, below zero where it stays behind; without those that go elsewhere."""
    scale = SPAN * 1e-9 * 640 / found.labels.shape[1]
    ways = {}
    for label, (x, y) in enumerate(found.centroids[1:], 1):
        ground, own = found.affine[[0, label]] @ np.array((x, y, 1.0)) * scale
        past = own - ground
        way, ground_way = np.hypot(*past), np.hypot(*ground)
        if not min(way, ground_way) > FEWEST:  # nor without events
            continue
        along = past @ ground / ground_way
        aside = np.sqrt(max(way**2 - along**2, 0.0))
        on_line = aside < min(ASIDE + ASIDE_SHARE * way, MOST_ASIDE * way)
        if on_line and -ground_way < along < NEAREST * ground_way:
            ways[label] = float(along)
    return ways


def differ(ways: list[float]) -> bool:
    """Whether some of the ways past the background are of things of different depths."""
    ahead, behind = ([abs(w) for w in ways if (w > 0) == side] for side in (True, False))
    return bool(ahead and behind) or any(
        max(same) > UNLIKE * min(same) for same in (ahead, behind) if same
    )
