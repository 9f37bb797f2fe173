"""Additive Laplace noise: heavier tails than Gaussian."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import exponential_like
from wellposed.noise.base import ElementwiseNoise

__all__ = ["Laplace"]


@final
class Laplace(ElementwiseNoise):
    r"""Add noise with a two-sided exponential distribution.

    .. math:: y = \bar y + n, \qquad p(n) = \tfrac{1}{2b} e^{-|n| / b}, \qquad \mathrm{Var}[y] = 2 b^2

    Drawn as the difference of two exponentials. Differentiable in the measurements and in `scale`.

    Parameters
    ----------
    scale : Tensor or float
        b, in the unit of the measurements; at least zero. A number, one value per image (B,), or a map.

    Raises
    ------
    ArgumentError
        If `scale` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> Laplace(0.1).variance(torch.tensor([[0.5]]))
    tensor([[0.0200]])
    """

    scale: Tensor

    def __init__(self, scale: Tensor | float) -> None:
        super().__init__()
        self._register("scale", scale, at_least=0)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        two_sided = exponential_like(clean, generator) - exponential_like(clean, generator)
        return clean + self._fitted("scale", clean) * two_sided

    def _mean(self, clean: Tensor) -> Tensor:
        return clean

    def _variance(self, clean: Tensor) -> Tensor:
        return 2 * self._fitted("scale", clean).square()

    def _variance_gain(self, _like: Tensor) -> float:
        return 1.0
