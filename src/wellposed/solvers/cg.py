"""Conjugate gradients, for Hermitian positive definite systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from wellposed.core.tree import Tree, inner, norm
from wellposed.solvers.driver import Status
from wellposed.solvers.system import (
    LinearSystem,
    add_scaled,
    check_hyperparameters,
    divide,
    exceeds,
    no_failure,
)

__all__ = ["CG", "CGState"]


class CGState(NamedTuple):
    """The state of conjugate gradients; what is not a tree of images has shape (B,)."""

    x: Tree
    active: Tensor
    failure: Tensor
    residual: Tree
    direction: Tree
    energy: Tensor
    residual_norm: Tensor
    b_norm: Tensor


@dataclass(frozen=True)
class CG:
    r"""Solve A x = b for a Hermitian positive (semi-)definite A and a b in its range.

    With r = b - A x, M the preconditioner and p a direction,

    .. math::
        \alpha = \frac{\langle r, M r\rangle}{\langle p, A p\rangle}, \quad
        x \leftarrow x + \alpha p, \quad r \leftarrow r - \alpha A p, \quad
        p \leftarrow M r + \frac{\langle r, M r\rangle}{\langle r, M r\rangle_\text{before}}\, p .

    One application of A a step. The error in the norm of A is the smallest in the Krylov space, and shrinks at least
    by (sqrt(k) - 1) / (sqrt(k) + 1) a step for a condition number k.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||r|| <= tolerance * ||b||, r being the residual of the recurrence.
    max_steps : int
        The most steps.

    References
    ----------
    Hestenes and Stiefel, *Methods of conjugate gradients for solving linear systems*, J. Res. Nat. Bur. Standards 49,
    1952, doi:10.6028/jres.049.044.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import CG, solve
    >>> weight = torch.tensor([[1.0, 2.0, 4.0]])
    >>> solution = solve(lambda x: weight * x, torch.ones(1, 3), CG(tolerance=1e-5))
    >>> solution.value
    tensor([[1.0000, 0.5000, 0.2500]])
    >>> solution.stats["steps"]
    3
    """

    needs_self_adjoint: ClassVar[bool] = True
    needs_adjoint: ClassVar[bool] = False

    tolerance: float = 1e-6
    max_steps: int = 200

    def __post_init__(self) -> None:
        check_hyperparameters("CG", self.tolerance, self.max_steps)

    def init(self, system: LinearSystem, x0: Tree | None = None) -> CGState:
        """Return the state before the first step."""
        x, residual = system.start(x0)
        direction = system.precondition(residual)
        energy = inner(residual, direction).real
        residual_norm, b_norm = norm(residual), norm(system.b)
        negative = energy < 0
        failure = torch.where(negative, Status.preconditioner_not_positive.code, no_failure(energy))
        active = exceeds(residual_norm, self.tolerance * b_norm) & ~negative
        return CGState(x, active, failure, residual, direction, energy, residual_norm, b_norm)

    def step(self, system: LinearSystem, state: CGState) -> CGState:
        """Move along one direction."""
        image = system.operator(state.direction)
        curvature = inner(state.direction, image).real
        flat = state.active & (curvature <= 0)
        active = state.active & ~flat
        alpha = torch.where(active, divide(state.energy, curvature), 0)
        x = add_scaled(state.x, alpha, state.direction)
        residual = add_scaled(state.residual, -alpha, image)
        preconditioned = system.precondition(residual)
        energy = inner(residual, preconditioned).real
        direction = add_scaled(preconditioned, torch.where(active, divide(energy, state.energy), 0), state.direction)
        residual_norm = norm(residual)
        negative = active & (energy < 0)
        failure = torch.where(flat, Status.not_positive.code, state.failure)
        failure = torch.where(negative, Status.preconditioner_not_positive.code, failure)
        active = active & ~negative & exceeds(residual_norm, self.tolerance * state.b_norm)
        return CGState(x, active, failure, residual, direction, energy, residual_norm, state.b_norm)

    def report(self, state: CGState) -> dict[str, Any]:
        """Return the relative residual ||b - A x|| / ||b|| of each image, shape (B,)."""
        return {"residual": divide(state.residual_norm, state.b_norm)}
