"""The exponential moving average of the weights."""

from __future__ import annotations

from copy import deepcopy
from typing import final

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


@final
class MovingAverage:
    r"""A copy of a network whose weights follow those of the network.

    .. math:: \bar\theta \leftarrow d_k \bar\theta + (1 - d_k)\, \theta,
        \qquad d_k = \min\big(d, \tfrac{1 + k}{10 + k}\big)

    The decay starts small, so that the random first weights are soon forgotten. Buffers are copied.

    Parameters
    ----------
    network : nn.Module
    decay : float
        d; 0 for a copy that is always equal.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = deepcopy(network).requires_grad_(requires_grad=False).eval()
        self._mine: list[Tensor] = list(self.network.parameters())
        self._theirs: list[Tensor] = list(network.parameters())
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after the step of that number, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        for mine, theirs in self._buffers:
            mine.copy_(theirs)

    def released(self) -> nn.Module:
        """Return the copy, with those of its weights open to gradients that are so in the network."""
        for mine, theirs in zip(self._mine, self._theirs, strict=True):
            mine.requires_grad_(theirs.requires_grad)
        return self.network
