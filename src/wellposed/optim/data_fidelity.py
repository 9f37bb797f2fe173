"""How far an image is from its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from wellposed.core.tree import Tree, norm, per_image, tree_map
from wellposed.operators import LinearOperator
from wellposed.optim.composite import StackedDistance
from wellposed.optim.distances import SquaredDistance
from wellposed.optim.functional import Functional
from wellposed.solvers import LinearSolver, solve

__all__ = ["LeastSquares"]


@dataclass(frozen=True)
class LeastSquares(Functional):
    r"""Half the squared distance between measurements and what the operator predicts.

    .. math:: f(x) = \tfrac12 \|A x - y\|^2

    Parameters
    ----------
    operator : LinearOperator
    y : Tensor or tuple, shape (B, *measurement_shape)
    solver : optional
        How to approximate `prox` where it has no closed form: what the solver has when it stops is taken, converged or
        not. By default it is solved to rounding, or raises.
    """

    operator: LinearOperator
    y: Tree
    solver: LinearSolver | None = None

    def value(self, x: Tensor) -> Tensor:
        """Return f of each image, shape (B,)."""
        return norm(tree_map(torch.sub, self.operator(x), self.y)).square() / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return A^H (A x - y)."""
        return self.normal(x) - self.backprojection

    @cached_property
    def functional(self) -> Functional:
        """The distance from the measurements, as a function of what the operator predicts."""
        return _squared_distance(self.y)

    @cached_property
    def normal(self) -> LinearOperator:
        """The normal operator A^H A."""
        return self.operator.gram

    @cached_property
    def backprojection(self) -> Tensor:
        """The adjoint of the measurements, A^H y."""
        return cast("Tensor", self.operator.adjoint(self.y))

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma f(x) + 1/2 ||x - z||^2."""
        if self.solver is None or self.operator.has_closed_form("prox"):
            return cast("Tensor", self.operator.prox(z, self.y, gamma))
        weight = 1 / per_image(torch.as_tensor(gamma, dtype=z.real.dtype, device=z.device), z)
        right = self.backprojection + weight * z
        solution = solve(lambda x: self.normal(x) + weight * x, right, self.solver, x0=z, throw=False)
        return cast("Tensor", solution.value)

    @cached_property
    def operator_norm(self) -> Tensor:
        """The norm of the operator, shape (1,) or (B,)."""
        return self.operator.norm()

    def lipschitz(self) -> Tensor:
        """Return a Lipschitz constant of the gradient, shape (1,) or (B,).

        It is the squared norm of the operator, and a little more where that is iterated, as then it comes from below.
        """
        margin = 1 if self.operator.has_closed_form("norm") else 1 + 2e-3
        return margin * self.operator_norm.square()


def _squared_distance(y: Tree) -> Functional:
    if isinstance(y, tuple):
        return StackedDistance(tuple(_squared_distance(part) for part in y))
    return SquaredDistance(y)
