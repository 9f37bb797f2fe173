"""Photon noise, alone and with the electronic noise of a camera."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.noise._counts import draw_counts, nonnegative
from wellposed.noise.base import ElementwiseNoise

__all__ = ["Poisson", "PoissonGaussian"]


@final
class Poisson(ElementwiseNoise):
    r"""Count photons: the variance grows with the intensity.

    .. math:: y = \gamma z, \qquad z \sim \mathrm{Poisson}(\bar y / \gamma), \qquad
        E[y] = \bar y, \quad \mathrm{Var}[y] = \gamma \bar y

    The draw is not differentiable; mean and variance are.

    Parameters
    ----------
    gain : Tensor or float
        :math:`\gamma`, the value of one photon, in the unit of the measurements; above zero. A number, one value per
        image (B,), or a map.
    clip : bool
        Count negative intensities as zero, instead of refusing them.

    Raises
    ------
    ArgumentError
        If `gain` is not positive and finite; on a call, if a measurement is negative and `clip` is False.

    Examples
    --------
    >>> import torch
    >>> noise = Poisson(0.25)
    >>> y = noise(torch.full((1, 1, 2, 2), 0.5), generator=torch.Generator().manual_seed(0))
    >>> bool((y / 0.25 == (y / 0.25).round()).all())
    True
    >>> noise.variance(torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """

    gain: Tensor

    def __init__(self, gain: Tensor | float, *, clip: bool = False) -> None:
        super().__init__()
        self._register("gain", gain, above=0)
        self.clip = clip

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        gain = self._fitted("gain", clean).detach()
        return gain * draw_counts(self._mean(clean) / gain, generator)

    def _mean(self, clean: Tensor) -> Tensor:
        return nonnegative("Poisson", clean, clip=self.clip)

    def _variance(self, clean: Tensor) -> Tensor:
        return self._fitted("gain", clean) * self._mean(clean)

    def _variance_gain(self, like: Tensor) -> Tensor | float:
        return super()._variance_gain(like) if self.clip else 1.0


@final
class PoissonGaussian(ElementwiseNoise):
    r"""Count photons and read them out with electronic noise.

    .. math:: y = \gamma z + \sigma n, \qquad z \sim \mathrm{Poisson}(\bar y / \gamma), \quad n \sim \mathcal{N}(0, I),
        \qquad E[y] = \bar y, \quad \mathrm{Var}[y] = \gamma \bar y + \sigma^2

    The draw is differentiable in `sigma` only; mean and variance in everything.

    Parameters
    ----------
    gain : Tensor or float
        :math:`\gamma`, the value of one photon, in the unit of the measurements; above zero. A number, one value per
        image (B,), or a map.
    sigma : Tensor or float
        Standard deviation of the read-out noise, in the unit of the measurements; at least zero. Same shapes.
    clip : bool
        Count negative intensities as zero, instead of refusing them.

    Raises
    ------
    ArgumentError
        If `gain` is not positive or `sigma` negative; on a call, if a measurement is negative and `clip` is False.

    References
    ----------
    Foi, Trimeche, Katkovnik, Egiazarian, *Practical Poissonian-Gaussian noise modeling and fitting for single-image
    raw-data*, IEEE Trans. Image Processing 17 (2008), doi:10.1109/TIP.2008.2001399.

    Examples
    --------
    >>> import torch
    >>> PoissonGaussian(gain=0.5, sigma=0.1).variance(torch.tensor([[2.0]]))
    tensor([[1.0100]])
    """

    gain: Tensor
    sigma: Tensor

    def __init__(self, gain: Tensor | float, sigma: Tensor | float, *, clip: bool = False) -> None:
        super().__init__()
        self._register("gain", gain, above=0)
        self._register("sigma", sigma, at_least=0)
        self.clip = clip

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        gain = self._fitted("gain", clean).detach()
        counts = draw_counts(self._mean(clean) / gain, generator)
        return gain * counts + self._fitted("sigma", clean) * normal_like(clean, generator)

    def _mean(self, clean: Tensor) -> Tensor:
        return nonnegative("PoissonGaussian", clean, clip=self.clip)

    def _variance(self, clean: Tensor) -> Tensor:
        return self._fitted("gain", clean) * self._mean(clean) + self._fitted("sigma", clean).square()

    def _variance_gain(self, like: Tensor) -> Tensor | float:
        return super()._variance_gain(like) if self.clip else 1.0
