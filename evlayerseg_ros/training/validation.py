"""How good the network is during training, on scenes that it does not learn from."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from tqdm import tqdm

from evlayerseg_ros.motion.evidence import subsample
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.simulation.depth_scenes import random_world
from evlayerseg_ros.simulation.planar_scenes import random_scene
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training.losses import event_iou
from evlayerseg_ros.training.priors import random_told
from evlayerseg_ros.training.samples import MOST, Sample, cut_window, to_tensors, true_sample


def validation_set(bank: TextureBank, network: Network, windows: int, seed: int) -> list[Sample]:
    """Windows of scenes that training does not see, one of each scene.

    The first half are of the paper's kind of scene, 50,000 events each, the others of worlds with
    depth in which something moves.
    """
    rng = np.random.default_rng([seed, 1 << 20])
    samples: list[Sample] = []
    bar = tqdm(total=windows, desc="scenes to validate", disable=not windows or None, leave=False)
    while len(samples) < windows:
        bar.update(len(samples) - bar.n)
        plane = len(samples) < windows / 2 or not network.voxel.layers
        scene = random_scene(rng, bank, "paper", 0.2) if plane else random_world(rng, bank, 0.25)
        if not network.any_size and scene.size != (640, 480):
            continue
        events, labels = simulate(scene, rng)
        cell = network.voxel.cell(scene.sensor.width)
        if plane and len(events) > 52_000 and 0.02 < (labels[:50_000] > 0).mean() < 0.95:
            samples.append(true_sample(scene, events, cut_window(events, 0, 50_000), cell))
        elif not plane:
            start = int(np.searchsorted(events.t, 0.2e9))
            share = (labels[start:] > 0).mean() if start < len(events) else 0.0
            if 0.02 < share < 0.95 and len(events) - start > 3000:
                window = cut_window(subsample(events[start:], MOST), 0, MOST)
                samples.append(true_sample(scene, events, window, cell))
    bar.close()
    return samples


@torch.no_grad()
def validate(network: Network, samples: list[Sample]) -> dict[str, float]:
    """Mean IoU and detection rate over the validation set.

    Returns:
        iou, dr: of the paper's kind of scene. For a network that can be told motions also iou_told,
        dr_told: told as in training; and the same of the worlds with depth: world_iou, ..
    """
    network.eval()
    device = next(network.parameters()).device
    values: dict[str, list[float]] = defaultdict(list)
    for index, sample in enumerate(samples):
        kind = "" if index < len(samples) / 2 or not network.voxel.layers else "world_"
        rng = np.random.default_rng(index)
        for suffix in ("", "_told") if network.voxel.layers else ("",):
            told = random_told(sample, network.voxel, rng) if suffix else None
            data = to_tensors(sample, network.voxel, None, told)
            voxel, moving, seen = (data[n][None].to(device) for n in ("voxel", "moving", "seen"))
            masks = network(voxel)[0]
            if network.background == "most_events":
                masks = _most_events_first(masks, voxel)
            iou = float(event_iou(masks, moving, seen)[0])
            values[f"{kind}iou{suffix}"].append(iou)
            values[f"{kind}dr{suffix}"].append(float(iou >= 0.5))
    network.train()
    return {name: float(np.mean(those)) for name, those in values.items()}


def _most_events_first(masks: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
    """The masks [1, L, H, W], that of the layer which wins most cells with events first."""
    winner = masks.argmax(1)[voxel.abs().sum(1) > 0]
    order = torch.bincount(winner, minlength=masks.shape[1]).argsort(descending=True)
    return masks[:, order]
