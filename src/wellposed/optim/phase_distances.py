"""Distances from measurements that have lost their phase."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.values import values_hold
from wellposed.optim.functional import Functional, step_like, sum_per_image

__all__ = ["AmplitudeDistance", "IntensityDistance"]

_NEWTON_STEPS = 8


@dataclass(frozen=True)
class AmplitudeDistance(Functional):
    r"""Half the squared distance between magnitudes; not convex.

    .. math:: d(u) = \tfrac12 \sum_i (|u_i| - y_i)^2

    Parameters
    ----------
    y : Tensor, shape (B, ...)
        Magnitudes, real and at least zero.

    Raises
    ------
    ArgumentError
        If they are not.

    References
    ----------
    Fienup, *Phase retrieval algorithms: a comparison*, Applied Optics 21 (1982).

    Examples
    --------
    >>> AmplitudeDistance(torch.tensor([[2.0]])).prox(torch.tensor([[-4.0]]), gamma=1.0).item()
    -3.0
    """

    y: Tensor
    convex = False

    def __post_init__(self) -> None:
        _check_magnitudes(self)

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return sum_per_image((x.abs() - self.y).square()) / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return u - y u / |u|, and zero where u is."""
        return x - self.y * x.sgn()

    def lipschitz(self) -> Tensor:
        """Return one: the quadratic that bounds the function from above."""
        return self.y.new_ones(1)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return a minimiser of gamma d(x) + 1/2 ||x - z||^2, with the phase of z, or none where z is zero."""
        gamma = step_like(gamma, z)
        return _phase(z) * ((z.abs() + gamma * self.y) / (1 + gamma))


@dataclass(frozen=True)
class IntensityDistance(Functional):
    r"""A quarter of the squared distance between squared magnitudes; not convex.

    .. math:: d(u) = \tfrac14 \sum_i (|u_i|^2 - y_i)^2

    Parameters
    ----------
    y : Tensor, shape (B, ...)
        Squared magnitudes, real and at least zero.

    Raises
    ------
    ArgumentError
        If they are not.

    References
    ----------
    Candes, Li, Soltanolkotabi, *Phase retrieval via Wirtinger flow*, IEEE Trans. Information Theory 61 (2015).
    """

    y: Tensor
    convex = False

    def __post_init__(self) -> None:
        _check_magnitudes(self)

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return sum_per_image((x.abs().square() - self.y).square()) / 4

    def gradient(self, x: Tensor) -> Tensor:
        """Return (|u|^2 - y) u."""
        return (x.abs().square() - self.y) * x

    def lipschitz(self) -> Tensor:
        """Return infinity: the function grows like a fourth power."""
        return self.y.new_full((1,), torch.inf)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return a minimiser of gamma d(x) + 1/2 ||x - z||^2, whose magnitude is the root of a cubic equation."""
        gamma = step_like(gamma, z)
        return _phase(z) * _largest_root(1 / gamma - self.y, z.abs() / gamma)


def _largest_root(p: Tensor, q: Tensor) -> Tensor:
    """Return the largest root of r^3 + p r = q for q >= 0, by Newton's method from above, where it falls steadily."""
    start = (-p).clamp_min(0).sqrt() + q.pow(1 / 3)
    r = torch.where(p > 0, torch.minimum(start, q / torch.where(p > 0, p, 1)), start)
    for _ in range(_NEWTON_STEPS):
        slope = 3 * r.square() + p
        r = torch.where(slope > 0, (2 * r.pow(3) + q) / torch.where(slope > 0, slope, 1), r)
    return r


def _phase(z: Tensor) -> Tensor:
    return torch.where(z == 0, 1, z.sgn())


def _check_magnitudes(distance: AmplitudeDistance | IntensityDistance) -> None:
    if distance.y.is_complex() or not values_hold(distance.y >= 0):
        raise ArgumentError(f"{type(distance).__name__} expects real measurements of at least zero: clamp them.")
