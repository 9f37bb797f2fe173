"""The network as a training run calls it: in the precision asked for, on its device, its trunk compiled if wanted."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.data.problems import Batch
from wellposed.physics import Physics
from wellposed.training.options import Precision

__all__ = ["InPrecision", "compile_trunk", "moved"]

_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@final
class InPrecision(nn.Module):
    """A network that computes in half precision, where asked to, and answers in the precision of its weights.

    Parameters
    ----------
    network : nn.Module
    precision : {"fp32", "bf16", "fp16"}
    """

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.network = network
        self.precision = precision

    def forward(self, y: Tree, physics: Physics) -> Tensor:
        """Reconstruct."""
        if self.precision == "fp32":
            return self.network(y, physics)
        with torch.autocast(tree_leaves(y)[0].device.type, dtype=_DTYPES[self.precision]):
            x_hat = self.network(y, physics)
        return x_hat.float() if x_hat.dtype in _DTYPES.values() else x_hat


def compile_trunk(network: nn.Module) -> None:
    """Compile what a network spends its time in: its method `refine` where it has one, else its whole forward pass."""
    name = "refine" if callable(getattr(network, "refine", None)) else "forward"
    method: Any = torch.compile(getattr(network, name))
    setattr(network, name, method)


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; what is there already is not copied."""
    y = tree_map(lambda leaf: leaf.to(device, non_blocking=True), batch.y)
    x = None if batch.x is None else batch.x.to(device, non_blocking=True)
    buffers = list(batch.physics.buffers())
    elsewhere = any(buffer.device.type != device.type for buffer in buffers)
    return Batch(y, deepcopy(batch.physics).to(device) if elsewhere else batch.physics, x)
