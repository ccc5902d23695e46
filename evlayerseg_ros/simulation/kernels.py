"""The simulator's compiled loops: what each pixel sees, and the events that it makes of it."""

from __future__ import annotations

import numba
import numpy as np

TILE = 16  # px, side of the tiles that share one list of sampling instants


@numba.njit(nogil=True, cache=True)
def order_by_time(t: np.ndarray, limit: int) -> np.ndarray:
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
def draw_labels(maps, alphas, shapes, step, out):  # type: ignore[no-untyped-def]
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
def make_events(
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
