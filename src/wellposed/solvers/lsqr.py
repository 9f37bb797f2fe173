"""LSQR, for least-squares problems with an operator of any shape and rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from wellposed.core.tree import Tree
from wellposed.solvers.bidiagonal import Bidiagonal, bidiagonal_start, bidiagonal_step
from wellposed.solvers.system import (
    LinearSystem,
    add_scaled,
    check_hyperparameters,
    divide,
    no_failure,
)

__all__ = ["LSQR", "LSQRState"]


class LSQRState(NamedTuple):
    """The state of LSQR; what is not a tree of images has shape (B,)."""

    x: Tree
    active: Tensor
    failure: Tensor
    basis: Bidiagonal
    direction: Tree
    rho_bar: Tensor
    residual_norm: Tensor
    normal_residual_norm: Tensor
    operator_norm: Tensor


@dataclass(frozen=True)
class LSQR:
    r"""Minimise ||A x - b|| for an A of any shape and rank; of all minimisers take the one nearest to x0.

    The bidiagonalisation of Golub and Kahan writes A in orthonormal bases of both sides, and a QR factorisation of the
    bidiagonal matrix, updated by one rotation a step, gives the x of least residual. In exact arithmetic the iterates
    are those of `CG` on the normal equations; in floating-point ones they are better, because A^H A is never formed.
    One application of A and one of its adjoint a step.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||b - A x|| <= tolerance * ||b||, or ||A^H (b - A x)|| <= tolerance * ||A^H b||, or when the
        latter is nothing but rounding of ||A|| ||b - A x||.
    max_steps : int
        The most steps.

    References
    ----------
    Paige and Saunders, *LSQR: an algorithm for sparse linear equations and sparse least squares*, ACM Trans. Math.
    Softw. 8, 1982, doi:10.1145/355984.355989.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import LSQR, solve
    >>> def twice(x): return torch.cat([x, x], dim=1)
    >>> def adjoint(y): return y[:, :1] + y[:, 1:]
    >>> solve(twice, torch.tensor([[1.0, 2.0]]), LSQR(), adjoint=adjoint).value
    tensor([[1.5000]])
    """

    needs_self_adjoint: ClassVar[bool] = False
    needs_adjoint: ClassVar[bool] = True

    tolerance: float = 1e-6
    max_steps: int = 200

    def __post_init__(self) -> None:
        check_hyperparameters("LSQR", self.tolerance, self.max_steps)

    def init(self, system: LinearSystem, x0: Tree | None = None) -> LSQRState:
        """Return the state before the first step."""
        x, basis = bidiagonal_start(system, x0)
        normal = basis.alpha * basis.beta
        return LSQRState(
            x=x,
            active=basis.unsolved(basis.beta, normal, basis.alpha, self.tolerance),
            failure=no_failure(normal),
            basis=basis,
            direction=basis.v,
            rho_bar=basis.alpha,
            residual_norm=basis.beta,
            normal_residual_norm=normal,
            operator_norm=basis.alpha,
        )

    def step(self, system: LinearSystem, state: LSQRState) -> LSQRState:
        """Extend both bases by one vector and the factorisation by one rotation."""
        basis = bidiagonal_step(system, state.basis)
        rho = torch.hypot(state.rho_bar, basis.beta)
        cosine, sine = divide(state.rho_bar, rho), divide(basis.beta, rho)
        move = torch.where(state.active, divide(cosine * state.residual_norm, rho), 0)
        residual_norm = torch.where(state.active, sine * state.residual_norm, state.residual_norm)
        normal = residual_norm * basis.alpha * cosine.abs()
        normal = torch.where(state.active, normal, state.normal_residual_norm)
        operator_norm = torch.maximum(state.operator_norm, torch.hypot(basis.alpha, basis.beta))
        return LSQRState(
            x=add_scaled(state.x, move, state.direction),
            active=state.active & basis.unsolved(residual_norm, normal, operator_norm, self.tolerance),
            failure=state.failure,
            basis=basis,
            direction=add_scaled(basis.v, -divide(sine * basis.alpha, rho), state.direction),
            rho_bar=-cosine * basis.alpha,
            residual_norm=residual_norm,
            normal_residual_norm=normal,
            operator_norm=operator_norm,
        )

    def report(self, state: LSQRState) -> dict[str, Any]:
        """Return ||r|| / ||b|| and ||A^H r|| / ||A^H b|| of each image, shape (B,), with r = b - A x."""
        return state.basis.report(state.residual_norm, state.normal_residual_norm)
