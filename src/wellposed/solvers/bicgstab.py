"""Stabilised biconjugate gradients, for general square systems with little memory."""

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
    choose,
    divide,
    eps_of,
    exceeds,
    no_failure,
)

__all__ = ["BiCGStab", "BiCGStabState"]


class BiCGStabState(NamedTuple):
    """The state of BiCGStab; what is not a tree of images has shape (B,)."""

    x: Tree
    active: Tensor
    failure: Tensor
    residual: Tree
    shadow: Tree
    direction: Tree
    overlap: Tensor
    residual_norm: Tensor
    shadow_norm: Tensor
    b_norm: Tensor


@dataclass(frozen=True)
class BiCGStab:
    r"""Solve A x = b for a square, non-singular A, in memory that does not grow.

    A step of biconjugate gradients and one of least residual alternate. With M the preconditioner, from the right, and
    q the shadow residual,

    .. math::
        v = A M p, \quad s = r - \frac{\langle q, r\rangle}{\langle q, v\rangle} v, \quad
        t = A M s, \quad r = s - \frac{\langle t, s\rangle}{\langle t, t\rangle} t .

    Where q and r have become orthogonal to rounding, that image starts afresh with q = p = r. Two applications of A a
    step, none of its adjoint. The residual does not fall monotonically; `GMRES` is safer and needs more memory.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||r|| <= tolerance * ||b||, r being the residual of the recurrence.
    max_steps : int
        The most steps.

    References
    ----------
    van der Vorst, *Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG*, SIAM J. Sci. Stat. Comput. 13, 1992,
    doi:10.1137/0913035.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import BiCGStab, solve
    >>> def shear(x): return x + torch.nn.functional.pad(x[:, 1:], (0, 1))
    >>> solve(shear, torch.tensor([[3.0, 2.0]]), BiCGStab()).value.round(decimals=4)
    tensor([[1., 2.]])
    """

    needs_self_adjoint: ClassVar[bool] = False
    needs_adjoint: ClassVar[bool] = False

    tolerance: float = 1e-6
    max_steps: int = 200

    def __post_init__(self) -> None:
        check_hyperparameters("BiCGStab", self.tolerance, self.max_steps)

    def init(self, system: LinearSystem, x0: Tree | None = None) -> BiCGStabState:
        """Return the state before the first step."""
        x, residual = system.start(x0)
        residual_norm, b_norm = norm(residual), norm(system.b)
        return BiCGStabState(
            x=x,
            active=exceeds(residual_norm, self.tolerance * b_norm),
            failure=no_failure(b_norm),
            residual=residual,
            shadow=residual,
            direction=residual,
            overlap=inner(residual, residual),
            residual_norm=residual_norm,
            shadow_norm=residual_norm,
            b_norm=b_norm,
        )

    def step(self, system: LinearSystem, state: BiCGStabState) -> BiCGStabState:
        """Make one step of biconjugate gradients and one of least residual."""
        rounding = eps_of(state.x)
        direction = system.precondition(state.direction)
        image = system.operator(direction)
        slope = inner(state.shadow, image)
        broken = state.active & (slope.abs() <= rounding * state.shadow_norm * norm(image))
        active = state.active & ~broken
        alpha = torch.where(active, divide(state.overlap, slope), 0)
        half = add_scaled(state.residual, -alpha, image)

        correction = system.precondition(half)
        half_image = system.operator(correction)
        half_norm, half_image_norm = norm(half), norm(half_image)
        goal = self.tolerance * state.b_norm
        onward = active & exceeds(half_norm, goal)
        match = inner(half_image, half)
        stuck = onward & (match.abs() <= rounding * half_norm * half_image_norm)
        omega = torch.where(onward & ~stuck, divide(match, half_image_norm.square()), 0)
        x = add_scaled(add_scaled(state.x, alpha, direction), omega, correction)
        residual = choose(active, add_scaled(half, -omega, half_image), state.residual)
        residual_norm = norm(residual)

        active = onward & ~stuck & exceeds(residual_norm, goal)
        overlap = inner(state.shadow, residual)
        afresh = active & (overlap.abs() <= rounding * state.shadow_norm * residual_norm)
        beta = torch.where(active & ~afresh, divide(overlap, state.overlap) * divide(alpha, omega), 0)
        return BiCGStabState(
            x=x,
            active=active,
            failure=torch.where(broken | stuck, Status.breakdown.code, state.failure),
            residual=residual,
            shadow=choose(afresh, residual, state.shadow),
            direction=add_scaled(residual, beta, add_scaled(state.direction, -omega, image)),
            overlap=torch.where(afresh, residual_norm.square().to(overlap.dtype), overlap),
            residual_norm=residual_norm,
            shadow_norm=torch.where(afresh, residual_norm, state.shadow_norm),
            b_norm=state.b_norm,
        )

    def report(self, state: BiCGStabState) -> dict[str, Any]:
        """Return the relative residual ||b - A x|| / ||b|| of each image, shape (B,)."""
        return {"residual": divide(state.residual_norm, state.b_norm)}
