"""Pixels that are stuck or lost."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.rng import uniform_like
from wellposed.noise.base import ElementwiseNoise

__all__ = ["SaltPepper"]


@final
class SaltPepper(ElementwiseNoise):
    r"""Replace numbers at random by one (salt) or zero (pepper).

    .. math:: y = \begin{cases} 1 & \text{with probability } s \\ 0 & \text{with probability } p \\
        \bar y & \text{otherwise} \end{cases}

    The mean is :math:`m = s + (1 - s - p) \bar y` and the variance
    :math:`s (1 - m)^2 + p m^2 + (1 - s - p)(\bar y - m)^2`. The draw is differentiable in the measurements only.

    Parameters
    ----------
    salt, pepper : Tensor or float
        Probabilities, at least zero, their sum at most one. A number, one value per image (B,), or a map.

    Raises
    ------
    ArgumentError
        If a probability is negative, or the two sum to more than one (for maps, on a call).

    Examples
    --------
    >>> import torch
    >>> SaltPepper(salt=0.1, pepper=0.3).mean(torch.tensor([[0.0, 1.0]]))
    tensor([[0.1000, 0.7000]])
    """

    salt: Tensor
    pepper: Tensor

    def __init__(self, salt: Tensor | float, pepper: Tensor | float) -> None:
        super().__init__()
        self._register("salt", salt, at_least=0)
        self._register("pepper", pepper, at_least=0)
        if self.salt.ndim == 0 or self.pepper.ndim == 0 or self.salt.shape == self.pepper.shape:
            _check_sum(self.salt.to(self.pepper) + self.pepper)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        salt, pepper = self._probabilities(clean)
        level = uniform_like(clean, generator)
        return torch.where(level < salt, 1, torch.where(level >= 1 - pepper, 0, clean))

    def _mean(self, clean: Tensor) -> Tensor:
        salt, pepper = self._probabilities(clean)
        return salt + (1 - salt - pepper) * clean

    def _variance(self, clean: Tensor) -> Tensor:
        salt, pepper = self._probabilities(clean)
        mean = self._mean(clean)
        return salt * (1 - mean).square() + pepper * mean.square() + (1 - salt - pepper) * (clean - mean).square()

    def _variance_gain(self, like: Tensor) -> Tensor:
        salt, pepper = self._probabilities(like)
        return 1 - salt - pepper

    def _probabilities(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        salt, pepper = self._fitted("salt", clean), self._fitted("pepper", clean)
        _check_sum(salt + pepper)
        return salt, pepper


def _check_sum(total: Tensor) -> None:
    if bool((total > 1 + 1e-6).any()):
        raise ArgumentError(
            f"SaltPepper expects probabilities with salt + pepper <= 1, got a sum of {total.max().item():g}."
        )
