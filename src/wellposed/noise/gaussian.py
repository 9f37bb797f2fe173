"""Additive white Gaussian noise."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.shapes import Field
from wellposed.noise.base import ElementwiseNoise

__all__ = ["Gaussian"]


@final
class Gaussian(ElementwiseNoise):
    r"""Add white Gaussian noise.

    .. math:: y = \bar y + \sigma n, \qquad n \sim \mathcal{N}(0, I)

    Complex measurements get independent noise in their real and imaginary parts, each of standard deviation
    :math:`\sigma`, so that :math:`E|y - \bar y|^2 = 2 \sigma^2`. Differentiable in the measurements and in `sigma`.

    Parameters
    ----------
    sigma : Tensor or float
        Standard deviation, in the unit of the measurements; at least zero. A number, one value per image (B,), or a
        map.

    Raises
    ------
    ArgumentError
        If `sigma` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> noise = Gaussian(0.1)
    >>> y = noise(torch.zeros(2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> y.shape
    torch.Size([2, 1, 8, 8])
    >>> noise.variance(y)[0, 0, 0, :2]
    tensor([0.0100, 0.0100])
    """

    field: ClassVar[Field] = "any"
    sigma: Tensor

    def __init__(self, sigma: Tensor | float) -> None:
        super().__init__()
        self._register("sigma", sigma, at_least=0)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        return clean + self._fitted("sigma", clean) * normal_like(clean, generator)

    def _mean(self, clean: Tensor) -> Tensor:
        return clean

    def _variance(self, clean: Tensor) -> Tensor:
        return self._fitted("sigma", clean).square()

    def _variance_gain(self, _like: Tensor) -> float:
        return 1.0
