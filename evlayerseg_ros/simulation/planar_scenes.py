"""Random scenes of textured layers in affine motion, after the paper's recipe and beyond it."""

from __future__ import annotations

import cv2
import numpy as np

from evlayerseg_ros.simulation.draws import heading, log_uniform
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor
from evlayerseg_ros.simulation.textures import TextureBank

# How often each kind of scene is drawn for training.
KINDS = {
    "paper": 0.36,  # one object on a moving background, the paper's ranges and smoothing
    "object": 0.14,  # one object, anything goes: texture, thresholds, noise, sensor
    "many": 0.11,  # two or three objects
    "none": 0.13,  # the camera moves, nothing else
    "static": 0.06,  # the camera stands still
    "parts": 0.06,  # the same with two or three objects, or one that moves in parts as people do
    "faint": 0.05,  # an object that hardly contrasts with the background
    "near": 0.09,  # somebody close to a camera that stands still: large, cut off, moving in parts
}


def random_scene(
    rng: np.random.Generator,
    bank: TextureBank,
    kind: str | None = None,
    duration: float = 0.28,
) -> Scene:
    """A random scene.

    Args:
        rng: source of everything random.
        bank: source of textures.
        kind: one of KINDS; drawn by their shares if None.
        duration: s; positions change as over that part of the paper's sequences of 1 s.
    """
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    paper = kind == "paper"
    sensor = _paper_sensor(rng) if paper else _any_sensor(rng)
    size = (sensor.width, sensor.height)
    median, blur = _smoothing(rng, paper)
    texture_size = (int(size[0] * 1.5), int(size[1] * 1.6))
    background = bank.background(rng, texture_size, median, blur)
    motion = _background_motion(rng, size, duration)
    if kind in ("static", "parts", "near"):
        motion = Motion(motion.shift[[0, 0]], motion.rotation[[0, 0]], motion.scale[[0, 0]])
    if kind == "near" and rng.random() < 0.4:  # a desk that shakes
        motion.shift[1] += rng.normal(0, 0.7, 2)
    layers = [Layer(background, None, motion)]
    several = int(rng.integers(2, 4))
    count = {"none": 0, "many": several, "parts": several, "near": several}.get(kind, 1)
    joined = kind == "near" or (kind == "parts" and rng.random() < 0.6)
    for index in range(count):
        whole = layers[1] if joined and index else None
        layers.append(_object(rng, bank, layers[0], size, duration, kind, whole))
    return Scene(layers, duration, sensor)


def _paper_sensor(rng: np.random.Generator) -> Sensor:
    return Sensor(threshold=(0.5, 0.5), settled=bool(rng.random() < 0.7))


def _any_sensor(rng: np.random.Generator) -> Sensor:
    width, height = ((640, 480), (640, 480), (346, 260))[rng.integers(3)]
    threshold = log_uniform(rng, 0.18, 0.6)
    on, off = threshold * np.exp(rng.normal(0, 0.08, 2))
    return Sensor(
        width=width,
        height=height,
        threshold=(float(on), float(off)),
        threshold_sigma=float(rng.uniform(0, 0.15)),
        refractory=float(rng.choice([1e-7, 1e-4, 5e-4])),
        noise_rate=log_uniform(rng, 0.02, 4),
        noise_spread=float(rng.choice([0, 0, 0.7, 1.5])),
        hot_pixels=int(rng.integers(0, 20)),
        settled=bool(rng.random() < 0.8),
    )


def _smoothing(rng: np.random.Generator, paper: bool) -> tuple[int, float]:
    """Median size and blur of the background's texture."""
    if paper:
        return 15, 1.0
    return int(rng.choice([0, 5, 9, 11, 15, 19])), float(rng.uniform(0.8, 2.5))


def _background_motion(rng: np.random.Generator, size: tuple[int, int], duration: float) -> Motion:
    """A part of the paper's: over 1 s +-5 deg, +-0.2 of the image, scale 0.9 to 1.1."""
    shift = rng.uniform(-0.2, 0.2, (2, 2)) * size
    rotation = np.deg2rad(rng.uniform(-5, 5, 2))
    scale = rng.uniform(0.9, 1.1, 2)
    start = rng.uniform(0, 1 - min(duration, 1))
    part = np.array([start, start + duration])[:, None]
    moved = shift[0] + part * (shift[1] - shift[0])
    return Motion(
        moved,
        (rotation[0] + part * (rotation[1] - rotation[0]))[:, 0],
        (scale[0] + part * (scale[1] - scale[0]))[:, 0],
    )


def _object(
    rng: np.random.Generator,
    bank: TextureBank,
    background: Layer,
    size: tuple[int, int],
    duration: float,
    kind: str,
    whole: Layer | None = None,
) -> Layer:
    """An object that is in view half-way through the clip and moves on its own, or as a part of
    another, `whole`."""
    near = kind == "near"
    smallest, largest = (0.1, 0.55) if not near else (0.6, 1.3) if whole is None else (0.2, 0.7)
    side = int(log_uniform(rng, smallest, largest) * size[0])
    texture, alpha = _look(rng, bank, background, side, kind)
    # Speed relative to the carrier, in image widths per second; the paper's reach 1.5.
    slowest, fastest = (0.05, 0.8) if near else (0.12, 1.6) if whole is None else (0.03, 0.5)
    speed = log_uniform(rng, slowest, fastest) * size[0]
    way = heading(rng)
    carrier = (background if whole is None else whole).motion
    carried = carrier.shift[1] - carrier.shift[0]
    step = way * speed * duration + carried
    middle = rng.uniform(-0.42, 0.42, 2) * size
    if whole is not None:
        middle = whole.motion.shift.mean(0) + rng.normal(0, 0.4, 2) * whole.texture_size
    rotation = np.deg2rad(rng.uniform(-10, 10, 2)) * rng.choice([1, 1, 3])
    scale = rng.uniform(0.8, 1.2, 2)
    start = rng.uniform(0, 1 - min(duration, 1))
    part = np.array([start, start + duration])
    upright = rng.normal(0, 0.35) if near else rng.uniform(0, 2 * np.pi) * (kind != "paper")
    motion = Motion(
        np.stack([middle - step / 2, middle + step / 2]),
        upright + rotation[0] + part * (rotation[1] - rotation[0]),
        scale[0] + part * (scale[1] - scale[0]),
    )
    return Layer(texture, alpha, motion)


def _look(
    rng: np.random.Generator, bank: TextureBank, background: Layer, side: int, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """An object's log intensity and alpha, float32 [h, w] each."""
    smoothing = (11, 1.0) if kind == "paper" else (int(rng.choice([0, 5, 11])), rng.uniform(0.6, 2))
    texture, alpha = bank.object(rng, side, *smoothing)
    if kind == "near":  # as people are: longer than wide
        wide = max(16, int(texture.shape[1] * rng.uniform(0.15, 0.5))), texture.shape[0]
        texture, alpha = (
            cv2.resize(a, wide, interpolation=cv2.INTER_AREA) for a in (texture, alpha)
        )
    if kind == "faint":
        level = np.median(background.log_intensity) + rng.uniform(-0.3, 0.3)
        texture = (level + (texture - texture.mean()) * 0.4).astype(np.float32)
    return texture, alpha
