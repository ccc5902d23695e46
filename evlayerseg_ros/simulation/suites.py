"""Named sets for evaluation, with textures, shapes and motions that training never uses.

docs/suites.md has the distributions, written down before anything was measured on them. Shapes are
letters and rings, surfaces are photographs kept back from training and woven patterns of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evlayerseg_ros.simulation.depth_scenes import KNOTS, Camera
from evlayerseg_ros.simulation.draws import heading, log_uniform
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor
from evlayerseg_ros.simulation.textures import TextureBank, log_intensity

DURATION = 0.5  # s
SEQUENCES = 4  # of each suite
REST = Camera(np.zeros((KNOTS, 2)), np.zeros((KNOTS, 2)), np.ones(KNOTS), np.zeros(KNOTS))
LETTERS = "ABDEFGHKMNPRSTXZ&#"


@dataclass(frozen=True)
class Suite:
    """What a suite's sequences are drawn from; sizes and speeds uniform in their logarithms.

    Attributes:
        movers: how many things move by themselves.
        side: their size, share of the image's width.
        speed: of theirs relative to the camera's motion, widths a second.
        near: how many things rest at other depths.
        camera: how it moves: any, turn, slide, shake or rest.
        contrast: of the movers' surfaces, as a share.
        flat: share of the movers without inner edges.
        noise: events per pixel and second.
        lamps: how many flicker.
        stops: whether the movers stop half-way.
        size: sensor's width and height, px.
    """

    movers: int = 1
    side: tuple[float, float] = (0.08, 0.5)
    speed: tuple[float, float] = (0.15, 1.2)
    near: int = 0
    camera: str = "any"
    contrast: float = 1.0
    flat: float = 0.4
    noise: tuple[float, float] = (0.05, 1.0)
    lamps: int = 0
    stops: bool = False
    size: tuple[int, int] = (640, 480)


SUITES = {
    "one_small": Suite(side=(0.04, 0.1), speed=(0.3, 1.5)),
    "one_large": Suite(side=(0.5, 1.0)),
    "one_slow": Suite(speed=(0.04, 0.12), side=(0.15, 0.5)),
    "one_faint": Suite(contrast=0.35, side=(0.15, 0.5)),
    "one_deep": Suite(near=3),
    "several_touching": Suite(movers=3, side=(0.2, 0.5), speed=(0.2, 0.8)),
    "several_stopping": Suite(movers=2, stops=True, side=(0.1, 0.3)),
    "none_turn": Suite(movers=0, camera="turn"),
    "none_slide": Suite(movers=0, camera="slide", near=4),
    "none_shake": Suite(movers=0, camera="shake", near=2),
    "none_noise": Suite(movers=0, camera="rest", noise=(1.0, 5.0)),
    "rest_near": Suite(camera="rest", side=(0.4, 1.0), speed=(0.05, 0.6)),
    "rest_flicker": Suite(camera="rest", lamps=2, side=(0.08, 0.3)),
    "sensor_128": Suite(size=(128, 128), side=(0.15, 0.6)),
    "sensor_240": Suite(size=(240, 180), side=(0.12, 0.5)),
}


def suite_scenes(name: str, bank: TextureBank, seed: int) -> Iterator[tuple[str, Scene]]:
    """The scenes of a suite, each with its name.

    Args:
        name: one of SUITES.
        bank: textures; those kept back from training.
        seed: of everything random.
    """
    for index in range(SEQUENCES):
        rng = np.random.default_rng([seed, 77, list(SUITES).index(name), index])
        yield f"{name}{index}", _scene(rng, bank, SUITES[name])


def _scene(rng: np.random.Generator, bank: TextureBank, suite: Suite) -> Scene:
    size = np.array(suite.size)
    camera = _camera(rng, size, suite.camera)
    layers = [_ground(rng, bank, size, camera)]
    for label in rng.permutation([0] * suite.near + list(range(1, suite.movers + 1))).tolist():
        side = int(log_uniform(rng, *(suite.side if label else (0.15, 0.6))) * size[0])
        surface, alpha = _thing(rng, bank, max(side, 10), suite)
        nearness = log_uniform(rng, 0.5, 3.0)
        place = rng.uniform(-0.35, 0.35, 2) * size
        carried = camera.place(place, nearness)
        shift = carried.shift - carried.shift[KNOTS // 2] + place
        if label:
            way = np.linspace(-0.5, 0.5, KNOTS)
            way = np.minimum(way, 0.0) if suite.stops else way
            own = way[:, None] * heading(rng) * log_uniform(rng, *suite.speed)
            shift = shift + own * size[0] * DURATION
        spin = np.linspace(-0.5, 0.5, KNOTS) * rng.normal(0, 0.15) * (label > 0)
        motion = Motion(shift, carried.rotation + spin, carried.scale)
        layers.append(Layer(surface, alpha, motion, label))
    threshold = log_uniform(rng, 0.18, 0.45)
    sensor = Sensor(
        *suite.size,
        threshold=(threshold, threshold * log_uniform(rng, 0.85, 1.18)),
        threshold_sigma=0.05,
        noise_rate=log_uniform(rng, *suite.noise),
        lamps=suite.lamps,
        settled=True,
    )
    return Scene(layers, DURATION, sensor)


def _camera(rng: np.random.Generator, size: np.ndarray, kind: str) -> Camera:
    """0.08 to 0.7 widths a second, as turn or slide; shaking by 1 % of the width."""
    if kind == "rest":
        return REST
    line = np.linspace(-0.5, 0.5, KNOTS)[:, None] * heading(rng)
    way = line * log_uniform(rng, 0.08, 0.7) * size[0] * DURATION
    roll = np.linspace(-0.5, 0.5, KNOTS) * rng.normal(0, 0.15) * DURATION
    if kind == "shake":
        return replace(REST, turn=rng.normal(0, 0.01 * size[0], (KNOTS, 2)))
    if kind == "any":
        kind = str(rng.choice(["turn", "slide"]))
    if kind == "turn":
        return replace(REST, turn=way, roll=roll)
    zoom = np.exp(np.linspace(-0.5, 0.5, KNOTS) * rng.normal(0, 0.15) * DURATION)
    return Camera(np.zeros((KNOTS, 2)), way, zoom, roll)


def _ground(rng: np.random.Generator, bank: TextureBank, size: np.ndarray, camera: Camera) -> Layer:
    """A background from a nearly bare wall to a photograph or a woven pattern."""
    motion = camera.place(np.zeros(2), 1.0)
    w, h = (size + 2 * np.abs(motion.shift).max(0) + 0.3 * size).astype(int)
    image = bank.surface(rng, (w, h)) if rng.random() < 0.5 else woven(rng, (w, h))
    surface = log_intensity(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.2))
    less = log_uniform(rng, 0.05, 1.0)
    return Layer((surface.mean() + (surface - surface.mean()) * less), None, motion, 0)


def woven(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """uint8 [h, w]: a pattern of a few crossing waves whose phases wander."""
    w, h = size
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    total = np.zeros((h, w), np.float32)
    for _ in range(6):
        wander = cv2.resize(rng.normal(0, 3, (4, 5)).astype(np.float32), (w, h))
        a, period = rng.uniform(0, np.pi), log_uniform(rng, 12, 160)
        total += np.sin((np.cos(a) * x + np.sin(a) * y) * 2 * np.pi / period + wander)
    return np.clip(128 + total * 30, 0, 255).astype(np.uint8)


def _thing(
    rng: np.random.Generator, bank: TextureBank, side: int, suite: Suite
) -> tuple[np.ndarray, np.ndarray]:
    """A letter or a ring with a surface: log intensity and alpha, float32 [h, w]."""
    alpha: np.ndarray = np.zeros((side, side), np.float32)
    if rng.random() < 0.25:
        cv2.circle(alpha, (side // 2, side // 2), int(side * 0.36), (1.0,), max(2, side // 5))
    else:
        letter = LETTERS[rng.integers(len(LETTERS))]
        thick = max(2, side // 6)
        (w, h), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
        scale = 0.75 * side / max(w, h)
        at = int((side - w * scale) / 2), int((side + h * scale) / 2)
        cv2.putText(alpha, letter, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (1.0,), thick)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8)
    image = bank.surface(rng, (side, side)) if rng.random() < 0.5 else woven(rng, (side, side))
    surface = log_intensity(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0))
    inner = 0.05 if rng.random() < suite.flat else 1.0
    level = surface.mean() + rng.normal(0, 0.25)
    return (level + (surface - surface.mean()) * inner * suite.contrast).astype(np.float32), alpha
