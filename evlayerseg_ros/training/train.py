"""The training loop, from top to bottom."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.network.export import load_exported, with_extras
from evlayerseg_ros.network.layernet import LayerNet
from evlayerseg_ros.paper.loss import paper_loss
from evlayerseg_ros.paper.network import PaperNet, combined_flow
from evlayerseg_ros.segmentation.model_file import find_model
from evlayerseg_ros.simulation.presets import EVALUATION_PHOTOS, TRAINING_PHOTOS, photographs
from evlayerseg_ros.simulation.textures import TextureBank, image_files
from evlayerseg_ros.training.losses import supervised_loss
from evlayerseg_ros.training.parallel import Place, place
from evlayerseg_ros.training.stream import SceneStream
from evlayerseg_ros.training.teacher import Teacher
from evlayerseg_ros.training.validation import validate, validation_set

Batch = dict[str, torch.Tensor]


@dataclass
class Settings:
    """How to train; `PRESETS` names some.

    Attributes:
        regime: what teaches: "labels" (the simulator's) or, without them, "label-free" (a Teacher
            that looks at the events alone) or "paper" (the paper's network with the paper's loss).
        teacher: of regime label-free: weights whose answers, refined, teach; "" lets contrast
            maximisation alone teach.
        width: cells across of LayerNet's voxel grid; fewer are faster and coarser.
        widths, depth: LayerNet's channels, and its residual blocks, at each scale.
        steps: optimiser steps.
        batch: windows a step, of all processes together.
        rate: peak learning rate, after a linear warm-up, falling as a cosine to zero.
        decay: weight decay (AdamW).
        clip: largest norm of a step's gradient.
        average: decay per step of the running average of the weights, which is what is kept.
        precision: fp32, or bf16: mixed precision where the device has it.
        events: of each window that the regime paper looks at.
        lanes: streams of scenes that a batch is taken from in equal parts, each with a process that
            simulates; a multiple of the number of processes that train.
        reuse: how often each simulated window is used.
        first: clips that each lane simulates before the first step.
        per_clip: windows taken from each clip.
        worlds: share of the scenes that are worlds with depth; the others are planes.
        validate: steps between validations.
        windows: windows of the validation set.
        seed: of everything random.
    """

    regime: str = "labels"
    teacher: str = ""
    width: int = 320
    widths: tuple[int, ...] = (32, 32, 64, 112)
    depth: int = 2
    steps: int = 6000
    batch: int = 16
    rate: float = 2e-3
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    precision: str = "fp32"
    events: int = 10_000
    lanes: int = 2
    reuse: float = 3
    first: int = 24
    per_clip: int = 6
    worlds: float = 0.7
    validate: int = 250
    windows: int = 48
    seed: int = 0


PRESETS = {
    "default": Settings(),
    "smoke": Settings(
        width=160, widths=(8, 16, 32, 48), depth=1, steps=240, rate=4e-3, average=0.97, reuse=16,
        first=12, validate=60, windows=16,
    ),
}  # fmt: skip
REGIMES = ("labels", "label-free", "paper")


def make_network(settings: Settings) -> Network:
    """The network that the settings train, with random weights from their seed."""
    torch.manual_seed(settings.seed)
    if settings.regime == "paper":
        return PaperNet()
    widths = tuple(settings.widths)
    return LayerNet(width=settings.width, widths=widths, depth=settings.depth)


def losses_of(network: Callable[..., tuple[torch.Tensor, ...]], regime: str, batch: Batch) -> Batch:
    """The losses of a batch by name; "total" is what is minimised."""
    output = network(batch["voxel"])
    if regime == "paper":
        flow = combined_flow(*output)
        return {"total": paper_loss(flow, list(batch["events"])) / len(flow)}
    masks, affine, motion = output
    return supervised_loss((masks, affine, motion), batch)


def train(
    out: Path,
    settings: Settings,
    photos: list[Path],
    cutouts: list[Path],
    resume: bool = False,
    init: Path | None = None,
) -> Path:
    """Train a network; under torchrun, on all its processes.

    Args:
        out: folder for checkpoint.pt and curves.csv.
        settings: how.
        photos, cutouts: folders of images for the simulated scenes, beside the photographs that
            scikit-image ships and procedural textures.
        resume: go on from the checkpoint in `out` as if it had never stopped.
        init: a checkpoint, an exported LayerNet or the name of shipped weights to start from.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: a folder holds no images, there is no checkpoint to resume or no such teacher,
            or the lanes do not go round.
    """
    if settings.teacher and settings.regime != "label-free":
        raise InputError(f"Regime {settings.regime} has no teacher: that is for label-free.")
    if settings.teacher:
        find_model(settings.teacher)
    with place() as here:
        if settings.lanes % here.world or settings.batch % settings.lanes:
            raise InputError(
                f"{settings.batch} windows a step from {settings.lanes} lanes on {here.world} "
                "processes: each must be a multiple of the next."
            )
        return _train(out, settings, photos, cutouts, resume, init, here)


def _train(
    out: Path, settings: Settings, photos: list[Path], cutouts: list[Path], resume: bool,
    init: Path | None, here: Place,
) -> Path:  # fmt: skip
    checkpoint = out / "checkpoint.pt"
    run = _Run(settings, here)
    if init is not None:
        run.start_from(init)
    if resume:
        run.load(checkpoint)
    bank = TextureBank(photographs(TRAINING_PHOTOS) + image_files(photos), image_files(cutouts))
    held_out = TextureBank(photographs(EVALUATION_PHOTOS))
    windows = settings.windows if here.first else 0
    data = validation_set(held_out, run.network, windows, settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"photos": len(bank.photos), "cutouts": len(bank.cutouts)}
    began, running = time.time(), math.nan
    if here.first and run.step == 0:  # what it can do before it has learnt anything
        _record(out, 0, 0.0, running, validate(run.average, data))
    bar = tqdm(total=settings.steps, initial=run.step, unit="step", disable=not here.first or None)
    for batch in _batches(bank, run.network, settings, run.step, here):
        loss = run.learn(batch)
        running = loss if math.isnan(running) else running + 0.02 * (loss - running)
        bar.update()
        bar.set_postfix(loss=f"{running:.3f}", refresh=False)
        if here.first and (run.step % settings.validate == 0 or run.step == settings.steps):
            scores = validate(run.average, data)
            _record(out, run.step, time.time() - began, running, scores)
            run.save(checkpoint, facts, scores)
        if run.step == settings.steps:
            break
    bar.close()
    return checkpoint


def _record(out: Path, step: int, seconds: float, loss: float, scores: dict[str, float]) -> None:
    """Adds a line to curves.csv: step, seconds, the losses' running mean, and the scores."""
    with (out / "curves.csv").open("a", newline="") as file:
        facts = (f"{key}={value:.4f}" for key, value in scores.items())
        csv.writer(file).writerow([step, int(seconds), f"{loss:.4f}", *facts])
    tqdm.write(f"step {step}: " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))


class _Run:
    """Network, optimiser and running average at a step.

    Args:
        settings: how to train.
        here: this process's place.
    """

    def __init__(self, settings: Settings, here: Place) -> None:
        self.settings, self.here, self.step = settings, here, 0
        self.network = make_network(settings).to(here.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network)
        self.shared = here.share(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.rate, weight_decay=settings.decay, betas=(0.9, 0.98)
        )

    def learn(self, batch: Batch) -> float:
        """One step; returns the loss, the mean of all processes."""
        settings, device = self.settings, self.here.device
        for group in self.optimiser.param_groups:
            group["lr"] = settings.rate * schedule(self.step, settings.steps)
        batch = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        batch["voxel"] = batch["voxel"].to(memory_format=torch.channels_last)
        mixed = settings.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            total = losses_of(self.shared, settings.regime, batch)["total"]
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        self.optimiser.step()
        self.step += 1
        decay = min(settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 1 - decay)
        return self.here.mean(total.detach())

    def start_from(self, path: Path) -> None:
        """Takes the weights of a checkpoint, or of an exported LayerNet.

        Raises:
            InputError: it is none of this network.
        """
        try:
            if path.suffix == ".onnx" or not path.exists():
                weights = with_extras(load_exported(find_model(path))).state_dict()
            else:
                weights = torch.load(path, map_location="cpu", weights_only=True)["average"]
            self.network.load_state_dict(weights)
            self.average.load_state_dict(weights)
        except InputError:
            raise
        except Exception as error:  # unpickling fails in many ways, all meaning this
            raise InputError(f"{path} has no weights of this network ({error}).") from error

    def load(self, path: Path) -> None:
        """Takes up where a checkpoint ended.

        Raises:
            InputError: there is none.
        """
        if not path.exists():
            raise InputError(f"{path} does not exist, so there is nothing to resume.")
        state = torch.load(path, map_location=self.here.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def save(self, path: Path, data: dict[str, int], scores: dict[str, float]) -> None:
        """Writes a checkpoint whole or not at all."""
        temporary = path.with_suffix(".tmp")
        state = {
            "variant": self.network.variant,
            "settings": self.network.settings,
            "regime": "labels" if self.settings.regime == "labels" else "label-free",
            "training": asdict(self.settings),
            "data": data,
            "scores": scores,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(path)


def _batches(
    bank: TextureBank, network: Network, settings: Settings, step: int, here: Place
) -> Iterator[Batch]:
    """This process's part of each step's batch, from step `step` on."""
    lanes = range(here.rank, settings.lanes, here.world)
    each = settings.batch // settings.lanes
    events = settings.events if settings.regime == "paper" else 0
    teacher = Teacher(settings.teacher) if settings.regime == "label-free" else None
    stream = SceneStream(
        bank, network.voxel, settings.seed, lanes, step * each, settings.reuse,
        settings.per_clip, settings.first, events=events, teacher=teacher, worlds=settings.worlds,
    )  # fmt: skip
    # A forked worker would inherit OpenCV's and OpenMP's locked thread pools and hang.
    loader = iter(
        DataLoader(
            stream, each, num_workers=len(lanes), prefetch_factor=4,
            multiprocessing_context="spawn",
        )
    )  # fmt: skip
    while True:  # workers take turns, so that each gives its lane's part of every batch
        parts = [next(loader) for _ in lanes]
        yield {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine to zero."""
    warm = max(1, min(200, steps // 20))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
