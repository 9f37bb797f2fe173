"""The bidiagonalisation of Golub and Kahan, which LSQR and LSMR share."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, norm, tree_map
from wellposed.solvers.system import (
    LinearSystem,
    add_scaled,
    choose,
    divide,
    eps_of,
    exceeds,
    normalised,
)

_ROUNDINGS = 10


class Bidiagonal(NamedTuple):
    """One step of the recurrences beta u' = A v - alpha u and alpha' v' = A^H u' - beta v.

    Attributes
    ----------
    u, v : Tree
        The newest vectors of both orthonormal bases.
    alpha, beta : Tensor, shape (B,)
        The newest entries of the bidiagonal matrix.
    b_norm, normal_b_norm : Tensor, shape (B,)
        ||b|| and ||A^H b||, which tolerances are relative to.
    """

    u: Tree
    v: Tree
    alpha: Tensor
    beta: Tensor
    b_norm: Tensor
    normal_b_norm: Tensor

    def unsolved(self, residual: Tensor, normal: Tensor, operator_norm: Tensor, tolerance: float) -> Tensor:
        """Tell which images meet none of the three stopping rules, shape (B,), given ||r||, ||A^H r|| and ||A||."""
        rounding = _ROUNDINGS * eps_of(self.v) * operator_norm * residual
        return (
            exceeds(residual, tolerance * self.b_norm)
            & exceeds(normal, tolerance * self.normal_b_norm)
            & exceeds(normal, rounding)
        )

    def report(self, residual: Tensor, normal: Tensor) -> dict[str, Any]:
        """Return the relative residual and the relative normal residual."""
        return {
            "residual": divide(residual, self.b_norm),
            "normal_residual": divide(normal, self.normal_b_norm),
        }


def bidiagonal_start(system: LinearSystem, x0: Tree | None) -> tuple[Tree, Bidiagonal]:
    """Return the first x and the first vectors, beta u = b - A x and alpha v = A^H u.

    Raises
    ------
    UnsupportedError
        If the system has no adjoint, or a preconditioner.
    """
    if system.adjoint is None:
        raise UnsupportedError(
            "LSQR and LSMR need the adjoint of the operator: pass adjoint=..., or use BiCGStab or GMRES."
        )
    if system.preconditioner is not None:
        raise UnsupportedError(
            "LSQR and LSMR take no preconditioner M: solve for z with operator(M(z)) and its adjoint, then x = M(z)."
        )
    b_norm = norm(system.b)
    if x0 is None:
        beta, u = normalised(system.b)
        alpha, v = normalised(system.adjoint(u))
        return tree_map(torch.zeros_like, v), Bidiagonal(u, v, alpha, beta, b_norm, alpha * beta)
    x = choose(b_norm == 0, tree_map(torch.zeros_like, x0), x0)
    beta, u = normalised(system.residual(x))
    alpha, v = normalised(system.adjoint(u))
    return x, Bidiagonal(u, v, alpha, beta, b_norm, norm(system.adjoint(system.b)))


def bidiagonal_step(system: LinearSystem, basis: Bidiagonal) -> Bidiagonal:
    """Return the next vectors of both bases."""
    if system.adjoint is None:
        raise UnsupportedError("LSQR and LSMR need the adjoint of the operator: pass adjoint=....")
    beta, u = normalised(add_scaled(system.operator(basis.v), -basis.alpha, basis.u))
    alpha, v = normalised(add_scaled(system.adjoint(u), -beta, basis.v))
    return basis._replace(u=u, v=v, alpha=alpha, beta=beta)
