"""Random scenes of a world with depth: a camera, things at rest at many depths, and movers.

The camera turns, slides and zooms, or rests, and may change between these within a clip. What rests
is moved by the camera alone: its turn moves everything alike, its slide and zoom in proportion to
the inverse depth. That is parallax, and all of it is background. Movers, whole ones and puppets of
swinging limbs, lie at depths of their own. Sizes and speeds are uniform in their logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from evlayerseg_ros.simulation.draws import heading, log_uniform
from evlayerseg_ros.simulation.simulator import Layer, Motion, Scene, Sensor
from evlayerseg_ros.simulation.textures import TextureBank

KNOTS = 9  # instants of a clip between which poses are linear
MOST_LAYERS = 16  # of a scene, the background included
SENSORS = {  # width and height, px: how often
    (640, 480): 0.42, (346, 260): 0.17, (1280, 720): 0.01, (240, 180): 0.12, (304, 240): 0.07,
    (320, 320): 0.05, (128, 128): 0.16,
}  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """A camera's own motion as the image of the background shows it, at KNOTS instants.

    Attributes:
        turn: float [KNOTS, 2], px that everything moves alike.
        slide: float [KNOTS, 2], px that what lies as deep as the background moves.
        zoom: float [KNOTS], scale of what lies as deep as the background.
        roll: float [KNOTS], rad.
    """

    turn: np.ndarray
    slide: np.ndarray
    zoom: np.ndarray
    roll: np.ndarray

    def place(self, place: np.ndarray, nearness: float) -> Motion:
        """The motion of something at rest.

        Args:
            place: float [2], px from the image's centre if the camera were at its start.
            nearness: inverse depth, 1 that of the background.
        """
        zoom = np.maximum(1 + nearness * (self.zoom - 1), 0.2)
        c, s = np.cos(self.roll), np.sin(self.roll)
        turned = np.stack((c * place[0] - s * place[1], s * place[0] + c * place[1]), 1)
        shift = turned * zoom[:, None] + self.turn + nearness * self.slide
        return Motion(shift, self.roll.copy(), zoom)


def random_world(rng: np.random.Generator, bank: TextureBank, duration: float = 0.3) -> Scene:
    """A random scene with depth; see the module's text.

    Args:
        rng: source of everything random.
        bank: source of textures.
        duration: s.
    """
    sensor = random_sensor(rng)
    size = np.array((sensor.width, sensor.height))
    rests = rng.random() < 0.3
    camera = random_camera(rng, size, duration, rests)
    layers = [_background(rng, bank, size, camera)]
    things = 0 if rng.random() < 0.45 else int(rng.integers(1, 6))
    movers = int(rng.choice(5, p=[0.2, 0.47, 0.18, 0.1, 0.05]))
    order = rng.permutation([0] * things + list(range(1, movers + 1)))
    for label in order:
        if label == 0:
            layers.append(_thing(rng, bank, size, camera))
        elif rng.random() < 0.3:
            layers += _puppet(rng, bank, size, camera, int(label), duration)
        else:
            layers.append(_mover(rng, bank, size, camera, int(label), duration))
    return Scene(layers[:MOST_LAYERS], duration, sensor)


def random_sensor(rng: np.random.Generator) -> Sensor:
    """A random sensor: size, thresholds, noise, lamps."""
    sizes = list(SENSORS)
    width, height = sizes[rng.choice(len(sizes), p=list(SENSORS.values()))]
    threshold = log_uniform(rng, 0.12, 0.6)
    on, off = threshold * np.exp(rng.normal(0, 0.12, 2))
    return Sensor(
        width=width,
        height=height,
        threshold=(float(on), float(off)),
        threshold_sigma=float(rng.uniform(0, 0.2)),
        refractory=float(rng.choice([1e-7, 1e-4, 5e-4, 2e-3])),
        noise_rate=log_uniform(rng, 0.02, 5),
        noise_spread=float(rng.choice([0, 0, 0.7, 1.5])),
        hot_pixels=int(rng.integers(0, 20)),
        lamps=int(rng.choice([0, 0, 0, 0, 0, 1, 2])),
        settled=bool(rng.random() < 0.9),
    )


def random_camera(
    rng: np.random.Generator, size: np.ndarray, duration: float, rests: bool
) -> Camera:
    """A random camera motion; sizes in px of the sensor, speeds up to two widths a second."""
    none = np.zeros(KNOTS)
    if rests:
        shake = rng.normal(0, 0.0008 * size[0], (KNOTS, 2)) * (rng.random() < 0.3)
        return Camera(shake, np.zeros((KNOTS, 2)), none + 1, none)
    pace = _pace(rng)
    speed = log_uniform(rng, 0.04, 1.2) * size[0]
    share = rng.choice([0.0, 1.0, rng.random()])  # of it that is a turn
    turn, slide = (
        pace[:, None] * heading(rng) * speed * duration * part for part in (share, 1 - share)
    )
    zoom = np.exp(pace * duration * rng.normal(0, 0.25) * (rng.random() < 0.5))
    roll = pace * duration * rng.normal(0, 0.25) * (rng.random() < 0.6)
    if rng.random() < 0.2:  # carried by somebody who walks
        turn = turn + np.cumsum(rng.normal(0, 0.01 * size[0], (KNOTS, 2)), 0)
    return Camera(turn, slide, zoom, roll)


def _pace(rng: np.random.Generator) -> np.ndarray:
    """float [KNOTS], -0.5 to 0.5: how far along its way something is; mostly steady."""
    kind = rng.choice(4, p=[0.7, 0.12, 0.08, 0.1])
    s = np.linspace(0, 1, KNOTS)
    change = rng.uniform(0.25, 0.75)
    if kind == 1:  # stops
        s = np.minimum(s, change)
    elif kind == 2:  # starts
        s = np.maximum(s - change, 0)
    elif kind == 3:  # swings
        s = np.sin(2 * np.pi * (s * rng.uniform(0.4, 1.2) + rng.random())) / 3
    return s - s.mean()


def _background(
    rng: np.random.Generator, bank: TextureBank, size: np.ndarray, camera: Camera
) -> Layer:
    """From a bare wall to foliage, large enough for the camera's way."""
    motion = camera.place(np.zeros(2), 1.0)
    way = 2 * np.abs(motion.shift).max(0) + 0.2 * size
    w, h = np.minimum((size + way) / min(motion.scale.min(), 1), 2.6 * size).astype(int)
    median = int(rng.choice([0, 0, 5, 9, 15])) if size[0] > 300 else int(rng.choice([0, 3, 5]))
    texture = bank.background(rng, (w, h), median, float(rng.uniform(0.7, 2.2)))
    texture = _contrast(rng, texture, 0.35)
    return Layer(texture, None, motion, 0)


def _contrast(rng: np.random.Generator, texture: np.ndarray, share: float) -> np.ndarray:
    """The texture with less contrast, `share` of the time; log intensity, float32."""
    if rng.random() >= share:
        return texture
    less = np.float64(log_uniform(rng, 0.03, 0.6))  # float32 only in the end
    middle = np.median(texture)
    return (middle + (texture - middle) * less).astype(np.float32)


def _look(
    rng: np.random.Generator, bank: TextureBank, side: int, flat: float = 0.35
) -> tuple[np.ndarray, np.ndarray]:
    """Log intensity and alpha, float32 [h, w]; `flat` of the time without any inner edge."""
    texture, alpha = bank.object(rng, side, int(rng.choice([0, 0, 5, 9])), rng.uniform(0.6, 1.8))
    if rng.random() < flat:
        level = np.median(texture) + rng.normal(0, 0.3)
        texture = (level + (texture - np.median(texture)) * rng.uniform(0, 0.1)).astype(np.float32)
    return _contrast(rng, texture, 0.25), alpha


def _stretched(image: np.ndarray, wide: float) -> np.ndarray:
    size = max(6, int(image.shape[1] * wide)), image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _side(rng: np.random.Generator, size: np.ndarray, low: float, high: float) -> int:
    return max(8, int(log_uniform(rng, low, high) * size[0]))


def _thing(rng: np.random.Generator, bank: TextureBank, size: np.ndarray, camera: Camera) -> Layer:
    """Something at rest at another depth than the background."""
    texture, alpha = _look(rng, bank, _side(rng, size, 0.08, 1.2))
    if rng.random() < 0.4:
        wide = rng.uniform(0.1, 0.6)
        texture, alpha = (_stretched(a, wide) for a in (texture, alpha))
    nearness = log_uniform(rng, 0.3, 4)
    motion = camera.place(rng.uniform(-0.5, 0.5, 2) * size, nearness)
    middle = motion.shift[KNOTS // 2] - rng.uniform(-0.5, 0.5, 2) * size  # in view half-way
    return Layer(texture, alpha, replace(motion, shift=motion.shift - middle), 0)


def _way(
    rng: np.random.Generator, size: np.ndarray, camera: Camera, duration: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shift [KNOTS, 2] px, rotation and scale [KNOTS] of something that moves by itself."""
    place = rng.uniform(-0.45, 0.45, 2) * size
    carried = camera.place(place, log_uniform(rng, 0.6, 2))
    speed = log_uniform(rng, 0.03, 2.2) * size[0]  # apart from what carries it
    own = _pace(rng)[:, None] * heading(rng) * speed * duration
    shift = carried.shift - carried.shift[KNOTS // 2] + place + own
    turn = _pace(rng) * duration * rng.normal(0, 0.6) * (rng.random() < 0.5)
    grow = np.exp(_pace(rng) * duration * rng.normal(0, 0.5) * (rng.random() < 0.4))
    return shift, carried.rotation + turn, carried.scale * grow


def _mover(
    rng: np.random.Generator, bank: TextureBank, size: np.ndarray, camera: Camera, label: int,
    duration: float,
) -> Layer:  # fmt: skip
    """Something whole that moves by itself: from 5 % to 110 % of the image's width."""
    texture, alpha = _look(rng, bank, _side(rng, size, 0.05, 1.1))
    if rng.random() < 0.3:
        wide = rng.uniform(0.2, 0.7)
        texture, alpha = (_stretched(a, wide) for a in (texture, alpha))
    shift, rotation, scale = _way(rng, size, camera, duration)
    return Layer(texture, alpha, Motion(shift, rotation + rng.uniform(0, 6.3), scale), label)


def _puppet(
    rng: np.random.Generator, bank: TextureBank, size: np.ndarray, camera: Camera, label: int,
    duration: float,
) -> list[Layer]:  # fmt: skip
    """A torso, a head, and arms and legs that swing, as of somebody who walks; one object."""
    tall = log_uniform(rng, 0.25, 1.8) * size[1]
    shift, rotation, scale = _way(rng, size, camera, duration)
    lean = rng.normal(0, 0.15)
    if rng.random() < 0.3:
        shift = shift + np.array([0, 0.25]) * tall  # cut off by the image's lower border
    step = 2 * np.pi * (rng.uniform(0.6, 2.5) * duration * np.linspace(0, 1, KNOTS) + rng.random())
    alike = _look(rng, bank, int(tall * 0.5))  # clothes of one kind, or each part its own
    parts = []
    # Each part: where it hangs, how long and wide it is (of the height), and how far it swings.
    for at, long, wide, swing in (
        ((0.06, 0.02), 0.48, 0.13, 0.45), ((-0.06, 0.02), 0.48, 0.13, -0.45),
        ((0.0, -0.36), 0.42, 0.26, 0.03), ((0.0, -0.5), 0.15, 0.12, 0.0),
        ((0.13, -0.32), 0.4, 0.08, -0.6), ((-0.13, -0.32), 0.4, 0.08, 0.6),
    ):  # fmt: skip
        texture, _ = alike if rng.random() < 0.6 else _look(rng, bank, int(tall * 0.3))
        h, w = max(8, int(long * tall)), max(5, int(wide * tall))
        face = cv2.resize(texture, (w, h), interpolation=cv2.INTER_AREA)
        alpha: np.ndarray = np.zeros((h, w), np.float32)
        cv2.ellipse(alpha, (w // 2, h // 2), (max(2, w // 2 - 2), max(2, h // 2 - 2)), 0, 0, 360,
                    (1.0,), -1)  # fmt: skip
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.7)
        angle = rotation + lean + swing * np.sin(step) * rng.uniform(0.5, 1.2)
        c, s = np.cos(rotation + lean), np.sin(rotation + lean)
        hang = np.stack((c * at[0] - s * at[1], s * at[0] + c * at[1]), 1) * tall
        centre = np.stack((-np.sin(angle), np.cos(angle)), 1) * (h / 2)
        place = shift + (hang + centre) * scale[:, None]
        parts.append(Layer(face, alpha, Motion(place, angle, scale), label))
    return parts
