"""Pictures for people: events coloured by layer, the flow colour wheel, warped events."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numba import njit

from evlayerseg_ros.events.types import Events

GROUND = (14, 15, 20)
"""RGB of a pixel that saw nothing."""

BACKGROUND_EVENT = ((66, 82, 116), (120, 140, 176))
"""RGB of an OFF and of an ON event of the background: quiet, so that what moves stands out."""

LAYER_COLORS = (
    (255, 96, 32),
    (64, 220, 96),
    (250, 80, 220),
    (255, 214, 40),
    (60, 210, 240),
    (170, 120, 255),
    (200, 240, 90),
)
"""RGB of the moving layers 1, 2, ...; they repeat after the last."""

_WHEEL_STEPS = (15, 6, 4, 11, 13, 6)
"""Colours of the published wheel from red to yellow, green, cyan, blue, magenta and back."""

_HUES = 1081
"""Directions that the flow's picture tells apart."""

_WEBP_QUALITY = 80
"""Of pictures in pages, of 100."""

_TINT = 0.30
"""How strongly the dense mask shows through behind the events."""

_OFF_SHADE = 0.72
"""Brightness of a moving layer's OFF events; its ON events have 1."""


def overlay(events: Events, event_labels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The events coloured by layer on a dark ground that is tinted with the dense mask.

    Where several events hit one pixel the last one shows.

    Args:
        events: N events, drawn where they happened.
        event_labels: uint8 [N], layer of each event, 0 is the background.
        labels: uint8 [H, W], layer of each pixel.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    picture = _painted(labels, _GROUND_TABLE)
    _draw_events(picture, events.x, events.y, events.p, event_labels, _EVENT_TABLE)
    return picture


def label_picture(labels: np.ndarray) -> np.ndarray:
    """The dense mask in the layers' colours: uint8 [H, W] to uint8 [H, W, 3], RGB."""
    return _painted(labels, _SOLID_TABLE)


def flow_wheel(flow: np.ndarray, full_speed: float | None = None) -> np.ndarray:
    """A flow field as colours of the wheel of Baker et al., IJCV 2011 (the Middlebury wheel).

    Direction is hue: red to the right, yellow down, cyan to the left, violet up. Speed is
    saturation: white is still, the full colour is `full_speed`, and what is faster is darkened.

    Args:
        flow: float32 [H, W, 2], (u, v); v points down as rows do.
        full_speed: speed of the full colour in the flow's unit; None takes the fastest pixel.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    speed, angle = cv2.cartToPolar(
        np.ascontiguousarray(flow[..., 0], np.float32),
        np.ascontiguousarray(flow[..., 1], np.float32),
    )
    if full_speed is None:
        full_speed = float(speed.max(initial=0.0))
    picture = np.empty((*speed.shape, 3), np.uint8)
    _paint_flow(picture, speed, angle, np.float32(256 / max(full_speed, 1e-9)), _WHEEL)
    return picture


def image_of_warped_events(
    x: np.ndarray, y: np.ndarray, width: int, height: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Events counted where they were carried to, each split over its four nearest pixels.

    Args:
        x, y: float32 [N], coordinates in px, integers at pixel centres; those outside do not count.
        width, height: size in px.
        weights: float32 [N], what each event counts; None counts 1 each.

    Returns:
        float32 [H, W], events (or weight) a pixel.
    """
    image = np.zeros((height, width), np.float32)
    if weights is None:
        weights = np.ones(len(x), np.float32)
    _vote(image, *(np.ascontiguousarray(a, np.float32) for a in (x, y, weights)))
    return image


def to_gray(counts: np.ndarray) -> np.ndarray:
    """Counts as a picture: float32 [H, W] to uint8 [H, W].

    Three standard deviations above the mean of the pixels that were hit is white: a few hot
    pixels do not darken the rest.
    """
    total, squares, hit = _moments(counts)
    if hit == 0:
        return np.zeros(counts.shape, np.uint8)
    mean = total / hit
    white = mean + 3.0 * max(squares / hit - mean * mean, 0.0) ** 0.5
    return cv2.convertScaleAbs(counts, alpha=255.0 / white)


def as_source(picture: np.ndarray) -> str:
    """A picture, uint8 [H, W, 3] RGB, as the source of an img: WebP within the page itself."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    ok, webp = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    assert ok
    return "data:image/webp;base64," + base64.b64encode(webp.tobytes()).decode()


def _layer_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours by label: ground [256, 3], events [256, 2 (polarity), 3], solid [256, 3]."""
    strong = np.array([LAYER_COLORS[(i - 1) % len(LAYER_COLORS)] for i in range(256)], np.float64)
    ground = np.array(GROUND) * (1 - _TINT) + strong * _TINT
    ground[0] = GROUND
    events = np.stack([strong * _OFF_SHADE, strong], axis=1)
    events[0] = BACKGROUND_EVENT
    strong[0] = GROUND
    return _to_bytes(ground), _to_bytes(events), _to_bytes(strong)


def _to_bytes(colors: np.ndarray) -> np.ndarray:
    return np.rint(colors).astype(np.uint8)


def _color_wheel() -> np.ndarray:
    """The wheel's full colours, uint8 [_HUES, 3], evenly spaced from right by way of down."""
    corners = np.array(
        [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)], np.float64
    )
    arcs = [
        corners[i] + (corners[i + 1] - corners[i]) * np.arange(n)[:, None] / n
        for i, n in enumerate(_WHEEL_STEPS)
    ]
    wheel = np.concatenate(arcs)
    # As published, the last of these colours lies a whole turn from the first.
    place = np.linspace(0, len(wheel) - 1, _HUES)
    channels = [np.interp(place, np.arange(len(wheel)), wheel[:, c]) for c in range(3)]
    return _to_bytes(255 * np.stack(channels, 1))


_GROUND_TABLE, _EVENT_TABLE, _SOLID_TABLE = _layer_tables()
_WHEEL = _color_wheel()


@njit(cache=True, nogil=True)
def _painted(labels, colors):  # type: ignore[no-untyped-def]
    picture = np.empty((*labels.shape, 3), np.uint8)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            for c in range(3):
                picture[row, column, c] = colors[labels[row, column], c]
    return picture


@njit(cache=True, nogil=True)
def _draw_events(picture, x, y, p, event_labels, colors):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        color = colors[event_labels[i], p[i]]
        row, column = y[i], x[i]
        picture[row, column, 0] = color[0]
        picture[row, column, 1] = color[1]
        picture[row, column, 2] = color[2]


@njit(cache=True, nogil=True)
def _paint_flow(picture, speed, angle, scale, wheel):  # type: ignore[no-untyped-def]
    turn = np.float32((len(wheel) - 1) / (2 * np.pi))
    for row in range(speed.shape[0]):
        for column in range(speed.shape[1]):
            hue = int(angle[row, column] * turn + np.float32(0.5))
            hue = min(max(hue, 0), len(wheel) - 1)  # whatever a NaN becomes
            part = int(min(speed[row, column] * scale, np.float32(1e6)))  # 256 is full
            for c in range(3):
                color = int(wheel[hue, c])
                color = 255 - (part * (255 - color) >> 8) if part <= 256 else color * 3 >> 2
                picture[row, column, c] = color


@njit(cache=True, nogil=True)
def _vote(image, x, y, weights):  # type: ignore[no-untyped-def]
    height, width = image.shape
    one = np.float32(1.0)
    for i in range(len(x)):
        # Written so that a NaN coordinate fails the test and does not count.
        if not (x[i] > -1 and x[i] < width and y[i] > -1 and y[i] < height):
            continue
        left, top = int(np.floor(x[i])), int(np.floor(y[i]))
        dx, dy = x[i] - np.float32(left), y[i] - np.float32(top)
        upper, lower = (one - dy) * weights[i], dy * weights[i]
        if top >= 0:
            if left >= 0:
                image[top, left] += (one - dx) * upper
            if left + 1 < width:
                image[top, left + 1] += dx * upper
        if top + 1 < height:
            if left >= 0:
                image[top + 1, left] += (one - dx) * lower
            if left + 1 < width:
                image[top + 1, left + 1] += dx * lower


@njit(cache=True, nogil=True)
def _moments(counts):  # type: ignore[no-untyped-def]
    total, squares, hit = 0.0, 0.0, 0
    for value in counts.flat:
        if value > 0:
            total += value
            squares += value * value
            hit += 1
    return total, squares, hit
