"""Photon noise after the logarithm: the line integrals of transmission tomography."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.noise._counts import draw_counts
from wellposed.noise.base import ElementwiseNoise

__all__ = ["LogPoisson"]

_HIGH_RATE = 60.0
_ENOUGH_COUNTS = 160
_LOG_MEAN = (-1 / 2, -5 / 12, -3 / 4, -251 / 120, -95 / 12, -19087 / 504)
_LOG_VARIANCE = (1.0, 3 / 2, 43 / 12, 71 / 6, 4513 / 90, 31229 / 120)


@final
class LogPoisson(ElementwiseNoise):
    r"""Count the photons behind an absorber and take the logarithm (Beer and Lambert).

    .. math:: y = -\frac{1}{\mu} \log \frac{\max(N, N_{\min})}{N_0}, \qquad N \sim \mathrm{Poisson}(N_0 e^{-\mu \bar y})

    Where no photon arrives, the logarithm is that of :math:`N_{\min}`, so that the measurements are always finite; 0.1
    is the convention of LoDoPaB-CT. Mean and variance are exact at low counts, where the bias of the logarithm is
    large: sums over the probabilities below 60 expected photons, an asymptotic series accurate to 1e-7 above.
    The draw is not differentiable; mean and variance are.

    Parameters
    ----------
    photons : Tensor or float
        :math:`N_0`, photons sent per detector pixel; above zero. A number, one value per image (B,), or a map.
    attenuation : Tensor or float
        :math:`\mu`, in the inverse unit of the measurements; above zero. Same shapes.
    min_count : float
        :math:`N_{\min}`, what no photon counts as; above zero, at most one.

    Raises
    ------
    ArgumentError
        If a parameter is out of its bounds.

    References
    ----------
    Leuschner, Schmidt, Baguer, Maass, *LoDoPaB-CT, a benchmark dataset for low-dose computed tomography
    reconstruction*, Scientific Data 8 (2021), doi:10.1038/s41597-021-00893-z.

    Examples
    --------
    >>> import torch
    >>> noise = LogPoisson(photons=4096, attenuation=2.0)
    >>> y = noise(torch.full((1, 1, 2, 2), 50.0))
    >>> bool(torch.isfinite(y).all())
    True
    >>> noise.mean(torch.tensor([[1.0]])) - 1
    tensor([[0.0005]])
    """

    photons: Tensor
    attenuation: Tensor

    def __init__(self, photons: Tensor | float, attenuation: Tensor | float, min_count: float = 0.1) -> None:
        super().__init__()
        self._register("photons", photons, above=0)
        self._register("attenuation", attenuation, above=0)
        if not 0 < min_count <= 1:
            raise ArgumentError(f"LogPoisson expects 0 < min_count <= 1, got {min_count:g}.")
        self.min_count = min_count

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        photons, attenuation = self._fitted("photons", clean).detach(), self._fitted("attenuation", clean).detach()
        counts = draw_counts(self._rate(clean.detach(), photons, attenuation), generator)
        return (photons.log() - counts.clamp(min=self.min_count).log()) / attenuation

    def _mean(self, clean: Tensor) -> Tensor:
        photons, attenuation = self._fitted("photons", clean).double(), self._fitted("attenuation", clean).double()
        mean, _ = _log_count_moments(self._rate(clean.double(), photons, attenuation), self.min_count)
        return ((photons.log() - mean) / attenuation).to(clean.dtype)

    def _variance(self, clean: Tensor) -> Tensor:
        photons, attenuation = self._fitted("photons", clean).double(), self._fitted("attenuation", clean).double()
        _, variance = _log_count_moments(self._rate(clean.double(), photons, attenuation), self.min_count)
        return (variance / attenuation.square()).to(clean.dtype)

    @staticmethod
    def _rate(clean: Tensor, photons: Tensor, attenuation: Tensor) -> Tensor:
        rate = photons * torch.exp(-attenuation * clean)
        if not bool(torch.isfinite(rate).all()):
            raise ArgumentError(
                f"LogPoisson expects finite measurements with a finite number of photons behind them, got a minimum of "
                f"{clean.min().item():g}: they are line integrals of the attenuation and should not be far below zero."
            )
        return rate


def _log_count_moments(rate: Tensor, min_count: float) -> tuple[Tensor, Tensor]:
    """Return mean and variance of log max(N, min_count) for Poisson N."""
    low_mean, low_variance = _summed_moments(rate.clamp(max=_HIGH_RATE), min_count)
    high = rate.clamp(min=_HIGH_RATE)
    high_mean = high.log() + _series(_LOG_MEAN, 1 / high)
    is_low = rate < _HIGH_RATE
    return torch.where(is_low, low_mean, high_mean), torch.where(is_low, low_variance, _series(_LOG_VARIANCE, 1 / high))


def _summed_moments(rate: Tensor, min_count: float) -> tuple[Tensor, Tensor]:
    """Sum over the probabilities of all counts that matter, around a centre so that nothing cancels."""
    centre = rate.detach().clamp(min=min_count).log()
    probability = torch.exp(-rate)
    first = second = torch.zeros_like(rate)
    for count in range(_ENOUGH_COUNTS):
        offset = math.log(max(count, min_count)) - centre
        first = first + probability * offset
        second = second + probability * offset.square()
        probability = probability * rate / (count + 1)
    return centre + first, second - first.square()


def _series(coefficients: tuple[float, ...], t: Tensor) -> Tensor:
    """Evaluate c_1 t + c_2 t^2 + ..."""
    total = torch.zeros_like(t)
    for coefficient in reversed(coefficients):
        total = (total + coefficient) * t
    return total
