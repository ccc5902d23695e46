"""A precise simulator of an event camera that looks at textured layers in affine motion.

Every pixel integrates the log intensity that it sees at samples between which no layer moves by
more than half a pixel, and emits an event each time that its own threshold is crossed, at the
linearly interpolated instant (the ESIM model: Rebecq et al., CoRL 2018). The pixel, not the frame,
is the outer loop: a pixel far from any object is sampled only as often as the background moves, so
a scene costs a fraction of rendering all its frames. numpy and numba only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.simulation.kernels import draw_labels, make_events, order_by_time
from evlayerseg_ros.simulation.noise import noise

MAX_STEP = 0.5  # px that a layer may move between two samples
MAX_STEPS = 4000  # samples of one clip at most; beyond, steps grow longer


@dataclass(frozen=True)
class Motion:
    """A layer's pose at K instants, evenly from the clip's start (s=0) to its end (s=1); linear
    between.

    Attributes:
        shift: float [K, 2], (x, y) of the texture's centre, px from the image centre.
        rotation: float [K], rad, counter-clockwise in image axes (x right, y down).
        scale: float [K], image px per texture px.
    """

    shift: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray

    def to_image(self, s: float, size: tuple[int, int], texture: tuple[int, int]) -> np.ndarray:
        """float64 [3, 3]: homogeneous matrix from texture px (x, y) to image px at time s.

        Args:
            s: time, 0 start to 1 end.
            size: (width, height) of the image.
            texture: (width, height) of the texture.
        """
        last = len(self.rotation) - 1
        before = min(max(int(s * last), 0), last - 1)
        b = s * last - before
        a = 1 - b
        angle, scale = (a * v[before] + b * v[before + 1] for v in (self.rotation, self.scale))
        c, d = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[c, -d], [d, c]])
        shift = a * self.shift[before] + b * self.shift[before + 1]
        centre = (np.array(size) - 1) / 2 + shift
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = centre - linear @ ((np.array(texture) - 1) / 2)
        return matrix


@dataclass(frozen=True)
class Layer:
    """One textured layer.

    Attributes:
        log_intensity: float32 [h, w], natural log of the intensity.
        alpha: float32 [h, w], 1 where the layer is opaque; None for the background.
        motion: its pose over the clip.
        label: 0 of what only the camera moves; else the number of the object that it is a part of.
            None: the layer's place among the layers.
    """

    log_intensity: np.ndarray
    alpha: np.ndarray | None
    motion: Motion
    label: int | None = None

    @property
    def texture_size(self) -> tuple[int, int]:
        """(width, height) of the texture."""
        return self.log_intensity.shape[1], self.log_intensity.shape[0]


@dataclass(frozen=True)
class Sensor:
    """What turns intensity into events.

    Attributes:
        width, height: px.
        threshold: contrast (natural log) of ON and OFF events.
        threshold_sigma: standard deviation of the threshold from pixel to pixel.
        refractory: s during which a pixel stays silent after an event.
        noise_rate: background activity, events per pixel and second.
        noise_spread: standard deviation of its logarithm from one part of the sensor to another.
        hot_pixels: how many pixels fire without cause.
        hot_rate: events per second of a hot pixel.
        lamps: how many lamps flicker at 100 or 120 Hz in sight.
        settled: True if the scene had been moving before the clip, so that pixels start at a random
            distance from their thresholds; False starts all of them at zero, as ESIM does.
    """

    width: int = 640
    height: int = 480
    threshold: tuple[float, float] = (0.5, 0.5)
    threshold_sigma: float = 0.0
    refractory: float = 1e-7
    noise_rate: float = 0.0
    noise_spread: float = 0.0
    hot_pixels: int = 0
    hot_rate: float = 200.0
    lamps: int = 0
    settled: bool = False


@dataclass(frozen=True)
class Scene:
    """Layers from back (the background) to front, seen by a sensor for `duration` s."""

    layers: list[Layer]
    duration: float
    sensor: Sensor = field(default_factory=Sensor)

    @property
    def label_of(self) -> np.ndarray:
        """uint8 [layers]: the label of each layer, 0 for what only the camera moves."""
        own = [i if one.label is None else one.label for i, one in enumerate(self.layers)]
        return np.array(own, np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the sensor."""
        return self.sensor.width, self.sensor.height

    def to_image(self, layer: int, t: float) -> np.ndarray:
        """float64 [3, 3]: texture px of a layer to image px, t seconds after the start."""
        one = self.layers[layer]
        return one.motion.to_image(t / self.duration, self.size, one.texture_size)

    def displacement(self, layer: int, start: float, end: float) -> np.ndarray:
        """float64 [2, 3]: displacement D of a layer from `start` to `end` (s) as an affine field.

        The point seen at (x, y) at `end` was at (x, y) - D @ (x, y, 1) at `start`; px.
        """
        back = self.to_image(layer, start) @ np.linalg.inv(self.to_image(layer, end))
        return (np.eye(3) - back)[:2]

    def velocity(self, layer: int, t: float) -> np.ndarray:
        """float64 [2, 3]: affine velocity of a layer at t (s), px/s at image px (x, y)."""
        dt = 1e-4  # s, small beside any motion
        change = (self.to_image(layer, t + dt) - self.to_image(layer, t - dt)) / (2 * dt)
        return (change @ np.linalg.inv(self.to_image(layer, t)))[:2]

    def layers_at(self, t: float, step: float = 1) -> np.ndarray:
        """uint8 [H/step, W/step]: index of the front-most layer at each pixel, t s after the start.

        With step > 1, of the pixels nearest to the centres of step x step cells.
        """
        maps, _, alphas, shapes = pack(self, np.array([t]))
        rows, columns = (int(np.ceil(side / step)) for side in self.size[::-1])
        out = np.zeros((rows, columns), np.uint8)
        draw_labels(maps[:, 0], alphas, shapes, step, out)
        return out

    def labels(self, t: float, step: float = 1) -> np.ndarray:
        """uint8 [H/step, W/step]: the label at each pixel, t s after the start; see layers_at."""
        return self.label_of[self.layers_at(t, step)]


def simulate(scene: Scene, rng: np.random.Generator) -> tuple[Events, np.ndarray]:
    """The events of a scene, and which layer made each of them.

    Args:
        scene: what is seen.
        rng: source of thresholds, noise and phases.

    Returns:
        Events in the order of time, t in ns at a resolution of 1 us from 0 at the clip's start;
        labels uint8 [N], of the layer that made each (noise counts as background, 0).
    """
    sensor = scene.sensor
    times, stride, centres, radii = sampling(scene)
    maps, textures, alphas, shapes = pack(scene, times)
    capacity = 1 << 23  # only what is written takes memory
    while True:
        x = np.empty(capacity, np.uint16)
        y = np.empty(capacity, np.uint16)
        t = np.empty(capacity, np.int32)
        p = np.empty(capacity, np.uint8)
        label = np.empty(capacity, np.uint8)
        count = make_events(
            (times * 1e6), stride, maps, textures, alphas, shapes, centres, radii,
            (sensor.width, sensor.height), sensor.threshold, sensor.threshold_sigma,
            sensor.refractory * 1e6, sensor.settled, int(rng.integers(1 << 31)),
            x, y, t, p, label,
        )  # fmt: skip
        if count <= capacity:
            break
        capacity = int(count * 1.05)
    return in_order(scene, [[a[:count] for a in (x, y, t, p, label)], noise(scene, rng)])


def in_order(scene: Scene, parts: list[list[np.ndarray]]) -> tuple[Events, np.ndarray]:
    """Parts (x, y, t in us, p and layer each) of a scene's events as one, in the order of time."""
    kinds = (np.uint16, np.uint16, np.int32, np.uint8, np.uint8)
    columns = zip(*parts, strict=True)
    arrays = [np.concatenate(c).astype(k) for c, k in zip(columns, kinds, strict=True)]
    order = order_by_time(arrays[2], int(scene.duration * 1e6) + 2)
    x, y, t, p, layer = (a[order] for a in arrays)
    return Events(x, y, t.astype(np.int64) * 1000, p, *scene.size), scene.label_of[layer]


def sampling(scene: Scene) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    """When to sample: times [K] s, the background's stride, and the objects' circles.

    centres float32 [objects, K, 2] px and radii float32 [objects, K] px bound each object.
    """
    grid = np.linspace(0, scene.duration, 17)
    speeds = []
    for index, layer in enumerate(scene.layers):
        if index == 0:  # what passes the image's corners
            moves = [scene.displacement(0, a, b) @ _corners(scene.size) for a, b in pairwise(grid)]
        else:  # the object's own corners
            at = [(scene.to_image(index, t) @ _corners(layer.texture_size))[:2] for t in grid]
            moves = [b - a for a, b in pairwise(at)]
        speeds.append(max(np.hypot(*m).max() for m in moves) / (grid[1] - grid[0]))
    need = [max(1.0, s * scene.duration / MAX_STEP) for s in speeds]
    steps = int(min(MAX_STEPS, np.ceil(max(need)))) + 1
    stride = max(1, int((steps - 1) // need[0]))
    steps = -(-(steps - 1) // stride) * stride + 1  # the background is sampled at the very end too
    times = np.linspace(0, scene.duration, steps)
    objects = len(scene.layers) - 1
    centres = np.zeros((objects, steps, 2), np.float32)
    radii = np.zeros((objects, steps), np.float32)
    for o in range(objects):
        tw, th = scene.layers[o + 1].texture_size
        for k, t in enumerate(times):
            m = scene.to_image(o + 1, t)
            centres[o, k] = (m @ [(tw - 1) / 2, (th - 1) / 2, 1])[:2]
            radii[o, k] = np.hypot(tw, th) / 2 * np.hypot(m[0, 0], m[1, 0]) + 2
    return times, stride, centres, radii


def _corners(size: tuple[int, int]) -> np.ndarray:
    """float64 [3, 4]: homogeneous corners of an image of (width, height) px."""
    w, h = size
    return np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], float).T


def pack(scene: Scene, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Flat arrays for the kernels: maps image to texture [layers, K, 6], textures, .."""
    maps = np.empty((len(scene.layers), len(times), 6), np.float32)
    for i in range(len(scene.layers)):
        for k, t in enumerate(times):
            maps[i, k] = np.linalg.inv(scene.to_image(i, t))[:2].ravel()
    textures, alphas, shapes, at = [], [], [], 0
    for layer in scene.layers:
        h, w = layer.log_intensity.shape
        textures.append(layer.log_intensity.astype(np.float32).ravel())
        alpha = np.ones((h, w)) if layer.alpha is None else layer.alpha
        alphas.append(alpha.astype(np.float32).ravel())
        shapes.append((at, h, w))
        at += h * w
    return maps, np.concatenate(textures), np.concatenate(alphas), np.array(shapes, np.int64)
