"""Frames of videos that `evlayerseg replay --video` wrote, side by side as a picture for the docs.

.venv/bin/evlayerseg replay RECORDING --window-ms 100 --video cars.mp4
.venv/bin/python tools/gallery.py docs/cars.webp cars.mp4:5 cars.mp4:20
"""

import sys
from pathlib import Path

import cv2
import numpy as np

WIDTH = 480  # px of a frame


def frame(video: str, number: int) -> np.ndarray:
    """uint8 [h, WIDTH, 3] BGR: a frame of a video, counted from 0."""
    capture = cv2.VideoCapture(video)
    for _ in range(number + 1):
        there, picture = capture.read()
        if not there:
            sys.exit(f"gallery: {video} has no frame {number}")
    size = WIDTH, round(WIDTH * picture.shape[0] / picture.shape[1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def main(out: Path, frames: list[str]) -> None:
    pictures = [frame(video, int(number)) for video, number in (f.rsplit(":", 1) for f in frames)]
    lowest = max(len(picture) for picture in pictures)
    level = [np.pad(p, ((0, lowest - len(p)), (0, 0), (0, 0))) for p in pictures]
    cv2.imwrite(str(out), np.hstack(level), [cv2.IMWRITE_WEBP_QUALITY, 75])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
