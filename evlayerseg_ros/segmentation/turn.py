"""The camera's turn, as a gyro tells it, in what the Segmenter knows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.gyro import GyroCheck
from evlayerseg_ros.segmentation.past_events import PastEvents

ZERO_MOTION = np.zeros((2, 3))


@dataclass
class Turn:
    """What is believed of the camera's turn, window after window.

    Attributes:
        check: whether the events bear out what the gyro says.
        now: float64 [2, 3], px/s, the image motion that the turn makes; zero where none is known.
        changed: by how much it is another than in the window before; zero where one is not known.
    """

    check: GyroCheck = field(default_factory=GyroCheck)
    now: np.ndarray = field(default_factory=ZERO_MOTION.copy)
    changed: np.ndarray = field(default_factory=ZERO_MOTION.copy)
    _end: int | None = None

    def follow(
        self, past: PastEvents, window: Window, said: np.ndarray | None, rests: bool
    ) -> Events:
        """Take one more window, and what the gyro says of it.

        Args:
            past: the windows before; this one is added.
            window: this one.
            said: float64 [2, 3], px/s; None where nothing is known.
            rests: whether the camera rests.

        Returns:
            The last events; where the gyro is believed, as if the camera had turned evenly.
        """
        changed = past.add(window, said)
        before = self._end if self._end is not None and self._end < window.end else window.start
        new = (window.end - max(window.start, before)) * 1e-9
        as_seen, self._end = past.before(window.end), window.end
        self.now = self.changed = ZERO_MOTION
        if said is None or rests:
            return as_seen
        steadied = past.before(window.end, steadied=True)
        self.check.update(as_seen, steadied, window.end, said, new)
        if not self.check.believed:
            return as_seen
        self.now, self.changed = said, changed
        return steadied
