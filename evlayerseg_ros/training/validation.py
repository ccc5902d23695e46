"""How good the network is while it learns, on scenes that it does not learn from."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from evlayerseg_ros.network.base import Network
from evlayerseg_ros.segmentation.segmenter import cells_to_px
from evlayerseg_ros.simulation.scenes import random_scene
from evlayerseg_ros.simulation.simulator import simulate
from evlayerseg_ros.simulation.textures import TextureBank
from evlayerseg_ros.training.losses import event_iou
from evlayerseg_ros.training.samples import Sample, cut_window, to_tensors, true_sample


def validation_set(bank: TextureBank, network: Network, windows: int, seed: int) -> list[Sample]:
    """Windows of 50,000 events of the paper's kind of scene, one from each of `windows` scenes."""
    rng = np.random.default_rng([seed, 1 << 20])
    samples: list[Sample] = []
    while len(samples) < windows:
        scene = random_scene(rng, bank, "paper", duration=0.2)
        events, labels = simulate(scene, rng)
        if len(events) < 52_000 or not 0.02 < (labels[:50_000] > 0).mean() < 0.95:
            continue
        cell = network.voxel.cell(scene.sensor.width)
        samples.append(true_sample(scene, cut_window(events, 0, 50_000), cell))
    return samples


@torch.no_grad()
def validate(network: Network, samples: list[Sample]) -> dict[str, float]:
    """Mean IoU and detection rate over the validation set.

    Returns:
        iou, dr; for a network that is told motions also iou2, dr2: those of a second pass, in which
        it is told the motions that it found in the first.
    """
    network.eval()
    device = next(network.parameters()).device
    values: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        cell = network.voxel.cell(sample.window.events.width)
        known = np.zeros((max(1, network.voxel.layers), 2, 3))
        for suffix in ("", "2") if network.voxel.layers else ("",):
            data = to_tensors(sample, network.voxel, None, known)
            voxel, labels = data["voxel"][None].to(device), data["labels"][None].to(device)
            masks, affine = network(voxel)[:2]
            if network.background == "most_events":
                masks = _most_events_first(masks, voxel)
            iou = float(event_iou(masks, voxel, labels)[0])
            values["iou" + suffix].append(iou)
            values["dr" + suffix].append(float(iou >= 0.5))
            if network.voxel.layers:
                known = known + cells_to_px(affine[0].double().cpu().numpy(), cell)
    network.train()
    return {name: float(np.mean(those)) for name, those in values.items()}


def _most_events_first(masks: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
    """The masks [1, L, H, W] of layers in the order of how many cells with events they win."""
    winner = masks.argmax(1)[voxel.abs().sum(1) > 0]
    order = torch.bincount(winner, minlength=masks.shape[1]).argsort(descending=True)
    return masks[:, order]
