"""Noise for tasks: levels that are fixed, or drawn for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.rng import uniform_like
from wellposed.noise import Gaussian, PoissonGaussian

__all__ = ["FixedGaussian", "RandomGaussian", "RandomPoissonGaussian", "uniform_per_image"]

_NO_PHOTON_NOISE = 1e-8


@final
@dataclass(frozen=True)
class FixedGaussian:
    """Gaussian noise of one level: the noise of a `Task`.

    Parameters
    ----------
    sigma : float
        Standard deviation, for images in [0, 1]; of each of both parts of complex measurements.

    Examples
    --------
    >>> FixedGaussian(0.05)(torch.zeros(2, 1, 4, 4), torch.Generator())
    Gaussian(sigma=0.05)
    """

    sigma: float

    def __call__(self, x: Tensor, _generator: torch.Generator) -> Gaussian:
        """Return the noise model for a batch of images."""
        return Gaussian(torch.full((), self.sigma, device=x.device))


@final
@dataclass(frozen=True)
class RandomGaussian:
    r"""Gaussian noise whose level is drawn for each image, :math:`\sigma \sim U(\text{low}, \text{high})`.

    Parameters
    ----------
    low, high : float
        Smallest and largest standard deviation, for images in [0, 1]; of each of both parts of complex measurements.

    Raises
    ------
    ArgumentError
        If not 0 <= low <= high.

    Examples
    --------
    >>> noise = RandomGaussian(0.01, 0.2)(torch.zeros(5, 1, 4, 4), torch.Generator().manual_seed(0))
    >>> noise.sigma.shape, bool((noise.sigma >= 0.01).all())
    (torch.Size([5]), True)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range("RandomGaussian", "a standard deviation", self.low, self.high)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Gaussian:
        """Draw the noise model for a batch of images."""
        return Gaussian(uniform_per_image(x, self.low, self.high, generator))


@final
@dataclass(frozen=True)
class RandomPoissonGaussian:
    r"""Photon and read-out noise whose levels are drawn for each image.

    .. math:: y = \gamma z + \sigma n, \qquad \sigma \sim U(\sigma_1, \sigma_2), \quad \gamma \sim U(\gamma_1, \gamma_2)

    Each image has photon noise with probability `photons`. The others have none to speak of: their gain is 1e-8, whose
    standard deviation of 1e-4 at most is far below that of the read-out.

    Parameters
    ----------
    sigma : tuple of float
        Smallest and largest standard deviation, for images in [0, 1].
    gain : tuple of float
        Smallest and largest value of one photon, for images in [0, 1]; above zero.
    photons : float
        Probability that an image has photon noise.

    Raises
    ------
    ArgumentError
        If a range is empty or negative, or `photons` is no probability.

    Examples
    --------
    >>> family = RandomPoissonGaussian(sigma=(0.001, 0.2), gain=(0.01, 1.0))
    >>> noise = family(torch.zeros(6, 1, 4, 4), torch.Generator().manual_seed(0))
    >>> noise.sigma.shape, (noise.gain > 1e-8).sum()
    (torch.Size([6]), tensor(3))
    """

    sigma: tuple[float, float]
    gain: tuple[float, float]
    photons: float = 0.5

    def __post_init__(self) -> None:
        _check_range("RandomPoissonGaussian", "sigma", *self.sigma)
        _check_range("RandomPoissonGaussian", "gain", *self.gain)
        if not (self.gain[0] > 0 and 0 <= self.photons <= 1):
            raise ArgumentError(
                "RandomPoissonGaussian expects a gain above zero and a probability photons in [0, 1], "
                f"got {self.gain[0]:g} and {self.photons:g}."
            )

    def __call__(self, x: Tensor, generator: torch.Generator) -> PoissonGaussian:
        """Draw the noise model for a batch of images."""
        sigma = uniform_per_image(x, *self.sigma, generator)
        gain = uniform_per_image(x, *self.gain, generator)
        has_photons = uniform_per_image(x, 0, 1, generator) < self.photons
        return PoissonGaussian(gain.where(has_photons, _NO_PHOTON_NOISE), sigma)


def uniform_per_image(x: Tensor, low: float, high: float, generator: torch.Generator | None) -> Tensor:
    """Return numbers drawn uniformly from [low, high), one per image of `x`, shape (B,), on its device."""
    return low + (high - low) * uniform_like(torch.empty(len(x), device=x.device), generator)


def _check_range(owner: str, name: str, low: float, high: float) -> None:
    if not 0 <= low <= high < float("inf"):
        raise ArgumentError(f"{owner} expects {name} from low to high, 0 <= low <= high, got {low:g} and {high:g}.")
