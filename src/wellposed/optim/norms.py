"""Norms as priors: of an image itself, or by `Composite` of what an operator makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.errors import ArgumentError
from wellposed.core.tree import norm
from wellposed.core.values import values_hold
from wellposed.optim.distances import shrink
from wellposed.optim.functional import Functional, step_like, sum_per_image

__all__ = ["GroupNorm", "L1Norm", "SquaredNorm", "Zero"]


@dataclass(frozen=True)
class Zero(Functional):
    """No prior at all.

    Examples
    --------
    >>> Zero().prox(torch.ones(1, 1, 2, 2), gamma=3.0).mean().item()
    1.0
    """

    def value(self, x: Tensor) -> Tensor:
        """Return zero for each image, shape (B,)."""
        return x.real.new_zeros(len(x))

    def gradient(self, x: Tensor) -> Tensor:
        """Return zero."""
        return torch.zeros_like(x)

    def lipschitz(self) -> Tensor:
        """Return zero."""
        return torch.zeros(1)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:  # noqa: ARG002
        """Return z."""
        return z


@dataclass(frozen=True)
class SquaredNorm(Functional):
    r"""Half the squared norm: Tikhonov's prior, alone or by `Composite` on differences.

    .. math:: g(x) = \tfrac12 \|x\|^2

    Examples
    --------
    >>> from wellposed.operators import FiniteDifferences
    >>> from wellposed.optim import Composite
    >>> smooth = Composite(SquaredNorm(), FiniteDifferences((1, 1, 3)))
    >>> smooth.value(torch.tensor([[[[0.0, 1.0, 3.0]]]])).item()
    2.5
    """

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return norm(x).square() / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def lipschitz(self) -> Tensor:
        """Return one."""
        return torch.ones(1)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return z / (1 + gamma)."""
        return z / (1 + step_like(gamma, z))


@dataclass(frozen=True)
class L1Norm(Functional):
    r"""The sum of magnitudes, small for images of which most numbers are zero.

    .. math:: g(x) = \sum_i w_i |x_i|

    Parameters
    ----------
    weight : Tensor, optional
        The weights w, of a shape that multiplies x, at least zero; one by default.

    Raises
    ------
    ArgumentError
        If a weight is negative.

    Examples
    --------
    >>> L1Norm().prox(torch.tensor([[-3.0, 0.5]]), gamma=1.0).tolist()
    [[-2.0, 0.0]]
    """

    weight: Tensor | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not values_hold(self.weight >= 0):
            raise ArgumentError("L1Norm expects weights of at least zero.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return sum_per_image(x.abs() if self.weight is None else self.weight.to(x.device) * x.abs())

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return z with each magnitude less by gamma w, or zero."""
        return shrink(z, self._limit(gamma, z))

    def conjugate_prox(self, u: Tensor, sigma: float | Tensor, weight: float | Tensor = 1.0) -> Tensor:  # noqa: ARG002
        """Return u with magnitudes cut at weight times w, whatever sigma is."""
        limit = self._limit(weight, u)
        return u - shrink(u, limit) if u.is_complex() else u.clamp(-limit, limit)

    def _limit(self, gamma: float | Tensor, like: Tensor) -> Tensor:
        limit = step_like(gamma, like)
        return limit if self.weight is None else limit * self.weight.to(limit)


@dataclass(frozen=True)
class GroupNorm(Functional):
    r"""The sum of the lengths of vectors (the L12 norm), small where most vectors are zero.

    .. math:: g(x) = \sum_i w_i \Big( \sum_{j} |x_{j, i}|^2 \Big)^{1/2}

    Parameters
    ----------
    dims : tuple of int
        The axes j along which the numbers of a vector lie; the batch is axis 0.
    weight : Tensor, optional
        The weights w, at least zero, of a shape that multiplies x and of size one along those axes; one by default.

    Raises
    ------
    ArgumentError
        If the batch is among the axes, or there is none, or a weight is negative.

    Examples
    --------
    >>> GroupNorm((1,)).value(torch.tensor([[[[3.0]], [[4.0]]]])).item()
    5.0
    """

    dims: tuple[int, ...] = (1,)
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.dims or 0 in self.dims:
            raise ArgumentError(f"GroupNorm expects axes other than that of the batch, got {self.dims}.")
        if self.weight is not None and not values_hold(self.weight >= 0):
            raise ArgumentError("GroupNorm expects weights of at least zero.")

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        lengths = torch.linalg.vector_norm(x, dim=self.dims, keepdim=True)
        return sum_per_image(lengths if self.weight is None else self.weight.to(lengths) * lengths)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return z with each vector shorter by gamma w, or zero."""
        return z - self.conjugate_prox(z, 1.0, gamma)

    def conjugate_prox(self, u: Tensor, sigma: float | Tensor, weight: float | Tensor = 1.0) -> Tensor:  # noqa: ARG002
        """Return u with vectors cut at a length of `weight` times w, whatever sigma is."""
        radius = step_like(weight, u)
        radius = radius if self.weight is None else radius * self.weight.to(radius)
        longest = torch.maximum(self._squared_lengths(u), radius.square()).clamp_min(torch.finfo(radius.dtype).tiny)
        return u * (radius * longest.rsqrt())

    def _squared_lengths(self, u: Any) -> Tensor:
        squared = real_view(u).square().sum(-1) if u.is_complex() else u.square()
        return squared.sum(dim=self.dims, keepdim=True)
