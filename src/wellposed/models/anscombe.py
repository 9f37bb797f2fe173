"""Let a denoiser for Gaussian noise denoise photon counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError
from wellposed.core.shapes import check_tree
from wellposed.models.base import Level, level_map

__all__ = ["Anscombe"]

_LEAST = math.sqrt(3 / 2)


@final
class Anscombe(nn.Module):
    r"""Make the noise Gaussian of unit variance, denoise, and go back without bias.

    For :math:`y = \gamma z + \sigma n` with :math:`z \sim \mathrm{Poisson}(x / \gamma)` and
    :math:`n \sim \mathcal{N}(0, 1)`, the generalised Anscombe transform

    .. math:: f(y) = \frac{2}{\gamma} \sqrt{\max(\gamma y + \tfrac38 \gamma^2 + \sigma^2, 0)}

    has a variance of nearly one. The denoiser sees :math:`(f(y) - f(0)) / s`, which is in [0, 1] for intensities up to
    `peak`, with the noise level :math:`1 / s`, where :math:`s = f(\mathrm{peak}) - f(0)`. Its result D, back on the
    scale of f, stands for :math:`E[f(y)]`, so that :math:`f^{-1}(D)` would be too dark; the unbiased inverse is nearly

    .. math:: \hat x = \gamma \max\Bigl(\tfrac14 D^2 + \tfrac14 \sqrt{\tfrac32} D^{-1} - \tfrac{11}{8} D^{-2}
        + \tfrac58 \sqrt{\tfrac32} D^{-3} - \tfrac18 - \tfrac{\sigma^2}{\gamma^2},\ 0\Bigr)

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)` for Gaussian noise and images in [0, 1].
    peak : float
        Intensity that the denoiser shall see as 1, in the unit of the images.

    Raises
    ------
    ArgumentError
        If the peak is not above zero; on a call, if the gain is not, or the read-out noise is negative.

    References
    ----------
    Makitalo, Foi, *A closed-form approximation of the exact unbiased inverse of the Anscombe variance-stabilizing
    transformation*, IEEE Trans. Image Processing 20 (2011), doi:10.1109/TIP.2011.2121085.
    Makitalo, Foi, *Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian noise*, IEEE
    Trans. Image Processing 22 (2013), doi:10.1109/TIP.2012.2202675.

    Examples
    --------
    >>> import wellposed as wp
    >>> y = wp.noise.Poisson(0.5)(torch.ones(1, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    >>> average = lambda x, sigma: x.mean(dim=(2, 3), keepdim=True).expand(x.shape)
    >>> bool((Anscombe(average)(y, gain=0.5) - y.mean()).abs().max() < 0.01)
    True
    """

    def __init__(self, denoiser: Callable[[Tensor, Tensor], Tensor], peak: float = 1.0) -> None:
        super().__init__()
        if not peak > 0:
            raise ArgumentError(f"Anscombe expects a peak above zero, the brightest intensity, got {peak}.")
        self.denoiser, self.peak = denoiser, peak

    def forward(self, x: Tensor, gain: Level, sigma: Level = 0.0) -> Tensor:
        r"""Denoise images of photon counts.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            Real.
        gain : float or Tensor, shape (), (B,) or (B or 1, 1, H or 1, W or 1)
            :math:`\gamma`, the value of one photon, in the unit of x; above zero.
        sigma : float or Tensor, shapes as those of `gain`
            Standard deviation of the Gaussian part of the noise, in the unit of x.

        Returns
        -------
        Tensor, shape (B, C, H, W)
            At least zero.

        Raises
        ------
        ShapeError, DTypeError
            If the images are not real images, or the levels do not fit them.
        """
        check_tree("Anscombe", "images", x, (None, None, None), "real")
        if isinstance(gain, (int, float)) and not gain > 0:
            raise ArgumentError(f"Anscombe expects a gain above zero, the value of one photon, got {gain}.")
        gain, sigma = level_map("Anscombe", "gain", gain, x), level_map("Anscombe", "sigma", sigma, x)
        floor = _stabilised(torch.zeros_like(gain), gain, sigma)
        span = _stabilised(torch.full_like(gain, self.peak), gain, sigma) - floor
        denoised = self.denoiser((_stabilised(x, gain, sigma) - floor) / span, 1 / span)
        return gain * _photons(denoised * span + floor, sigma / gain)


def _stabilised(x: Tensor, gain: Tensor, sigma: Tensor) -> Tensor:
    return 2 / gain * (gain * x + 3 / 8 * gain.square() + sigma.square()).clamp_min(0).sqrt()


def _photons(stabilised: Tensor, sigma: Tensor) -> Tensor:
    """Return how many photons have this stabilised value on average, with Gaussian noise of `sigma` photons."""
    inverse = 1 / stabilised.clamp_min(_LEAST)
    corrections = inverse * (math.sqrt(3 / 2) / 4 + inverse * (-11 / 8 + inverse * (5 / 8 * math.sqrt(3 / 2))))
    return (inverse.pow(-2) / 4 + corrections - 1 / 8 - sigma.square()).clamp_min(0)
