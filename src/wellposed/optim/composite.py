"""Functions of what an operator makes of the image, and of measurements in several parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree
from wellposed.operators import LinearOperator, Operator
from wellposed.optim.functional import Functional

__all__ = ["Composite", "StackedDistance"]


@dataclass(frozen=True)
class Composite(Functional):
    r"""A function of the image under an operator: any data fidelity but least squares, or an analysis prior.

    .. math:: f(x) = g(A x), \qquad \nabla f(x) = A^H \nabla g(A x)

    Where :math:`A A^H = I` the proximal step has a closed form, :math:`z + A^H (\mathrm{prox}_{\gamma g}(A z) - A z)`;
    methods such as PrimalDual and ADMM need none, as they take g and A apart.

    Parameters
    ----------
    functional : Functional
        The function g of measurements.
    operator : LinearOperator

    References
    ----------
    Combettes and Pesquet, *A Douglas-Rachford splitting approach to nonsmooth convex variational signal recovery*, IEEE
    J. Sel. Topics Signal Processing 1 (2007), proposition 11.

    Examples
    --------
    >>> from wellposed.operators import Mask
    >>> from wellposed.optim import PoissonLikelihood
    >>> f = Composite(PoissonLikelihood(torch.ones(1, 1, 1, 2)), Mask(torch.tensor([[[[1.0, 2.0]]]])))
    >>> f.gradient(torch.ones(1, 1, 1, 2)).tolist()
    [[[[0.0, 1.0]]]]
    """

    functional: Functional
    operator: LinearOperator

    def __post_init__(self) -> None:
        functional: Any = self.functional
        if not (isinstance(functional, Functional) and isinstance(self.operator, Operator)):
            raise ArgumentError("Composite expects a function such as L1() and an operator, in this order.")

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether it is convex: as the outer function is."""
        return self.functional.convex

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return self.functional.value(self.operator(x))

    def gradient(self, x: Tensor) -> Tree:
        """Return A^H applied to the gradient at A x."""
        return self.operator.adjoint(self.functional.gradient(self.operator(x)))

    @cached_property
    def operator_norm(self) -> Tensor:
        """The norm of the operator, shape (1,) or (B,)."""
        return self.operator.norm()

    def lipschitz(self) -> Tensor:
        """Return the constant of the function times the squared norm of the operator, a little more where iterated."""
        margin = 1 if self.operator.has_closed_form("norm") else 1 + 2e-3
        return margin * self.functional.lipschitz().to(self.operator_norm) * self.operator_norm.square()

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma f(x) + 1/2 ||x - z||^2.

        Raises
        ------
        UnsupportedError
            Unless the operator is a coisometry.
        """
        if not self.has("prox"):
            return super().prox(z, gamma)
        image = self.operator(z)
        moved: Any = self.operator.adjoint(self.functional.prox(image, gamma) - image)
        return z + moved

    def has(self, name: str) -> bool:
        """Tell whether "gradient" or "prox" can be asked for."""
        splits = name != "prox" or bool(self.operator.tags & {"unitary", "coisometry"})
        return splits and self.functional.has(name)


@dataclass(frozen=True)
class StackedDistance(Functional):
    r"""The sum of one distance for each part of measurements that are a tuple, as those of `Stack`.

    .. math:: d(u_1, \dots, u_n) = \sum_i d_i(u_i)

    Parameters
    ----------
    parts : sequence of Functional

    Raises
    ------
    ArgumentError
        If there is none.
    """

    parts: Sequence[Functional]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ArgumentError("StackedDistance needs at least one part.")

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether it is convex: if every part is."""
        return all(part.convex for part in self.parts)

    def value(self, x: tuple[Tensor, ...]) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return torch.stack([part.value(u) for part, u in zip(self.parts, x, strict=True)]).sum(0)

    def gradient(self, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gradient of each part."""
        return tuple(part.gradient(u) for part, u in zip(self.parts, x, strict=True))

    def lipschitz(self) -> Tensor:
        """Return the largest constant of the parts."""
        return torch.stack(torch.broadcast_tensors(*[part.lipschitz() for part in self.parts])).amax(0)

    def prox(self, z: tuple[Tensor, ...], gamma: float | Tensor) -> tuple[Tensor, ...]:
        """Return the minimiser of gamma d(x) + 1/2 ||x - z||^2, each part on its own."""
        return tuple(part.prox(u, gamma) for part, u in zip(self.parts, z, strict=True))

    def conjugate_prox(
        self, u: tuple[Tensor, ...], sigma: float | Tensor, weight: float | Tensor = 1.0
    ) -> tuple[Tensor, ...]:
        """Return the proximal step of the conjugate, each part on its own."""
        return tuple(part.conjugate_prox(v, sigma, weight) for part, v in zip(self.parts, u, strict=True))

    def has(self, name: str) -> bool:
        """Tell whether "gradient" or "prox" can be asked for: if every part has it."""
        return all(part.has(name) for part in self.parts)
