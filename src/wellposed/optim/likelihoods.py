"""How improbable photon counts are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.values import values_hold
from wellposed.optim.functional import Functional, step_like, sum_per_image

__all__ = ["LogPoissonLikelihood", "PoissonLikelihood"]

_NEWTON_STEPS = 6


@dataclass(frozen=True)
class PoissonLikelihood(Functional):
    r"""Minus the logarithm of the likelihood of photon counts, less its least value.

    .. math:: d(u) = \frac1\gamma \sum_i u_i + b - y_i + y_i \log \frac{y_i}{u_i + b}

    for :math:`y / \gamma \sim \mathrm{Poisson}((u + b) / \gamma)`; infinite where :math:`u + b < 0`.

    Parameters
    ----------
    y : Tensor, shape (B, ...)
        Counts times the gain, at least zero.
    gain : Tensor or float, shape (B,) or (1,)
        :math:`\gamma`, the value of one photon, as in `wellposed.noise.Poisson`.
    background : float
        b, what is measured where the image is dark.

    Raises
    ------
    ArgumentError
        If the measurements or the background are negative, or the gain is not positive.

    Examples
    --------
    >>> d = PoissonLikelihood(torch.full((1, 1, 1, 2), 3.0), gain=0.5)
    >>> d.value(torch.full((1, 1, 1, 2), 3.0)).item(), d.gradient(torch.full((1, 1, 1, 2), 6.0)).mean().item()
    (0.0, 1.0)
    """

    y: Tensor
    gain: Tensor | float = 1.0
    background: float = 0.0

    def __post_init__(self) -> None:
        if self.y.is_complex() or not values_hold(self.y >= 0):
            raise ArgumentError("PoissonLikelihood expects real measurements of at least zero: clamp them.")
        if not values_hold(torch.as_tensor(self.gain) > 0) or not self.background >= 0:
            raise ArgumentError("PoissonLikelihood expects a gain above zero and a background of at least zero.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        mean = x + self.background
        positive = mean.clamp_min(0)
        ratio = positive / torch.where(self.y > 0, self.y, 1)
        terms = torch.where(self.y > 0, self.y * (ratio - 1 - ratio.log()), positive)
        return sum_per_image(torch.where(mean >= 0, terms, torch.inf) / self._gain(x))

    def gradient(self, x: Tensor) -> Tensor:
        """Return (1 - y / (u + b)) / gain."""
        mean = x + self.background
        ratio = self.y / torch.where(self.y > 0, mean, 1)
        return (1 - ratio) / self._gain(x)

    def lipschitz(self) -> Tensor:
        """Return max y / (gain b^2), which holds for images of at least zero; infinite without a background."""
        highest = self.y.flatten(1).amax(1) / self._gain(self.y).flatten()
        return highest / self.background**2 if self.background > 0 else torch.full_like(highest, torch.inf)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2, the positive root of a quadratic equation."""
        step = step_like(gamma, z) / self._gain(z)
        centre = z + self.background - step
        root = torch.hypot(centre, 2 * (step * self.y).sqrt())
        ahead = centre > 0
        far = torch.where(ahead, 1, root - centre)
        mean = torch.where(ahead, (centre + root) / 2, 2 * step * self.y / torch.where(far > 0, far, 1))
        return mean - self.background

    def _gain(self, like: Tensor) -> Tensor:
        return step_like(self.gain, like)


@dataclass(frozen=True)
class LogPoissonLikelihood(Functional):
    r"""Minus the logarithm of the likelihood of photons behind an absorber, less its least value.

    .. math:: d(u) = N_0 \sum_i e^{-\mu u_i} - e^{-\mu y_i} + \mu e^{-\mu y_i} (u_i - y_i)

    for counts :math:`N_0 e^{-\mu y} \sim \mathrm{Poisson}(N_0 e^{-\mu u})`.

    Parameters
    ----------
    y : Tensor, shape (B, ...)
        Line integrals, as `wellposed.noise.LogPoisson` makes them.
    photons : Tensor or float, shape (B,) or (1,)
        :math:`N_0`, photons sent per detector pixel.
    attenuation : float
        :math:`\mu`, in the inverse unit of the measurements.

    Raises
    ------
    ArgumentError
        If `photons` or `attenuation` is not positive.

    References
    ----------
    Lange and Fessler, *Globally convergent algorithms for maximum a posteriori transmission tomography*, IEEE Trans.
    Image Processing 4 (1995).

    Examples
    --------
    >>> d = LogPoissonLikelihood(torch.ones(1, 1, 1, 2), photons=100.0)
    >>> d.value(torch.ones(1, 1, 1, 2)).item()
    0.0
    """

    y: Tensor
    photons: Tensor | float
    attenuation: float = 1.0

    def __post_init__(self) -> None:
        if not (values_hold(torch.as_tensor(self.photons) > 0) and self.attenuation > 0):
            raise ArgumentError("LogPoissonLikelihood expects photons and attenuation above zero.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        difference = self.attenuation * (x - self.y)
        return sum_per_image(self._counts(x) * (torch.expm1(-difference) + difference))

    def gradient(self, x: Tensor) -> Tensor:
        """Return mu times measured less predicted counts."""
        return -self.attenuation * self._counts(x) * torch.expm1(-self.attenuation * (x - self.y))

    def lipschitz(self) -> Tensor:
        """Return mu^2 N_0, which holds for images whose line integrals are at least zero."""
        return self.attenuation**2 * step_like(self.photons, self.y).flatten()

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2, by Lambert's function."""
        step = step_like(gamma, z) * self.attenuation
        floor = z - step * self._counts(z)
        scale = (step * self.attenuation * step_like(self.photons, z)).log()
        return floor + _omega(scale - self.attenuation * floor) / self.attenuation

    def _counts(self, like: Tensor) -> Tensor:
        """Return the measured counts."""
        return step_like(self.photons, like) * torch.exp(-self.attenuation * self.y)


def _omega(a: Tensor) -> Tensor:
    """Return the s > 0 with s + log s = a (Wright's omega function)."""
    least = torch.finfo(a.dtype).tiny
    low, high = a.clamp(max=1).exp(), a.clamp_min(1)
    s = torch.where(a < 1, low, high - high.log()).clamp_min(least)
    for _ in range(_NEWTON_STEPS):
        residual = a - s - s.log()
        s = (s * (1 + residual / (1 + s))).clamp_min(least)
    return s
