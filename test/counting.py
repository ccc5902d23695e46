"""What a network costs."""

import torch


def multiply_adds(network: torch.nn.Module, voxel: torch.Tensor) -> int:
    """Of all convolutions and linear layers, counted while the network runs."""
    total = 0

    def count(module, _, output) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(voxel)
    return total
