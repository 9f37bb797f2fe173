"""LSMR, for least-squares problems with an operator of any shape and rank."""

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
    scale,
)

__all__ = ["LSMR", "LSMRState"]


class LSMRState(NamedTuple):
    """The state of LSMR; what is not a tree of images has shape (B,).

    The names are those of the paper: `zeta_bar` is ||A^H r|| up to its sign, the last six only estimate ||r||.
    """

    x: Tree
    active: Tensor
    failure: Tensor
    basis: Bidiagonal
    h: Tree
    h_bar: Tree
    alpha_bar: Tensor
    rho: Tensor
    rho_bar: Tensor
    cosine_bar: Tensor
    sine_bar: Tensor
    zeta: Tensor
    zeta_bar: Tensor
    residual_norm: Tensor
    operator_norm: Tensor
    beta_dots: Tensor
    beta_dot: Tensor
    rho_dot: Tensor
    tau: Tensor
    theta: Tensor


@dataclass(frozen=True)
class LSMR:
    r"""Minimise ||A x - b|| for an A of any shape and rank; of all minimisers take the one nearest to x0.

    On the bidiagonalisation of Golub and Kahan, two rotations a step give the x for which ||A^H (b - A x)|| is least;
    in exact arithmetic the iterates are those of `MINRES` on the normal equations. That norm never grows, so stopping
    early is safer than with `LSQR`. One application of A and one of its adjoint a step.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||b - A x|| <= tolerance * ||b||, or ||A^H (b - A x)|| <= tolerance * ||A^H b||, or when the
        latter is nothing but rounding of ||A|| ||b - A x||.
    max_steps : int
        The most steps.

    References
    ----------
    Fong and Saunders, *LSMR: an iterative algorithm for sparse least-squares problems*, SIAM J. Sci. Comput. 33, 2011,
    doi:10.1137/10079687X.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import LSMR, solve
    >>> def total(x): return x.sum(1, keepdim=True)
    >>> def adjoint(y): return y.expand(-1, 2)
    >>> solve(total, torch.tensor([[3.0]]), LSMR(), adjoint=adjoint).value
    tensor([[1.5000, 1.5000]])
    """

    needs_self_adjoint: ClassVar[bool] = False
    needs_adjoint: ClassVar[bool] = True

    tolerance: float = 1e-6
    max_steps: int = 200

    def __post_init__(self) -> None:
        check_hyperparameters("LSMR", self.tolerance, self.max_steps)

    def init(self, system: LinearSystem, x0: Tree | None = None) -> LSMRState:
        """Return the state before the first step."""
        x, basis = bidiagonal_start(system, x0)
        normal, one, zero = basis.alpha * basis.beta, torch.ones_like(basis.beta), torch.zeros_like(basis.beta)
        return LSMRState(
            x=x,
            active=basis.unsolved(basis.beta, normal, basis.alpha, self.tolerance),
            failure=no_failure(normal),
            basis=basis,
            h=basis.v,
            h_bar=scale(zero, basis.v),
            alpha_bar=basis.alpha,
            rho=one,
            rho_bar=one,
            cosine_bar=one,
            sine_bar=zero,
            zeta=zero,
            zeta_bar=normal,
            residual_norm=basis.beta,
            operator_norm=basis.alpha,
            beta_dots=basis.beta,
            beta_dot=zero,
            rho_dot=one,
            tau=zero,
            theta=zero,
        )

    def step(self, system: LinearSystem, state: LSMRState) -> LSMRState:
        """Extend both bases by one vector and both factorisations by one rotation."""
        basis = bidiagonal_step(system, state.basis)
        rho = torch.hypot(state.alpha_bar, basis.beta)
        cosine, sine = divide(state.alpha_bar, rho), divide(basis.beta, rho)
        theta_next = sine * basis.alpha
        theta_bar, shrunk = state.sine_bar * rho, state.cosine_bar * rho
        rho_bar = torch.hypot(shrunk, theta_next)
        cosine_bar, sine_bar = divide(shrunk, rho_bar), divide(theta_next, rho_bar)
        zeta, zeta_bar = cosine_bar * state.zeta_bar, -sine_bar * state.zeta_bar

        h_bar = add_scaled(state.h, -divide(theta_bar * rho, state.rho * state.rho_bar), state.h_bar)
        move = torch.where(state.active, divide(zeta, rho * rho_bar), 0)

        beta_hat, beta_dots = cosine * state.beta_dots, -sine * state.beta_dots
        rho_tilde = torch.hypot(state.rho_dot, theta_bar)
        cosine_tilde, sine_tilde = divide(state.rho_dot, rho_tilde), divide(theta_bar, rho_tilde)
        theta, rho_dot = sine_tilde * rho_bar, cosine_tilde * rho_bar
        beta_dot = cosine_tilde * beta_hat - sine_tilde * state.beta_dot
        tau = divide(state.zeta - state.theta * state.tau, rho_tilde)
        residual_norm = torch.hypot(beta_dot - divide(zeta - theta * tau, rho_dot), beta_dots)

        residual_norm = torch.where(state.active, residual_norm, state.residual_norm)
        zeta_bar = torch.where(state.active, zeta_bar, state.zeta_bar)
        operator_norm = torch.maximum(state.operator_norm, torch.hypot(basis.alpha, basis.beta))
        return LSMRState(
            x=add_scaled(state.x, move, h_bar),
            active=state.active & basis.unsolved(residual_norm, zeta_bar.abs(), operator_norm, self.tolerance),
            failure=state.failure,
            basis=basis,
            h=add_scaled(basis.v, -divide(theta_next, rho), state.h),
            h_bar=h_bar,
            alpha_bar=cosine * basis.alpha,
            rho=rho,
            rho_bar=rho_bar,
            cosine_bar=cosine_bar,
            sine_bar=sine_bar,
            zeta=zeta,
            zeta_bar=zeta_bar,
            residual_norm=residual_norm,
            operator_norm=operator_norm,
            beta_dots=beta_dots,
            beta_dot=beta_dot,
            rho_dot=rho_dot,
            tau=tau,
            theta=theta,
        )

    def report(self, state: LSMRState) -> dict[str, Any]:
        """Return ||r|| / ||b|| and ||A^H r|| / ||A^H b|| of each image, shape (B,), with r = b - A x."""
        return state.basis.report(state.residual_norm, state.zeta_bar.abs())
