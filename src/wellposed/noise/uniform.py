"""Additive uniform noise, as from rounding."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import uniform_like
from wellposed.noise.base import ElementwiseNoise

__all__ = ["Uniform"]


@final
class Uniform(ElementwiseNoise):
    r"""Add noise that is uniform on a symmetric interval.

    .. math:: y = \bar y + u, \qquad u \sim \mathcal{U}(-a, a), \qquad \mathrm{Var}[y] = a^2 / 3

    Differentiable in the measurements and in `amplitude`.

    Parameters
    ----------
    amplitude : Tensor or float
        a, in the unit of the measurements; at least zero. A number, one value per image (B,), or a map.

    Raises
    ------
    ArgumentError
        If `amplitude` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> Uniform(0.3).variance(torch.tensor([[0.5]]))
    tensor([[0.0300]])
    """

    amplitude: Tensor

    def __init__(self, amplitude: Tensor | float) -> None:
        super().__init__()
        self._register("amplitude", amplitude, at_least=0)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        return clean + self._fitted("amplitude", clean) * (2 * uniform_like(clean, generator) - 1)

    def _mean(self, clean: Tensor) -> Tensor:
        return clean

    def _variance(self, clean: Tensor) -> Tensor:
        return self._fitted("amplitude", clean).square() / 3

    def _variance_gain(self, _like: Tensor) -> float:
        return 1.0
