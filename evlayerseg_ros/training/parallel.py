"""Several processes that train one network, as torchrun starts them, or one without it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Place:
    """This process among those that train.

    Attributes:
        rank: its number.
        world: number of processes.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, network: torch.nn.Module) -> torch.nn.Module:
        """The network with gradients averaged over all processes."""
        return DistributedDataParallel(network) if self.world > 1 else network

    def wait(self) -> None:
        """Waits until all processes are here."""
        if self.world > 1:
            distributed.barrier()

    def mean(self, value: torch.Tensor) -> float:
        """The mean of a scalar over all processes."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return float(value) / self.world


@contextmanager
def place() -> Iterator[Place]:
    """This process's place, from torchrun's environment; the group ends with the block."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world == 1:
        yield Place(0, 1, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(distributed.get_rank(), world, device)
    finally:
        distributed.destroy_process_group()
