"""What is written on pictures for people: objects' numbers and motions, the wheel and its speed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np

from evlayerseg_ros.outputs.pictures import GROUND, LAYER_COLORS, flow_wheel
from evlayerseg_ros.segmentation.segmentation import MovingObject

AHEAD = 0.1
"""An arrow ends where its object is after so many seconds."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE = (255, 255, 255)


def with_objects(
    picture: np.ndarray, objects: Iterable[MovingObject], scale: float = 1
) -> np.ndarray:
    """A copy with each object's number, speed and an arrow to where it is 0.1 s later.

    Args:
        picture: uint8 [H, W, 3], RGB, of the sensor's size.
        objects: to draw.
        scale: how many times to enlarge it first, so that what is written can be read.

    Returns:
        uint8 [scale H, scale W, 3], RGB.
    """
    out = scaled(picture, scale)
    for thing in objects:
        _draw_object(out, thing, scale)
    return out


def with_wheel(picture: np.ndarray, full_speed: float, scale: float = 1) -> np.ndarray:
    """A copy with the colour wheel in its lower right corner, and the speed of its full colours.

    Args:
        picture: uint8 [H, W, 3], RGB, of flow_wheel.
        full_speed: as given to flow_wheel, px/s.
        scale: how many times to enlarge it first.
    """
    out = scaled(picture, scale)
    side = max(24, min(72, min(out.shape[:2]) // 4))
    wheel, round_ = _wheel(side)
    corner = out[-side - 4 : -4, -side - 4 : -4]
    corner[round_] = wheel[round_]
    text = f"{full_speed:.0f} px/s"
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
    place = (max(2, out.shape[1] - width - 6), max(height + 2, out.shape[0] - side - 8))
    _write(out, text, place, _WHITE)
    return out


def scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    """A copy `scale` times as wide and high: uint8 [H, W, ..] to [scale H, scale W, ..]."""
    if scale == 1:
        return np.array(picture)
    size = tuple(max(1, round(scale * side)) for side in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def full_speed(flow: np.ndarray, seconds: float) -> float:
    """A round speed for the wheel's full colours, so that noise does not get them.

    Args:
        flow: float32 [H, W, 2], px/s.
        seconds: length of the window: two pixels in that time are the least.

    Returns:
        px/s: 1, 2 or 5 times a power of ten, at least the fastest pixel's speed.
    """
    u, v = cv2.split(flow)
    fastest = np.sqrt(np.nan_to_num(np.fmax.reduce(u * u + v * v, axis=None, initial=0)))
    least = max(float(fastest), 2.0 / max(seconds, 1e-3), 1.0)
    decade = 10.0 ** np.floor(np.log10(least))
    return float(decade * next(step for step in (1, 2, 5, 10) if step * decade >= least * 0.999))


def _draw_object(out: np.ndarray, thing: MovingObject, scale: float) -> None:
    place = np.array(thing.place)
    velocity = thing.motion @ (*place, 1.0)
    if not np.isfinite((*place, *velocity)).all():
        return
    start, end = (
        tuple(round(scale * float(np.clip(c, -1e4, 1e4))) for c in at)
        for at in (place, place + AHEAD * velocity)
    )
    color = LAYER_COLORS[(thing.id - 1) % len(LAYER_COLORS)]
    for tint, width in ((GROUND, 4), (_WHITE, 2)):
        cv2.arrowedLine(out, start, end, tint, width, cv2.LINE_AA, tipLength=0.3)
    left, top, _, _ = thing.box
    text = f"{thing.id}: {np.hypot(*velocity):.0f} px/s"
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
    x0 = int(np.clip(scale * left, 2, max(2, out.shape[1] - width - 2)))
    y0 = int(np.clip(scale * top - 4, height + 2, out.shape[0] - 2))
    _write(out, text, (x0, y0), color)


def _write(out: np.ndarray, text: str, place: tuple[int, int], color: tuple[int, ...]) -> None:
    """Text with a dark edge, so that it can be read on anything."""
    cv2.putText(out, text, place, _FONT, 0.4, GROUND, 3, cv2.LINE_AA)
    cv2.putText(out, text, place, _FONT, 0.4, color, 1, cv2.LINE_AA)


@cache
def _wheel(side: int) -> tuple[np.ndarray, np.ndarray]:
    """The wheel, uint8 [side, side, 3], and where it is, bool [side, side]."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    flow = np.stack(np.meshgrid(axis, axis), -1)
    return flow_wheel(flow, 1.0), (flow**2).sum(-1) <= 1.0
