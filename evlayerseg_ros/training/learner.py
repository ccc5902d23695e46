"""What a training step changes: the network, its optimiser and the weights' running average."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from evlayerseg_ros.errors import InputError
from evlayerseg_ros.network.base import Network
from evlayerseg_ros.network.export import export, load_exported, with_extras
from evlayerseg_ros.network.layernet import LayerNet
from evlayerseg_ros.paper.loss import paper_loss
from evlayerseg_ros.paper.network import PaperNet, combined_flow
from evlayerseg_ros.training.losses import supervised_loss
from evlayerseg_ros.training.parallel import Place

if TYPE_CHECKING:
    from evlayerseg_ros.training.train import Settings

Batch = dict[str, torch.Tensor]


def make_network(settings: Settings) -> Network:
    """The network that the settings describe, with random weights from their seed."""
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


class Learner:
    """Network, optimiser and running average of the weights at a step.

    Args:
        settings: how to train.
        here: this process's place.

    Attributes:
        step: steps done so far.
        average: the network with the running average of its weights.
        began: the weights that training began with, where a share of them is kept, else None.
        regime: what the weights were taught by, for the model file.
    """

    def __init__(self, settings: Settings, here: Place) -> None:
        self.settings, self.here, self.step = settings, here, 0
        self.network = make_network(settings).to(here.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network)
        self.began: dict[str, torch.Tensor] | None = None
        self.regime = "labels" if settings.regime == "labels" else "label-free"
        self.shared = here.share(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.rate, weight_decay=settings.decay, betas=(0.9, 0.98)
        )

    def learn(self, batch: Batch) -> float:
        """Does one step; returns the loss, the mean of all processes."""
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
            InputError: it has no weights of this network.
        """
        try:
            if path.suffix == ".onnx":
                network, info = load_exported(path)
                weights, regime = with_extras(network).state_dict(), info.regime
            else:
                state = torch.load(path, map_location="cpu", weights_only=True)
                weights, regime = state["average"], state["regime"]
            self.network.load_state_dict(weights)
            self.average.load_state_dict(weights)
            if self.settings.keep:
                self.began, self.regime = copy.deepcopy(self.average.state_dict()), regime
        except InputError:
            raise
        except Exception as error:  # unpickling fails in many ways, all meaning this
            raise InputError(
                f"{path} has no weights of this network: expected the checkpoint.pt of `evlayerseg "
                "train`, or an .onnx of `evlayerseg export`, with the widths that the preset has."
            ) from error

    def load(self, path: Path) -> None:
        """Goes on where a checkpoint ended.

        Raises:
            InputError: there is no checkpoint, or it is damaged or another network's.
        """
        if not path.exists():
            raise InputError(f"{path} does not exist, so there is nothing to resume.")
        try:
            state = torch.load(path, map_location=self.here.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state.get("running", state["average"]))
            self.began, self.regime = state.get("began"), state["regime"]
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        except Exception as error:  # unpickling fails in many ways, all meaning this
            raise InputError(
                f"{path} cannot be resumed: it is damaged, or of another preset. Without --resume, "
                "training begins anew."
            ) from error

    def kept(self) -> Network:
        """The network to keep: with the average of its weights.

        Where `settings.keep` says so they are mixed with those that training began with, so that it
        forgets less (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
        """
        if self.began is None:
            return self.average
        network = copy.deepcopy(self.average)
        with torch.no_grad():
            for name, value in network.state_dict().items():
                value.lerp_(self.began[name].to(value), self.settings.keep)
        return network

    def export(self, path: Path) -> None:
        """Writes the kept weights as ONNX, for runs of the Segmenter while training goes on."""
        write_model(copy.deepcopy(self.kept()).cpu(), path, "rehearsal", "labels")

    def save(self, path: Path, data: dict[str, int], scores: dict[str, float]) -> None:
        """Writes a checkpoint whole or not at all.

        Raises:
            InputError: it cannot be written.
        """
        temporary = path.with_suffix(".tmp")
        state = {
            "variant": self.network.variant,
            "settings": self.network.settings,
            "regime": self.regime,
            "training": asdict(self.settings),
            "data": data,
            "scores": scores,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.kept().state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        if self.began is not None:
            state |= {"running": self.average.state_dict(), "began": self.began}
        try:
            torch.save(state, temporary)
            temporary.replace(path)
        except (OSError, RuntimeError) as error:  # torch gives a full disk as a RuntimeError
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or "is the disk full?"
            raise InputError(
                f"{path} cannot be written at step {self.step} ({reason}); the one before it is "
                "untouched, and --resume goes on from there."
            ) from error


def write_model(network: Network, path: Path, name: str, regime: str) -> None:
    """Writes a network as ONNX, whole or not at all: others may read it at any time."""
    temporary = path.with_suffix(".new.onnx")
    export(network, temporary, name, regime, {})
    temporary.replace(path)


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine to zero."""
    warm = max(1, min(200, steps // 20))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
