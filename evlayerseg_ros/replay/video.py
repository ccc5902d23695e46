"""Videos for people: what the node sees, its pictures side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evlayerseg_ros.errors import InputError, needs
from evlayerseg_ros.outputs import annotate, pictures
from evlayerseg_ros.segmentation.segmentation import MovingObject

_PANEL_WIDTH = 640  # px at most
_LEAST_WIDTH = 320  # px at least, so that titles can be read
# px that a panel's width is a multiple of: x264 looks beyond the end of lines whose number of bytes
# is not one of 64, half a frame's width, and then no two files are the same.
_STEP = 64
_BAR = 28
_INK = (235, 235, 235)
_PAPER = (24, 24, 28)
_STEADY = 30  # frames that the wheel's speed is kept for, once nothing is so fast any more
_QUALITY = "26"  # x264's constant rate factor: noise of events costs most, and nobody looks at it


def scale_of(width: int) -> float:
    """How many times a picture of so many columns is enlarged (or made smaller) to be seen."""
    return -(-_LEAST_WIDTH // max(width, 1)) if width < _PANEL_WIDTH else _PANEL_WIDTH / width


def side_by_side(panels: Mapping[str, np.ndarray], caption: str) -> np.ndarray:
    """Named pictures in two columns, each under its name, with a line of text below all.

    Args:
        panels: uint8 [H, W, 3] RGB or [H, W] grey, by name, of one size but for scale_of.
        caption: the text below.

    Returns:
        uint8 [h, w, 3] RGB, height and width even, as video codecs want them.
    """
    width = min(picture.shape[1] for picture in panels.values())
    width = round(width * scale_of(width))
    tiles = [
        _tile(name, annotate.scaled(picture, width / picture.shape[1]))
        for name, picture in panels.items()
    ]
    if len(tiles) % 2 and len(tiles) > 1:
        tiles.append(np.full_like(tiles[0], _PAPER))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    bar = np.full((_BAR, rows[0].shape[1], 3), _PAPER, np.uint8)
    _write(bar, caption)
    return np.vstack([*rows, bar])


class Frames:
    """Draws the frames of a video: overlay, flow, sharpened events and mask.

    The wheel's speed is the largest of the last frames, so that colours keep their meaning from
    frame to frame.
    """

    def __init__(self, steady: int = _STEADY) -> None:
        """For so many frames a speed is kept."""
        self._speeds: deque[float] = deque(maxlen=steady)

    def draw(
        self,
        shown: Mapping[str, np.ndarray],
        objects: Sequence[MovingObject],
        duration: float,
        seconds: float,
        note: str,
    ) -> np.ndarray:
        """A frame, uint8 [h, w, 3] RGB.

        Args:
            shown: what the topics mask_overlay, flow, sharpened_events and mask hold of a window.
            objects: in it.
            duration: of it, s.
            seconds: that the text below begins with; then comes the number of objects.
            note: the rest of that text.
        """
        self._speeds.append(annotate.full_speed(shown["flow"], duration))
        full, scale = max(self._speeds), scale_of(shown["mask"].shape[1])
        wheel = pictures.flow_wheel(shown["flow"], full)
        panels = {
            "events by layer": annotate.with_objects(shown["mask_overlay"], objects, scale),
            "motion: white is at rest": annotate.with_wheel(wheel, full, scale),
            "events sharpened along the motion": shown["sharpened_events"],
            "mask": pictures.label_picture(shown["mask"]),
        }
        found = len(objects)
        caption = f"t {seconds:7.3f} s   {found} object{'s' * (found != 1)}   {note}"
        return side_by_side(panels, caption)


class VideoWriter:
    """Writes RGB frames to an mp4 in H.264, which browsers play; a context manager.

    The same frames of side_by_side give the same bytes. The file's index comes first, so that a
    page can begin to play it at once.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Nothing is written before the first frame, whose size is the video's.

        Args:
            path: of the mp4; overwritten.
            fps: frames a second when shown.

        Raises:
            InputError: PyAV is not installed.
        """
        self._av = needs("av")
        self._path, self._fps = path, fps
        self._file: Any = None
        self._stream: Any = None

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, uint8 [h, w, 3] RGB, of the size of the first.

        Raises:
            InputError: the file cannot be written.
        """
        if self._file is None:
            self._open(frame.shape[1], frame.shape[0])
        planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)
        picture = self._av.VideoFrame.from_ndarray(planes, format="yuv420p")
        self._file.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finishes the file."""
        if self._file is not None:
            self._file.mux(self._stream.encode(None))
            self._file.close()
            self._file = None

    def _open(self, width: int, height: int) -> None:
        if not self._path.parent.is_dir():
            raise InputError(f"Cannot write {self._path}: {self._path.parent} is no folder.")
        if self._path.suffix != ".mp4":
            raise InputError(f"Cannot write the video {self._path}; its name must end in .mp4.")
        try:
            self._file = self._av.open(str(self._path), "w", options={"movflags": "+faststart"})
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"Cannot write the video {self._path}: {reason}.") from error
        rate = Fraction(self._fps).limit_denominator(1000)
        self._stream = self._file.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": _QUALITY, "preset": "veryfast", "threads": "1"}

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _tile(name: str, picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    below, right = -picture.shape[0] % 2, -picture.shape[1] % _STEP
    border = cv2.BORDER_CONSTANT
    picture = cv2.copyMakeBorder(picture, 0, below, 0, right, border, value=_PAPER)
    bar = np.full((_BAR, picture.shape[1], 3), _PAPER, np.uint8)
    _write(bar, name)
    return np.vstack([bar, picture])


def _write(bar: np.ndarray, text: str) -> None:
    """A line of text, smaller if need be, and cut at its end if that does not do."""
    room = bar.shape[1] - 12
    size = 0.5
    while size > 0.35 and _width(text, size) > room:
        size -= 0.05
    while len(text) > 1 and _width(text, size) > room:
        text = text[:-1]
    cv2.putText(bar, text, (6, 19), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)


def _width(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])
