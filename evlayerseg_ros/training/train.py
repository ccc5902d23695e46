"""The training loop, from top to bottom."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.inference.segmenter import cells_to_px
from evlayerseg_ros.model.layernet import LayerNet
from evlayerseg_ros.training.losses import event_iou, supervised_loss
from evlayerseg_ros.training.presets import EVALUATION_PHOTOS, TRAINING_PHOTOS, photographs
from evlayerseg_ros.training.scenes import random_scene
from evlayerseg_ros.training.simulator import simulate
from evlayerseg_ros.training.stream import Sample, SceneStream, cut_sample, to_tensors
from evlayerseg_ros.training.textures import TextureBank, image_files


@dataclass
class Settings:
    """How to train; `PRESETS` names some.

    Attributes:
        steps: optimiser steps.
        batch: windows a step.
        rate: peak learning rate, after a linear warm-up, falling as a cosine to zero.
        decay: weight decay (AdamW).
        average: decay per step of the running average of the weights, which is what is kept.
        reuse: how often each simulated window is used.
        workers: processes that simulate.
        first: clips that each of them simulates before the first step.
        validate: steps between validations.
        windows: windows of the validation set.
        seed: of everything random.
    """

    steps: int = 6000
    batch: int = 16
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    reuse: float = 3
    workers: int = 2
    first: int = 64
    validate: int = 250
    windows: int = 48
    seed: int = 0


PRESETS = {
    "default": Settings(),
    "smoke": Settings(steps=150, batch=8, validate=75, windows=8, reuse=24, workers=1, first=16),
}
REGIME = "labels"  # what teaches: the simulator's labels


def validation_set(bank: TextureBank, network: LayerNet, windows: int, seed: int) -> list[Sample]:
    """Windows of 50,000 events of the paper's kind of scene, one from each of `windows` scenes."""
    rng = np.random.default_rng([seed, 1 << 20])
    samples: list[Sample] = []
    while len(samples) < windows:
        scene = random_scene(rng, bank, "paper", duration=0.2)
        events, labels = simulate(scene, rng)
        if len(events) < 52_000 or not 0.02 < (labels[:50_000] > 0).mean() < 0.95:
            continue
        cell = network.voxel.cell(scene.sensor.width)
        samples.append(cut_sample(scene, events, cell, 0, 50_000))
    return samples


@torch.no_grad()
def validate(network: LayerNet, samples: list[Sample]) -> dict[str, float]:
    """Mean loss, IoU and detection rate over the validation set.

    Measures with a 2 at their end are those of the second pass, in which the network is told the
    motions that it found in the first.
    """
    network.eval()
    values: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        known = np.zeros((network.voxel.layers, 2, 3))
        cell = network.voxel.cell(sample.window.events.width)
        for suffix in ("", "2"):
            data = to_tensors(sample, network.voxel, None, known)
            batch = {key: value[None] for key, value in data.items()}
            output = network(batch["voxel"])
            iou = float(event_iou(output[0], batch["voxel"], batch["labels"])[0])
            losses = supervised_loss(output, **batch)
            for name, value in {**losses, "iou": iou, "dr": float(iou >= 0.5)}.items():
                values[name + suffix].append(float(value))
            known = known + cells_to_px(output[1][0].double().numpy(), cell)
    network.train()
    return {name: float(np.mean(those)) for name, those in values.items()}


def train(
    out: Path,
    settings: Settings,
    photos: list[Path],
    cutouts: list[Path],
    resume: bool = False,
    init: Path | None = None,
) -> Path:
    """Train LayerNet with the simulator's labels.

    Args:
        out: folder for checkpoint.pt and curves.csv.
        settings: how.
        photos, cutouts: folders of images for the simulated scenes, beside the photographs that
            scikit-image ships and procedural textures.
        resume: go on from the checkpoint in `out`.
        init: a checkpoint whose weights to start from.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: a folder holds no images, or there is no checkpoint to resume.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    torch.manual_seed(settings.seed)
    network = LayerNet()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.rate, weight_decay=settings.decay, betas=(0.9, 0.98)
    )
    step = 0
    if init is not None:
        weights = torch.load(init, weights_only=True)["average"]
        network.load_state_dict(weights)
        average.load_state_dict(weights)
    if resume:
        if not checkpoint.exists():
            raise InputError(f"{checkpoint} does not exist, so there is nothing to resume.")
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    bank = TextureBank(photographs(TRAINING_PHOTOS) + image_files(photos), image_files(cutouts))
    held_out = TextureBank(photographs(EVALUATION_PHOTOS))
    data = validation_set(held_out, network, settings.windows, settings.seed)
    stream = SceneStream(
        bank, network.voxel, settings.seed + step, settings.reuse, first=settings.first
    )
    # A forked worker would inherit OpenCV's and OpenMP's locked thread pools and hang.
    loader = iter(
        DataLoader(
            stream, settings.batch, num_workers=settings.workers, prefetch_factor=4,
            multiprocessing_context="spawn",
        )
    )  # fmt: skip
    curves = (out / "curves.csv").open("a", newline="")
    writer = csv.writer(curves)
    began, running = time.time(), math.nan
    bar = tqdm(total=settings.steps, initial=step, unit="step")
    while step < settings.steps:
        batch = next(loader)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * schedule(step, settings.steps)
        voxel = batch["voxel"].to(memory_format=torch.channels_last)
        losses = supervised_loss(network(voxel), **batch)
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        loss = float(losses["total"].detach())
        running = loss if math.isnan(running) else running + 0.02 * (loss - running)
        bar.update()
        bar.set_postfix(loss=f"{running:.3f}", refresh=False)
        if step % settings.validate == 0 or step == settings.steps:
            scores = validate(average, data)
            writer.writerow([step, int(time.time() - began), f"{running:.4f}"]
                            + [f"{k}={v:.4f}" for k, v in scores.items()])  # fmt: skip
            curves.flush()
            tqdm.write(f"step {step}: " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))
            temporary = checkpoint.with_suffix(".tmp")
            torch.save(
                {
                    "variant": network.variant,
                    "settings": network.settings,
                    "regime": REGIME,
                    "training": asdict(settings),
                    "data": {"photos": len(bank.photos), "cutouts": len(bank.cutouts)},
                    "scores": scores,
                    "step": step,
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                },
                temporary,
            )
            temporary.replace(checkpoint)
    bar.close()
    curves.close()
    return checkpoint


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine to zero."""
    warm = max(1, min(200, steps // 20))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
