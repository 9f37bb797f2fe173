"""The noise of magnitude images in magnetic resonance."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.noise.base import ElementwiseNoise

__all__ = ["Rician"]

_HIGH_SNR = 1e3


@final
class Rician(ElementwiseNoise):
    r"""Take the magnitude after adding complex Gaussian noise.

    .. math:: y = \sqrt{(\bar y + \sigma n_1)^2 + (\sigma n_2)^2}, \qquad n_1, n_2 \sim \mathcal{N}(0, I)

    With :math:`a = \bar y^2 / 4 \sigma^2` and the modified Bessel functions :math:`I_0, I_1`,

    .. math:: E[y] = \sigma \sqrt{\pi / 2}\; e^{-a} \left[(1 + 2a) I_0(a) + 2a I_1(a)\right], \qquad
        E[y^2] = \bar y^2 + 2 \sigma^2

    The mean is above :math:`|\bar y|`: it is :math:`\sigma \sqrt{\pi/2}` where there is no signal. Differentiable in
    the measurements and in `sigma`. Complex measurements need `Gaussian`, and `.abs()` after it.

    Parameters
    ----------
    sigma : Tensor or float
        Standard deviation of either Gaussian, in the unit of the measurements; at least zero. A number, one value per
        image (B,), or a map.

    Raises
    ------
    ArgumentError
        If `sigma` is negative or not finite.

    References
    ----------
    Gudbjartsson, Patz, *The Rician distribution of noisy MRI data*, Magnetic Resonance in Medicine 34 (1995),
    doi:10.1002/mrm.1910340618.

    Examples
    --------
    >>> import torch
    >>> Rician(1.0).mean(torch.tensor([[0.0, 10.0]]))
    tensor([[ 1.2533, 10.0501]])
    """

    sigma: Tensor

    def __init__(self, sigma: Tensor | float) -> None:
        super().__init__()
        self._register("sigma", sigma, at_least=0)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        sigma = self._fitted("sigma", clean)
        return torch.hypot(clean + sigma * normal_like(clean, generator), sigma * normal_like(clean, generator))

    def _mean(self, clean: Tensor) -> Tensor:
        sigma, snr = self._snr(clean)
        return torch.where(sigma > 0, sigma * _unit_mean(snr), clean.abs()).to(clean.dtype)

    def _variance(self, clean: Tensor) -> Tensor:
        sigma, snr = self._snr(clean)
        return (sigma.square() * _unit_variance(snr)).to(clean.dtype)

    def _snr(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return sigma and |clean| / sigma in double precision, since the variance is a small difference."""
        sigma = self._fitted("sigma", clean).double()
        return sigma, clean.abs().double() / torch.where(sigma > 0, sigma, 1)


def _unit_mean(snr: Tensor) -> Tensor:
    """Return the mean of a Rician number of sigma one; beyond a high ratio, by its asymptotic series."""
    beyond = snr.clamp(min=_HIGH_SNR)
    return torch.where(snr < _HIGH_SNR, _bessel_mean(snr.clamp(max=_HIGH_SNR)), beyond + 0.5 / beyond)


def _unit_variance(snr: Tensor) -> Tensor:
    """Return the variance of a Rician number of sigma one; beyond a high ratio, by its asymptotic series."""
    within, beyond = snr.clamp(max=_HIGH_SNR), snr.clamp(min=_HIGH_SNR)
    exact = within.square() + 2 - _bessel_mean(within).square()
    return torch.where(snr < _HIGH_SNR, exact, 1 - 0.5 / beyond.square())


def _bessel_mean(snr: Tensor) -> Tensor:
    a = snr.square() / 4
    return math.sqrt(math.pi / 2) * ((1 + 2 * a) * torch.special.i0e(a) + 2 * a * torch.special.i1e(a))
