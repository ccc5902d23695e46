"""A camera that turns before far things: exact images by a rotation, and what its gyro says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from evlayerseg_ros.events import Events, Window
from evlayerseg_ros.motion.gyro import Gyro, Lens

W, H = 320, 240
LENS = Lens(300.0, 300.0, 159.5, 119.5)
LENGTH = 30_000_000  # ns of a window
TICK = 1_000_000  # ns from a sample of the gyro to the next
Rate = Callable[[float], np.ndarray]  # rad/s about x, y, z at a time in s


def rotation(vector: np.ndarray) -> np.ndarray:
    """float64 [3, 3], by Rodrigues: turns by |vector| rad about it."""
    angle = float(np.linalg.norm(vector))
    if not angle:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array(((0, -z, y), (z, 0, -x), (-y, x, 0)))
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def turned(pixels: np.ndarray, world_from_camera: np.ndarray, lens: Lens = LENS) -> np.ndarray:
    """float64 [N, 2]: where far things are seen once a camera that saw them at `pixels` turned."""
    rays = np.column_stack(
        ((pixels - (lens.cx, lens.cy)) / (lens.fx, lens.fy), np.ones(len(pixels)))
    )
    x, y, z = world_from_camera.T @ rays.T
    return np.column_stack((lens.fx * x / z + lens.cx, lens.fy * y / z + lens.cy))


def poses(rate: Rate, ticks: int) -> list[np.ndarray]:
    """World from camera at each tick: the rates, in the camera's own frame, added up."""
    found = [np.eye(3)]
    for k in range(ticks):
        found.append(found[-1] @ rotation(rate((k + 0.5) * TICK * 1e-9) * TICK * 1e-9))
    return found


def gyro(rate: Rate, ticks: int, lens: Lens | None = LENS) -> Gyro:
    """What a gyro says meanwhile."""
    t = np.arange(ticks + 1) * TICK
    return Gyro(lens, t, np.array([rate(float(tick) * 1e-9) for tick in t]))


@cache
def windows(
    rate: Rate, count: int, mover: tuple[float, float] | None = None, points: int = 1500
) -> list[Window]:
    """What the camera sees: far points that fire at each tick, before them a square of points.

    Args:
        rate: of the camera's turn.
        count: how many windows of LENGTH.
        mover: px/s of the square past the far points; None: there is none.
        points: all around.
    """
    rng = np.random.default_rng(7)
    far = rng.uniform((-W, -H), (2 * W, 2 * H), (points * 9 // 2, 2))
    near = rng.uniform((130, 90), (190, 150), (150, 2))
    ticks = count * LENGTH // TICK
    x, y, t = [], [], []
    for k, pose in enumerate(poses(rate, ticks - 1)):
        seen = far
        if mover is not None:
            square = near + np.array(mover) * k * TICK * 1e-9
            hidden = (far > square.min(0)).all(1) & (far < square.max(0)).all(1)
            seen = np.concatenate((far[~hidden], square))
        seen = seen[rng.random(len(seen)) < 0.4]
        at = np.rint(turned(seen, pose))
        at = at[((at >= 0) & (at < (W, H))).all(1)]
        at = rng.permutation(at)
        x.append(at[:, 0])
        y.append(at[:, 1])
        t.append(k * TICK + np.sort(rng.integers(0, TICK, len(at))))
    xs, ys, ts = (np.concatenate(part).astype(np.int64) for part in (x, y, t))
    out = []
    for k in range(count):
        first, last = np.searchsorted(ts, (k * LENGTH, (k + 1) * LENGTH))
        part = np.s_[first:last]
        events = Events.from_arrays(xs[part], ys[part], ts[part], np.arange(last - first) % 2, W, H)
        end = int(ts[last - 1])
        out.append(Window(events, k * LENGTH, end, end))
    return out
