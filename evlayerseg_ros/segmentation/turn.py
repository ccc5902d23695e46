"""The camera's turn, as a gyro tells it, in what the Segmenter knows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evlayerseg_ros.events.types import Events, Window
from evlayerseg_ros.motion.gyro import Agreement
from evlayerseg_ros.segmentation.memory import Memory

STILL = np.zeros((2, 3))


@dataclass
class Turn:
    """What is believed of the camera's turn, window after window.

    Attributes:
        agreement: whether the events bear out what the gyro says.
        now: float64 [2, 3], px/s, the image motion that the turn makes; zero where none is known.
        changed: by how much it is another than in the window before; zero where one is not known.
    """

    agreement: Agreement = field(default_factory=Agreement)
    now: np.ndarray = field(default_factory=STILL.copy)
    changed: np.ndarray = field(default_factory=STILL.copy)
    _end: int | None = None

    def follow(self, memory: Memory, window: Window, said: np.ndarray | None) -> Events:
        """Take what the gyro says of a window, which `memory` holds already.

        Args:
            memory: the windows before and this one.
            window: this one.
            said: float64 [2, 3], px/s; None where nothing is known, or the camera rests.

        Returns:
            The last events; where the gyro is believed, as if the camera had turned evenly.
        """
        before = self._end if self._end is not None and self._end < window.end else window.start
        new = (window.end - max(window.start, before)) * 1e-9
        past, self._end = memory.past(window.end), window.end
        self.now = self.changed = STILL
        if said is None:
            return past
        steadied = memory.past(window.end, steadied=True)
        self.agreement.update(past, steadied, window.end, said, new)
        if not self.agreement.believed:
            return past
        self.now, self.changed = said, memory.turn_changed
        return steadied
