"""Times before zero, as around a trigger: ROS has none, so they are moved."""

from __future__ import annotations

import sys


class FromZero:
    """Moves the times of a clock so that none is negative; those of others stay as they are.

    Args:
        what: whose times these are, told once where they are moved; "": nothing is told.
    """

    def __init__(self, what: str = "") -> None:
        self._what, self._shift = what, 0

    def __call__(self, time: int) -> int:
        """A time in ns, moved as those before it, or by more where it would still be negative."""
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
