"""Videos for people: the node's pictures side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError

_PANEL_WIDTH = 640
_BAR = 28
_INK = (235, 235, 235)
_PAPER = (24, 24, 28)


def side_by_side(panels: Mapping[str, np.ndarray], caption: str) -> np.ndarray:
    """Named pictures in two columns, each under its name, with a line of text below all.

    Args:
        panels: uint8 [H, W, 3] RGB or [H, W] grey, all of one size, by name.
        caption: the text below.

    Returns:
        uint8 [h, w, 3] RGB, height and width even, as video codecs want them.
    """
    tiles = [_tile(name, picture) for name, picture in panels.items()]
    if len(tiles) % 2 and len(tiles) > 1:
        tiles.append(np.full_like(tiles[0], _PAPER))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    bar = np.full((_BAR, rows[0].shape[1], 3), _PAPER, np.uint8)
    _write(bar, caption)
    return np.vstack([*rows, bar])


class VideoWriter:
    """Writes RGB frames to an mp4 (MPEG-4 part 2); a context manager.

    The same frames give the same bytes.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Nothing is written before the first frame, whose size is the video's.

        Args:
            path: of the mp4; overwritten.
            fps: frames a second when shown.
        """
        self.path = path
        self.frames = 0
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, uint8 [h, w, 3] RGB, of the size of the first.

        Raises:
            InputError: the file cannot be written.
        """
        if self._writer is None:
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            size = frame.shape[1], frame.shape[0]
            if not self.path.parent.is_dir():
                raise InputError(f"Cannot write {self.path}: {self.path.parent} is no folder.")
            self._writer = cv2.VideoWriter(str(self.path), fourcc, self._fps, size)
            if not self._writer.isOpened():
                raise InputError(f"Cannot write the video {self.path}; its name must end in .mp4.")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finishes the file."""
        if self._writer is not None:
            self._writer.release()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _tile(name: str, picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    scale = min(1.0, _PANEL_WIDTH / picture.shape[1])
    width, height = (2 * round(side * scale / 2) for side in (picture.shape[1], picture.shape[0]))
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    bar = np.full((_BAR, width, 3), _PAPER, np.uint8)
    _write(bar, name)
    return np.vstack([bar, picture])


def _write(bar: np.ndarray, text: str) -> None:
    cv2.putText(bar, text, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
