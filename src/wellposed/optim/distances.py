"""Distances between measurements that are quadratic, absolute, or a hard limit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import norm, per_image
from wellposed.core.values import values_hold
from wellposed.optim.functional import Functional, step_like, sum_per_image

__all__ = ["AbsoluteDistance", "BallIndicator", "SquaredDistance", "WeightedSquaredDistance"]


@dataclass(frozen=True)
class SquaredDistance(Functional):
    r"""Half the squared distance from measurements: what Gaussian noise calls for.

    .. math:: d(u) = \tfrac12 \|u - y\|^2

    Parameters
    ----------
    y : Tensor, shape (B, ...)

    Examples
    --------
    >>> SquaredDistance(torch.zeros(1, 1, 2, 2)).prox(torch.ones(1, 1, 2, 2), gamma=1.0).mean().item()
    0.5
    """

    y: Tensor

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return norm(x - self.y).square() / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return u - y."""
        return x - self.y

    def lipschitz(self) -> Tensor:
        """Return one."""
        return self.y.real.new_ones(1)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2."""
        gamma = step_like(gamma, z)
        return (z + gamma * self.y) / (1 + gamma)


@dataclass(frozen=True)
class WeightedSquaredDistance(Functional):
    r"""Half the squared distance from measurements that are not equally certain.

    .. math:: d(u) = \tfrac12 \sum_i w_i |u_i - y_i|^2

    Parameters
    ----------
    y : Tensor, shape (B, ...)
    weight : Tensor, of a shape that multiplies y
        Real and not negative; the inverse of the variance of each number.

    Raises
    ------
    ArgumentError
        If a weight is negative.
    """

    y: Tensor
    weight: Tensor

    def __post_init__(self) -> None:
        if self.weight.is_complex() or not values_hold(self.weight >= 0):
            raise ArgumentError("WeightedSquaredDistance expects real weights of at least zero.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return sum_per_image(self.weight * (x - self.y).abs().square()) / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return w (u - y)."""
        return self.weight * (x - self.y)

    def lipschitz(self) -> Tensor:
        """Return the largest weight of each image."""
        return self.weight.expand_as(self.y).flatten(1).amax(1)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2."""
        gamma = step_like(gamma, z) * self.weight
        return (z + gamma * self.y) / (1 + gamma)


@dataclass(frozen=True)
class AbsoluteDistance(Functional):
    r"""The sum of absolute differences from measurements: what outliers call for.

    .. math:: d(u) = \sum_i |u_i - y_i|

    Parameters
    ----------
    y : Tensor, shape (B, ...)
        Complex numbers count by their magnitude.
    """

    y: Tensor

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return sum_per_image((x - self.y).abs())

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2: differences shrink by gamma."""
        return self.y + shrink(z - self.y, step_like(gamma, z))


@dataclass(frozen=True)
class BallIndicator(Functional):
    r"""Zero within a distance of the measurements, and infinite beyond.

    .. math:: d(u) = 0 \text{ if } \|u - y\| \le r, \text{ else } \infty

    Parameters
    ----------
    y : Tensor, shape (B, ...)
    radius : Tensor or float, shape (B,) or (1,)
        The distance r, for white noise of deviation s on m numbers about :math:`s \sqrt m`.

    Raises
    ------
    ArgumentError
        If the radius is negative.
    """

    y: Tensor
    radius: Tensor | float

    def __post_init__(self) -> None:
        if not values_hold(torch.as_tensor(self.radius) >= 0):
            raise ArgumentError(f"BallIndicator expects a radius of at least zero, got {self.radius}.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,); rounding is forgiven."""
        distance = norm(x - self.y)
        slack = 8 * torch.finfo(distance.dtype).eps * (self._radius(x).flatten() + norm(self.y))
        return torch.where(distance <= self._radius(x).flatten() + slack, 0, torch.inf)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:  # noqa: ARG002
        """Return the nearest point of the ball, whatever gamma is."""
        difference = z - self.y
        distance = per_image(norm(difference), z)
        radius = self._radius(z)
        outside = distance > radius
        return torch.where(outside, self.y + difference * (radius / torch.where(outside, distance, 1)), z)

    def _radius(self, like: Tensor) -> Tensor:
        return step_like(self.radius, like)


def shrink(u: Tensor, threshold: Tensor) -> Tensor:
    """Bring each number nearer to zero by a threshold, and to zero if it is smaller."""
    if not u.is_complex():
        return u - u.clamp(-threshold, threshold)
    size = u.abs()
    return u * ((size - threshold).clamp_min(0) / torch.where(size > 0, size, 1))
