"""Moves times before zero, as around a trigger, since ROS has none."""

from __future__ import annotations

import sys


class FromZero:
    """Moves the times of one clock so that none is negative.

    Args:
        what: whose times these are, for a line that tells of the first move; "": none is told.
    """

    def __init__(self, what: str = "") -> None:
        self._what, self._shift = what, 0

    def __call__(self, time: int) -> int:
        """A time in ns, moved like those before it, or further if it would still be negative."""
        if time + self._shift < 0:
            self._shift = -time
            if self._what:
                print(
                    f"evlayerseg: ROS has no times before zero: those of {self._what} are "
                    f"{self._shift * 1e-9:.3f} s later than the recording's.",
                    file=sys.stderr,
                )
                self._what = ""
        return time + self._shift
