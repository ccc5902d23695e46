"""Parallax: things at rest that are nearer or farther than the background.

Before a camera that moves they pass the background along its own direction, the faster the nearer
they are (and turn with it: turns have no parallax). That direction is the background's at their
place or, where a zoom or roll hides it there, at the middle of the image. One such object may as
well be a mover that goes that way by chance. Two that pass at different speeds show that the scene
has depth; for a second after that, whatever passes so is taken for a thing at rest.
"""

from __future__ import annotations

import numpy as np

from evlayerseg_ros.motion.evidence import BLOCK, SPAN, Evidence
from evlayerseg_ros.segmentation.segmentation import Segmentation

MEMORY = 1_000_000_000  # ns for which depth that was seen is believed
# Of a sensor 640 px wide, over SPAN:
FEWEST = 2.0  # px: slower motions have no direction
ASIDE = 1.5  # px that a thing may go off the line
ASIDE_SHARE, MIDDLE_SHARE = 0.15, 0.05  # and share of its way; from the line at the image's middle
MOST_ASIDE = 0.7  # share of its way: about 45 degrees
NEAREST = 6.0  # times the background's motion: the fastest that things at rest pass it
SURE = 3.0  # the strongest belief that a track is at rest; each window adds 1
AGAINST = -0.75  # or this, where the track goes another way than the background
UNLIKE = 1.5  # ratio of two speeds past the background from which on they are of two depths
CLEAR = 20.0  # votes for a motion in each of its blocks from which on it shows depth by itself
FEWEST_BLOCKS = 6  # of these
ZERO_MOTION = np.zeros((2, 3))


class ParallaxState:
    """Whether the scene is known to have depth, and which tracks are at rest. For one camera.

    A track's motion is measured anew in each window, with some error, so each is believed to be at
    rest in as far as it passed along the background's direction lately.
    """

    def __init__(self) -> None:
        self._until = 0  # ns for which depth is known
        self._beliefs: dict[int, float] = {}  # by id, from -SURE to SURE
        self._camera_rests = False

    def update(
        self,
        found: Segmentation,
        followed: set[int],
        evidence: Evidence,
        turn: np.ndarray = ZERO_MOTION,
    ) -> None:
        """Look at the objects of one more window.

        Args:
            found: the objects, each label the id of its track.
            followed: ids of all tracks.
            evidence: of the motions in the window, of objects or not.
            turn: float64 [2, 3], px/s, the motion that the camera's turn makes, if it is known.
        """
        self._beliefs = {k: belief for k, belief in self._beliefs.items() if k in followed}
        self._camera_rests = found.rests
        if found.rests:
            return
        size, speeds = np.array(found.labels.shape[::-1]), []
        for label in 1 + np.flatnonzero(found.layer_events[1:]):
            motion, at = found.affine[label] - turn, found.centroids[label]
            speed = speed_past_background(motion, found.affine[0] - turn, at, size)
            if speed is None:
                continue
            belief = self._beliefs.get(int(label), 0.0) + (1.0 if speed else AGAINST)
            self._beliefs[int(label)] = float(np.clip(belief, -SURE, SURE))
            if speed and belief > 0:
                speeds.append(speed)
        if differ(speeds) or differ(_clear_speeds(evidence.turned(-turn), size)):
            self._until = found.window.end + MEMORY

    def static_tracks(self, end: int) -> set[int]:
        """Ids of the tracks that are at rest before a camera that moves, as known at `end` (ns)."""
        if self._camera_rests or end > self._until:
            return set()
        return {k for k, belief in self._beliefs.items() if belief > 0}


def speed_past_background(
    motion: np.ndarray, background: np.ndarray, at: np.ndarray, size: np.ndarray
) -> float | None:
    """How fast a thing passes the background along the background's own direction.

    Args:
        motion, background: float64 [2, 3], px/s.
        at: x, y, px, where it is.
        size: width and height of the sensor, px.

    Returns:
        px of 640 in SPAN, below zero where it stays behind; 0 where it goes elsewhere; None where
        the two are too slow to tell.
    """
    scale = SPAN * 1e-9 * 640 / size[0]
    here, middle = (np.array((*place, 1.0)) * scale for place in (at, size / 2))
    own, ground = motion @ here, background @ here
    lines = (ground, ASIDE_SHARE), (background @ middle, MIDDLE_SHARE)
    way, lengths = float(np.hypot(*(own - ground))), [float(np.hypot(*line)) for line, _ in lines]
    if way < FEWEST or max(lengths) < FEWEST:
        return None
    for (line, share), length in zip(lines, lengths):
        if length < FEWEST:
            continue
        along = own @ line / length - length
        aside = abs(own[0] * line[1] - own[1] * line[0]) / length
        on_line = aside < min(ASIDE + share * way, MOST_ASIDE * way)
        if on_line and -length < along < NEAREST * length:
            return float(along)
    return 0.0


def _clear_speeds(evidence: Evidence, size: np.ndarray) -> list[float]:
    """See `speed_past_background`: those of the motions that much speaks for."""
    speeds = []
    for k in range(1, len(evidence.motions)):
        blocks = np.argwhere(evidence.choice == k)
        if len(blocks) >= FEWEST_BLOCKS and evidence.votes[k] >= CLEAR * len(blocks):
            at = (blocks.mean(0) + 0.5)[::-1] * evidence.cell * BLOCK
            motion, background = evidence.motions[k], evidence.motions[0]
            speeds.append(speed_past_background(motion, background, at, size))
    return [speed for speed in speeds if speed]


def mover_or_static(evidence: Evidence, width: int) -> np.ndarray:
    """What kind of thing passes the background as the motion chosen at each block does.

    Args:
        evidence: the motions, and the one chosen at each block.
        width: px of the sensor.

    Returns:
        float32 [2, rows, columns], 0 to 1: how far it leaves the background's own direction, or is
        too fast for something at rest, as only a mover does; and how far it goes on along that
        direction, as something near and at rest does. Both are 0 where the background's motion is
        chosen, and near 0 of what stays behind along the line, unless it is too fast.
    """
    rows, columns = np.nonzero(evidence.choice)
    side = evidence.cell * BLOCK
    at = np.stack(((columns + 0.5) * side, (rows + 0.5) * side, np.ones(len(rows))), 1)
    scale = SPAN * 1e-9 * 640 / width
    chosen = evidence.motions[evidence.choice[rows, columns]]
    ground = at @ evidence.motions[0].T * scale
    past = np.einsum("nij,nj->ni", chosen, at) * scale - ground
    way, ground_way = np.linalg.norm(past, axis=1), np.linalg.norm(ground, axis=1)
    along = (past * ground).sum(1) / np.maximum(ground_way, 1e-9)
    aside = np.sqrt(np.maximum(way**2 - along**2, 0))
    off = (aside / (ASIDE + ASIDE_SHARE * way)) ** 2
    too_fast = (way / (NEAREST * ground_way + FEWEST)) ** 4
    out = np.zeros((2, *evidence.choice.shape), np.float32)
    other = (off + too_fast) / (1 + off + too_fast)
    out[0, rows, columns] = other
    out[1, rows, columns] = (1 - other) * (along > 0)
    return out


def differ(speeds: list[float]) -> bool:
    """Whether some of the speeds past the background are of things of different depths."""
    ahead, behind = ([abs(v) for v in speeds if (v > 0) == side] for side in (True, False))
    return bool(ahead and behind) or any(
        max(same) > UNLIKE * min(same) for same in (ahead, behind) if same
    )
