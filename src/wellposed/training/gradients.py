"""All gradients of a network in one flat tensor, so that they are shared, measured and shortened in one go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn

from wellposed.core.errors import UnsupportedError

__all__ = ["FlatGradients"]


@final
class FlatGradients:
    """One tensor of which each weight's gradient is a view, with some numbers more that travel with it.

    Parameters
    ----------
    weights : iterable of nn.Parameter
        Real, of one precision and on one device.
    extra : int
        How many numbers more.

    Raises
    ------
    UnsupportedError
        If there is no weight, or they differ in precision or device, or one is complex.
    """

    def __init__(self, weights: Iterable[nn.Parameter], *, extra: int) -> None:
        self.weights = tuple(weights)
        kinds = {(weight.dtype, weight.device) for weight in self.weights}
        if len(kinds) != 1 or any(weight.is_complex() for weight in self.weights):
            raise UnsupportedError(
                "training expects a network whose weights are real, of one precision and on one device, "
                f"got {', '.join(sorted(f'{dtype} on {device}' for dtype, device in kinds)) or 'none that can move'}."
            )
        size = sum(weight.numel() for weight in self.weights)
        self.whole = torch.zeros(size + extra, dtype=self.weights[0].dtype, device=self.weights[0].device)
        self.gradient, self.extra = self.whole[:size], self.whole[size:]
        start = 0
        for weight in self.weights:
            weight.grad = self.whole.as_strided(weight.shape, _dense_strides(weight), start)
            start += weight.numel()

    def clear(self) -> None:
        """Set everything to zero."""
        self.whole.zero_()


def _dense_strides(weight: Tensor) -> tuple[int, ...]:
    """Return the strides of a weight without gaps, in the same order of its axes (channels last, for instance)."""
    return torch.empty_like(weight, memory_format=torch.preserve_format, device="meta").stride()
