"""The simulator for a whole batch of scenes at once, in torch: what a GPU is good at.

The same model as simulator.py, frame by frame instead of pixel by pixel: all scenes are rendered at
instants between which no layer of any of them moves by more than half a pixel, and every pixel that
crossed its threshold between two frames emits its events at the interpolated instants. On a CPU
simulator.py is faster.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from evlayerseg_ros.events.types import Events
from evlayerseg_ros.training.simulator import Scene, in_order, noise, pack, sampling

VISIBLE = 0.02  # alpha from which on an event belongs to a layer, as in kernels.py


@torch.no_grad()
def simulate_batch(
    scenes: list[Scene], rngs: list[np.random.Generator], device: torch.device | str = "cpu"
) -> list[tuple[Events, np.ndarray]]:
    """The events of scenes, and which layer made each of them, as `simulate` gives them one by one.

    Args:
        scenes: what is seen; those of sensors of one size are simulated together.
        rngs: source of thresholds, noise and phases of each.
        device: where.
    """
    found: dict[int, tuple[Events, np.ndarray]] = {}
    for size in {scene.size for scene in scenes}:
        group = [i for i, scene in enumerate(scenes) if scene.size == size]
        batch = _Batch([scenes[i] for i in group], [rngs[i] for i in group], torch.device(device))
        for i, events in zip(group, batch.events(), strict=True):
            found[i] = in_order(scenes[i], [events, noise(scenes[i], rngs[i])])
    return [found[i] for i in range(len(scenes))]


class _Batch:
    """Scenes of one sensor size, and the state of their pixels.

    Args:
        scenes: B scenes.
        rngs: of each.
        device: where.
    """

    def __init__(
        self, scenes: list[Scene], rngs: list[np.random.Generator], device: torch.device
    ) -> None:
        self.scenes, self.device = scenes, device
        self.width, self.height = scenes[0].size
        self.frames = max(len(sampling(scene)[0]) for scene in scenes)
        durations = self._tensor([scene.duration * 1e6 for scene in scenes])
        self.times = durations[:, None] * torch.linspace(0, 1, self.frames, device=device)  # us
        self.refractory = self._tensor([scene.sensor.refractory * 1e6 for scene in scenes])
        self.maps = [
            pack(scene, np.linspace(0, scene.duration, self.frames))[0] for scene in scenes
        ]
        self.layers = [self._layer(i) for i in range(max(len(s.layers) for s in scenes))]
        self.on, self.off = self._thresholds(rngs)
        self.reference = self._see(0)[0]
        for b, (scene, rng) in enumerate(zip(scenes, rngs, strict=True)):
            if scene.sensor.settled:
                phase = self._tensor(rng.random((self.height, self.width)))
                self.reference[b] += phase * (self.on[b] + self.off[b]) - self.off[b]

    def events(self) -> list[list[np.ndarray]]:
        """x, y, t (us), p and layer of each scene's events, in no order."""
        reference, on, off = (v.flatten() for v in (self.reference, self.on, self.off))
        silent = torch.full_like(reference, -torch.inf)
        before, seen = self._see(0)
        parts: list[tuple[torch.Tensor, ...]] = []
        for frame in range(1, self.frames):
            now, seen_now = self._see(frame)
            parts += self._cross(
                frame, before.flatten(), now.flatten(), reference, on, off, silent,
                torch.maximum(seen, seen_now).flatten(),
            )  # fmt: skip
            before, seen = now, seen_now
        columns = list(zip(*parts, strict=True)) or [(torch.empty(0),)] * 4
        found = [torch.cat(column).cpu().numpy() for column in columns]
        scene, pixel = np.divmod(found[0].astype(np.int64), self.height * self.width)
        y, x = np.divmod(pixel, self.width)
        mine = (np.flatnonzero(scene == b) for b in range(len(self.scenes)))
        return [[a[these] for a in (x, y, *found[1:])] for these in mine]

    def _cross(
        self, frame: int, before: torch.Tensor, now: torch.Tensor, reference: torch.Tensor,
        on: torch.Tensor, off: torch.Tensor, silent: torch.Tensor, layer: torch.Tensor,
    ) -> list[tuple[torch.Tensor, ...]]:  # fmt: skip
        """Place, t, p, layer of the events between two frames; moves reference and silent on."""
        crossed = (now >= reference + on) | (now <= reference - off)
        place = crossed.nonzero()[:, 0]
        a, b, up, down = before[place], now[place], on[place], off[place]
        level, quiet = reference[place], silent[place]
        scene = place // (self.height * self.width)
        start, stop = self.times[scene, frame - 1], self.times[scene, frame]
        parts: list[tuple[torch.Tensor, ...]] = []
        while True:
            rises, falls = b >= level + up, b <= level - down
            if not bool((rises | falls).any()):
                break
            level = level + up * rises - down * falls
            instant = start + ((level - a) / (b - a)).nan_to_num().clamp(0, 1) * (stop - start)
            fires = (rises | falls) & (instant >= quiet)
            quiet = torch.where(fires, instant + self.refractory[scene], quiet)
            parts.append((place[fires], instant[fires], rises[fires], layer[place[fires]]))
        reference[place], silent[place] = level, quiet
        return parts

    def _see(self, frame: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log intensity float32 [B, H, W] at a frame, and the front-most layer that shows."""
        y, x = torch.meshgrid(
            torch.arange(self.height, device=self.device, dtype=torch.float32),
            torch.arange(self.width, device=self.device, dtype=torch.float32),
            indexing="ij",
        )
        value = x.new_zeros(())
        front = torch.zeros(len(self.scenes), *x.shape, dtype=torch.uint8, device=self.device)
        for index, (images, maps, last) in enumerate(self.layers):
            m = maps[:, frame, :, None, None]
            u, v = m[:, 0] * x + m[:, 1] * y + m[:, 2], m[:, 3] * x + m[:, 4] * y + m[:, 5]
            right, bottom = last[:, 0, None, None], last[:, 1, None, None]
            inside = (u >= 0) & (v >= 0) & (u <= right) & (v <= bottom)
            u, v = torch.minimum(u.clamp(min=0), right), torch.minimum(v.clamp(min=0), bottom)
            size = images.shape[3] - 1, images.shape[2] - 1
            grid = torch.stack((2 * u / size[0] - 1, 2 * v / size[1] - 1), -1)
            seen = functional.grid_sample(images, grid, align_corners=True)
            log_intensity, alpha = seen.unbind(1)
            if index == 0:
                value = log_intensity
                continue
            alpha = alpha * inside
            value = value + alpha * (log_intensity - value)
            front[alpha > VISIBLE] = index
        return value, front

    def _layer(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A layer of every scene: images [B, 2, h, w] (log intensity, alpha), maps from the image
        to them [B, frames, 6], and their last column and row [B, 2]; clear where there is none."""
        images, maps, last = [], [], []
        for scene, scene_maps in zip(self.scenes, self.maps, strict=True):
            which = index if index < len(scene.layers) else 0  # the background again, but clear
            layer = scene.layers[which]
            alpha = np.zeros_like(layer.log_intensity) if layer.alpha is None else layer.alpha
            images.append(np.stack((layer.log_intensity, alpha)))
            maps.append(scene_maps[which])
            last.append((layer.texture_size[0] - 1, layer.texture_size[1] - 1))
        height, width = (max(image.shape[side] for image in images) for side in (1, 2))
        padded = [
            np.pad(i, ((0, 0), (0, height - i.shape[1]), (0, width - i.shape[2]))) for i in images
        ]
        return self._tensor(padded), self._tensor(maps), self._tensor(last)

    def _thresholds(self, rngs: list[np.random.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 [B, H, W] each: every pixel's contrast of an ON and of an OFF event."""
        size = self.height, self.width
        spread = self._tensor([
            np.maximum(1 + scene.sensor.threshold_sigma * rng.standard_normal(size), 0.2)
            for scene, rng in zip(self.scenes, rngs, strict=True)
        ])  # fmt: skip
        contrast = self._tensor([scene.sensor.threshold for scene in self.scenes])
        return spread * contrast[:, 0, None, None], spread * contrast[:, 1, None, None]

    def _tensor(self, values: object) -> torch.Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)
