"""Minimal residuals, for Hermitian systems that may be indefinite or singular."""

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
    scale,
    subtract,
)

__all__ = ["MINRES", "MINRESState"]


class MINRESState(NamedTuple):
    """The state of MINRES; what is not a tree of images has shape (B,)."""

    x: Tree
    active: Tensor
    failure: Tensor
    start: Tree
    lanczos: Tree
    lanczos_before: Tree
    preconditioned: Tree
    direction: Tree
    direction_before: Tree
    residual: Tree
    preconditioned_residual: Tree
    beta: Tensor
    beta_before: Tensor
    cosine: Tensor
    sine: Tensor
    delta_bar: Tensor
    epsilon: Tensor
    residual_norm: Tensor
    b_norm: Tensor
    scale: Tensor
    operator_norm: Tensor


@dataclass(frozen=True)
class MINRES:
    r"""Solve A x = b, or min ||A x - b||, for a Hermitian A that may be indefinite or singular.

    The Lanczos process makes A tridiagonal in an orthonormal basis of the Krylov space, and a QR factorisation of that
    tridiagonal matrix, updated by one rotation a step, gives the x of least residual. One application of A a step.

    A singular system with a b outside the range of A ends with a residual r that A annihilates. The answer is then

    .. math:: x \leftarrow x - \frac{\langle r, x - x_0\rangle}{\langle r, M r\rangle}\, M r

    which is the least-squares solution nearest to x0: for x0 = 0 that of minimum norm.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||b - A x|| <= tolerance * ||b||, in the norm of the preconditioner M where there is one
        (||r||^2 = <r, M r>), or when ||A r|| <= eps^(2/3) ||A|| ||r||, eps being the unit of rounding:
        such an r is taken for one that A annihilates (4e-11 in double precision, 2e-5 in single). An x that grows
        beyond ||b|| / (eps^(2/3) ||A||) is no solution of either kind, and ends as `stagnated`.
    max_steps : int
        The most steps.

    References
    ----------
    Paige and Saunders, *Solution of sparse indefinite systems of linear equations*, SIAM J. Numer. Anal. 12, 1975,
    doi:10.1137/0712047. Liu, Milzarek and Roosta, *Obtaining pseudo-inverse solutions with MINRES*, 2023,
    arXiv:2309.17096.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import MINRES, solve
    >>> weight = torch.tensor([[1.0, -2.0, 0.0]])
    >>> solve(lambda x: weight * x, torch.tensor([[1.0, 1.0, 5.0]]), MINRES()).value.round(decimals=4) + 0
    tensor([[ 1.0000, -0.5000,  0.0000]])
    """

    needs_self_adjoint: ClassVar[bool] = True
    needs_adjoint: ClassVar[bool] = False

    tolerance: float = 1e-6
    max_steps: int = 200

    def __post_init__(self) -> None:
        check_hyperparameters("MINRES", self.tolerance, self.max_steps)

    def init(self, system: LinearSystem, x0: Tree | None = None) -> MINRESState:
        """Return the state before the first step."""
        x, residual = system.start(x0)
        preconditioned = system.precondition(residual)
        energy = inner(residual, preconditioned).real
        beta, failure = _root(energy, no_failure(energy))
        b_norm = beta if x0 is None else inner(system.b, system.precondition(system.b)).real.clamp(min=0).sqrt()
        zero, nothing = torch.zeros_like(beta), scale(torch.zeros_like(beta), residual)
        return MINRESState(
            x=x,
            active=exceeds(beta, self.tolerance * b_norm) & (failure == 0),
            failure=failure,
            start=x,
            lanczos=residual,
            lanczos_before=nothing,
            preconditioned=preconditioned,
            direction=nothing,
            direction_before=nothing,
            residual=residual,
            preconditioned_residual=preconditioned,
            beta=beta,
            beta_before=zero,
            cosine=-torch.ones_like(beta),
            sine=zero,
            delta_bar=zero,
            epsilon=zero,
            residual_norm=beta,
            b_norm=b_norm,
            scale=norm(residual),
            operator_norm=zero,
        )

    def step(self, system: LinearSystem, state: MINRESState) -> MINRESState:
        """Extend the basis by one vector and the factorisation by one rotation."""
        inverse = divide(torch.ones_like(state.beta), state.beta)
        vector = scale(inverse, state.preconditioned)
        image = add_scaled(system.operator(vector), -divide(state.beta, state.beta_before), state.lanczos_before)
        alpha = inner(vector, image).real
        lanczos = add_scaled(image, -alpha * inverse, state.lanczos)
        preconditioned = system.precondition(lanczos)
        beta, failure = _root(inner(lanczos, preconditioned).real, state.failure)
        coupling = torch.where(state.beta_before == 0, 0, state.beta)
        column = torch.stack([coupling, alpha, beta]).norm(dim=0)
        operator_norm = torch.maximum(state.operator_norm, column)

        delta = state.cosine * state.delta_bar + state.sine * alpha
        gamma_bar = state.sine * state.delta_bar - state.cosine * alpha
        delta_bar = -state.cosine * beta
        rounding = eps_of(state.x) ** (2 / 3)
        annihilated = rounding * operator_norm >= torch.hypot(gamma_bar, delta_bar)
        gamma = torch.hypot(gamma_bar, beta)
        cosine, sine = divide(gamma_bar, gamma), divide(beta, gamma)

        direction = add_scaled(vector, -state.epsilon, state.direction_before)
        direction = scale(divide(torch.ones_like(gamma), gamma), add_scaled(direction, -delta, state.direction))
        moved = add_scaled(state.x, cosine * state.residual_norm, direction)
        runaway = rounding * operator_norm * norm(subtract(moved, state.start)) > state.scale
        failure = torch.where((failure == 0) & runaway & ~annihilated, Status.stagnated.code, failure)
        active = state.active & (failure == 0)
        stopping, moving = active & annihilated, active & ~annihilated
        x = choose(moving, moved, choose(stopping, _lifted(state), state.x))
        residual_norm = torch.where(moving, sine * state.residual_norm, state.residual_norm)
        shrink = -cosine * residual_norm * divide(torch.ones_like(beta), beta)
        return MINRESState(
            x=x,
            active=moving & exceeds(residual_norm, self.tolerance * state.b_norm),
            failure=torch.where(state.active, failure, state.failure),
            start=state.start,
            lanczos=lanczos,
            lanczos_before=state.lanczos,
            preconditioned=preconditioned,
            direction=direction,
            direction_before=state.direction,
            residual=add_scaled(scale(sine.square(), state.residual), shrink, lanczos),
            preconditioned_residual=add_scaled(
                scale(sine.square(), state.preconditioned_residual), shrink, preconditioned
            ),
            beta=beta,
            beta_before=state.beta,
            cosine=cosine,
            sine=sine,
            delta_bar=delta_bar,
            epsilon=state.sine * beta,
            residual_norm=residual_norm,
            b_norm=state.b_norm,
            scale=state.scale,
            operator_norm=operator_norm,
        )

    def report(self, state: MINRESState) -> dict[str, Any]:
        """Return the relative residual ||b - A x|| / ||b|| of each image, shape (B,)."""
        return {"residual": divide(state.residual_norm, state.b_norm)}


def _root(energy: Tensor, failure: Tensor) -> tuple[Tensor, Tensor]:
    """Return the norm that <r, M r> is the square of, or a failure where M turns out not to be positive."""
    negative = energy < 0
    positive = energy > 0
    root = torch.where(positive, torch.where(positive, energy, 1).sqrt(), torch.where(negative, 0, energy))
    return root, torch.where(negative, Status.preconditioner_not_positive.code, failure)


def _lifted(state: MINRESState) -> Tree:
    """Take out of x - x0 what lies in the null space: in the Krylov space that is the direction of the residual."""
    overlap = inner(state.residual, subtract(state.x, state.start)).real
    energy = inner(state.residual, state.preconditioned_residual).real
    return add_scaled(state.x, -divide(overlap, energy), state.preconditioned_residual)
