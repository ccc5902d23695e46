"""A precise simulator of an event camera that looks at textured layers in affine motion.

Every pixel integrates the log intensity that it sees at samples between which no layer moves by
more than half a pixel, and emits an event each time that its own threshold is crossed, at the
linearly interpolated instant (the ESIM model: Rebecq et al., CoRL 2018). The pixel, not the frame,
is the outer
loop: a pixel far from any object is sampled only as often as the background moves, so a scene costs
    a
fraction of rendering all its frames. numpy and numba only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numba
import numpy as np

from evlayerseg_ros.events.types import Events

TILE = 16  # px, side of the tiles that share one list of sampling instants
MAX_STEP = 0.5  # px that a layer may move between two samples
MAX_STEPS = 4000  # samples of one clip at most; beyond, steps grow longer


@dataclass(frozen=True)
class Motion:
    """A layer's pose, linear in time from start (s=0) to end (s=1) of the clip.

    Attributes:
        shift: float [2, 2], (x, y) of the texture's centre at start and end, px from the image
            centre.
        rotation: float [2], rad, counter-clockwise in image axes (x right, y down).
        scale: float [2], image px per texture px.
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
        a, b = 1 - s, s
        angle = a * self.rotation[0] + b * self.rotation[1]
        scale = a * self.scale[0] + b * self.scale[1]
        c, d = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[c, -d], [d, c]])
        centre = (np.array(size) - 1) / 2 + a * self.shift[0] + b * self.shift[1]
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
    """

    log_intensity: np.ndarray
    alpha: np.ndarray | None
    motion: Motion

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
    settled: bool = False


@dataclass(frozen=True)
class Scene:
    """Layers from back (the background) to front, seen by a sensor for `duration` s."""

    layers: list[Layer]
    duration: float
    sensor: Sensor = field(default_factory=Sensor)

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

    def velocity(self, layer: int, t: float, dt: float = 1e-4) -> np.ndarray:
        """float64 [2, 3]: affine velocity of a layer at t (s), px/s at image px (x, y)."""
        change = (self.to_image(layer, t + dt) - self.to_image(layer, t - dt)) / (2 * dt)
        return (change @ np.linalg.inv(self.to_image(layer, t)))[:2]

    def labels(self, t: float, step: int = 1) -> np.ndarray:
        """uint8 [H/step, W/step]: the front-most layer at each pixel, t seconds after the start.

        With step > 1, of the pixels nearest to the centres of step x step cells.
        """
        maps, _, alphas, shapes = _pack(self, np.array([t]))
        out = np.zeros((-(-self.sensor.height // step), -(-self.sensor.width // step)), np.uint8)
        _label_kernel(maps[:, 0], alphas, shapes, step, out)
        return out


def simulate(scene: Scene, rng: np.random.Generator) -> tuple[Events, np.ndarray]:
    """The events of a scene, and which layer made each of them.

    Args:
        scene: what is seen.
        rng: source of thresholds, noise and phases.

    Returns:
        Events in the order of time, t in ns at a resolution of 1 us from 0 at the clip's start;
        labels uint8 [N], the index of the layer (noise counts as background, 0).
    """
    sensor = scene.sensor
    times, stride, centres, radii = _sampling(scene)
    maps, textures, alphas, shapes = _pack(scene, times)
    capacity = 1 << 23  # only what is written takes memory
    while True:
        x = np.empty(capacity, np.uint16)
        y = np.empty(capacity, np.uint16)
        t = np.empty(capacity, np.int32)
        p = np.empty(capacity, np.uint8)
        label = np.empty(capacity, np.uint8)
        count = _event_kernel(
            (times * 1e6), stride, maps, textures, alphas, shapes, centres, radii,
            (sensor.width, sensor.height), sensor.threshold, sensor.threshold_sigma,
            sensor.refractory * 1e6, sensor.settled, int(rng.integers(1 << 31)),
            x, y, t, p, label,
        )  # fmt: skip
        if count <= capacity:
            break
        capacity = int(count * 1.05)
    arrays = [a[:count] for a in (x, y, t, p, label)]
    noise = _noise(scene, rng)
    arrays = [np.concatenate([a, b]) for a, b in zip(arrays, noise, strict=True)]
    order = _order_by_time(arrays[2], int(scene.duration * 1e6) + 2)
    x, y, t, p, label = (a[order] for a in arrays)
    return Events(x, y, t.astype(np.int64) * 1000, p, sensor.width, sensor.height), label


def _sampling(scene: Scene) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    """When to sample: times [K] s, the background's stride, and the objects' circles.

    centres float32 [objects, K, 2] px and radii float32 [objects, K] px bound each object.
    """
    w, h = scene.size
    corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], float).T
    grid = np.linspace(0, scene.duration, 17)
    speeds = []
    for index, layer in enumerate(scene.layers):
        tw, th = layer.texture_size
        seen = corners if index == 0 else np.array(
            [[0, 0, 1], [tw, 0, 1], [0, th, 1], [tw, th, 1]], float).T  # fmt: skip
        if index == 0:  # what passes the image's corners
            moves = [scene.displacement(0, a, b) @ seen for a, b in pairwise(grid)]
        else:  # the object's own corners
            at = [(scene.to_image(index, t) @ seen)[:2] for t in grid]
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


def _pack(scene: Scene, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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


def _noise(scene: Scene, rng: np.random.Generator) -> list[np.ndarray]:
    """Events without cause: x, y, t (us), p, label."""
    sensor = scene.sensor
    w, h = scene.size
    count = rng.poisson(sensor.noise_rate * w * h * scene.duration)
    if sensor.noise_spread:  # cells of a coarse map, each with a share of its own
        rate = np.exp(rng.normal(0, sensor.noise_spread, 6 * 8))
        cell = rng.choice(6 * 8, count, p=rate / rate.sum())
        spot = rng.normal(0, 0.5, (2, count))  # soft borders
        x = np.clip((cell % 8 + 0.5 + spot[0]) * w / 8, 0, w - 1).astype(np.int64)
        y = np.clip((cell // 8 + 0.5 + spot[1]) * h / 6, 0, h - 1).astype(np.int64)
    else:
        x, y = rng.integers(0, w, count), rng.integers(0, h, count)
    for _ in range(sensor.hot_pixels):
        n = rng.poisson(sensor.hot_rate * scene.duration * rng.exponential())
        x = np.append(x, np.full(n, rng.integers(0, w)))
        y = np.append(y, np.full(n, rng.integers(0, h)))
    t = rng.integers(0, max(1, int(scene.duration * 1e6)), len(x))
    p = rng.integers(0, 2, len(x))
    kinds = (np.uint16, np.uint16, np.int32, np.uint8, np.uint8)
    return [a.astype(k) for a, k in zip((x, y, t, p, np.zeros_like(x)), kinds, strict=True)]


@numba.njit(nogil=True, cache=True)
def _order_by_time(t: np.ndarray, limit: int) -> np.ndarray:
    """Indices that put t (us, below limit) in order, stable: a counting sort."""
    starts = np.zeros(limit + 1, np.int64)
    for v in t:
        starts[v + 1] += 1
    for i in range(limit):
        starts[i + 1] += starts[i]
    order = np.empty(len(t), np.int64)
    for i in range(len(t)):
        order[starts[t[i]]] = i
        starts[t[i]] += 1
    return order


@numba.njit(nogil=True, cache=True, inline="always")
def _bilinear(image, offset, height, width, u, v):  # type: ignore[no-untyped-def]
    """Value of a flat image at (u, v), clamped to its edge."""
    u = min(max(u, np.float32(0)), np.float32(width) - np.float32(1.01))
    v = min(max(v, np.float32(0)), np.float32(height) - np.float32(1.01))
    i, j = np.int32(v), np.int32(u)
    fv, fu = v - np.float32(i), u - np.float32(j)
    at = np.uintp(offset + i * width + j)  # unsigned: no test for a negative index
    below = at + np.uintp(width)
    one = np.uintp(1)
    top = image[at] + (image[at + one] - image[at]) * fu
    low = image[below] + (image[below + one] - image[below]) * fu
    return top + (low - top) * fv


@numba.njit(nogil=True, cache=True)
def _label_kernel(maps, alphas, shapes, step, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x = np.float32(j * step + (step - 1) * 0.5)
            y = np.float32(i * step + (step - 1) * 0.5)
            for layer in range(len(maps) - 1, 0, -1):
                m = maps[layer]
                offset, h, w = shapes[layer]
                u = m[0] * x + m[1] * y + m[2]
                v = m[3] * x + m[4] * y + m[5]
                if u < 0 or v < 0 or u > w - 1 or v > h - 1:
                    continue
                if _bilinear(alphas, offset, h, w, u, v) >= 0.5:
                    out[i, j] = layer
                    break


@numba.njit(nogil=True, cache=True)
def _tile_steps(cx, cy, reach, stride, centres, radii, steps, spans):  # type: ignore[no-untyped-def]
    """The samples that a tile needs, and the span [first, end) of them in reach of each object."""
    count = 0
    spans[:, 0], spans[:, 1] = len(steps), 0
    for k in range(len(steps)):
        near = False
        for o in range(len(centres)):
            dx = centres[o, k, 0] - cx
            dy = centres[o, k, 1] - cy
            r = radii[o, k] + reach
            if dx * dx + dy * dy < r * r:
                near = True
                spans[o, 0] = min(spans[o, 0], count)
                spans[o, 1] = count + 1
        if near or k % stride == 0:
            steps[count] = k
            count += 1
    return count


@numba.njit(nogil=True, cache=True, fastmath=True)
def _see_background(m, count, x, y, texture, shape, value):  # type: ignore[no-untyped-def]
    """value[n]: the background's log intensity at the pixel in the tile's n-th sample."""
    offset, height, width = shape
    for n in range(count):
        u = m[0, n] * x + m[1, n] * y + m[2, n]
        v = m[3, n] * x + m[4, n] * y + m[5, n]
        value[n] = _bilinear(texture, offset, height, width, u, v)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _see_object(m, first, end, x, y, texture, alpha, shape, layer, value, who):  # type: ignore[no-untyped-def]
    """Lays an object over what was seen so far; who[n] becomes `layer` where it is not clear."""
    offset, height, width = shape
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    for n in range(first, end):
        u = m[0, n] * x + m[1, n] * y + m[2, n]
        v = m[3, n] * x + m[4, n] * y + m[5, n]
        a = _bilinear(alpha, offset, height, width, u, v)
        outside = (u < 0) | (v < 0) | (u > right) | (v > bottom)
        a = np.float32(0) if outside else a
        value[n] += a * (_bilinear(texture, offset, height, width, u, v) - value[n])
        who[n] = layer if a > 0.02 else who[n]


@numba.njit(nogil=True, cache=True, fastmath=True)
def _event_kernel(
    times, stride, maps, textures, alphas, shapes, centres, radii, size, threshold, sigma,
    refractory, settled, seed, out_x, out_y, out_t, out_p, out_label,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """Writes the events as far as they fit; returns how many there are."""
    np.random.seed(seed)
    width, height = size
    layers, most = len(maps), len(times)
    steps = np.empty(most, np.int64)
    spans = np.empty((layers - 1, 2), np.int64)
    m = np.empty((layers, 6, most), np.float32)
    value, who = np.empty(most, np.float32), np.empty(most, np.uint8)
    total, capacity = 0, len(out_t)
    for ty in range(0, height, TILE):
        for tx in range(0, width, TILE):
            middle = (TILE - 1) * 0.5
            count = _tile_steps(
                tx + middle, ty + middle, TILE * 0.7072, stride, centres, radii, steps, spans
            )
            for layer in range(layers):
                for n in range(count):
                    for i in range(6):
                        m[layer, i, n] = maps[layer, steps[n], i]
            for y in range(ty, min(ty + TILE, height)):
                for x in range(tx, min(tx + TILE, width)):
                    fx, fy = np.float32(x), np.float32(y)
                    who[:count] = 0
                    _see_background(m[0], count, fx, fy, textures, shapes[0], value)
                    for layer in range(1, layers):
                        _see_object(
                            m[layer], spans[layer - 1, 0], spans[layer - 1, 1], fx, fy,
                            textures, alphas, shapes[layer], layer, value, who,
                        )  # fmt: skip
                    spread = max(1 + sigma * np.random.standard_normal(), 0.2) if sigma > 0 else 1.0
                    on, off = threshold[0] * spread, threshold[1] * spread
                    reference = float(value[0])
                    if settled:
                        reference += np.random.uniform(-off, on)
                    silent_until = -1e30
                    for n in range(1, count):
                        if reference - off < value[n] < reference + on:
                            continue
                        before, now = times[steps[n - 1]], times[steps[n]]
                        previous, change = value[n - 1], value[n] - value[n - 1]
                        while True:
                            if value[n] >= reference + on:
                                reference += on
                                polarity = 1
                            elif value[n] <= reference - off:
                                reference -= off
                                polarity = 0
                            else:
                                break
                            share = (reference - previous) / change if change != 0 else 0.0
                            instant = before + min(max(share, 0.0), 1.0) * (now - before)
                            if instant < silent_until:
                                continue
                            silent_until = instant + refractory
                            if total < capacity:
                                out_x[total], out_y[total] = x, y
                                out_t[total], out_p[total] = int(instant), polarity
                                # An edge between two layers is the front one's: it moves with it.
                                out_label[total] = max(who[n], who[n - 1])
                            total += 1
    return total
