"""The primal-dual method of Condat and Vu, with Chambolle and Pock's as the case without a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree, per_image, tree_map
from wellposed.optim.problem import Guarantee, RegularisedProblem, Term
from wellposed.optim.settling import blank, settle

__all__ = ["PrimalDual"]


class State(NamedTuple):
    """Image, dual variables, one a term, step sizes (B,), and the bookkeeping of the driver."""

    x: Tensor
    dual: tuple[Tree, ...]
    tau: Tensor
    sigma: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class PrimalDual:
    r"""Minimise :math:`f(x) + h(x) + \sum_i \lambda_i g_i(C_i x)`, with f smooth, h and the g_i known by their prox.

    .. math::
        x^+ &= \mathrm{prox}_{\tau h}\big(x - \tau (\nabla f(x) + \textstyle\sum_i C_i^H u_i)\big) \\
        u_i^+ &= \mathrm{prox}_{\sigma (\lambda_i g_i)^*}(u_i + \sigma C_i (2 x^+ - x))

    Parts with a gradient make up f, the first other one without an operator is h, and the rest are the :math:`g_i`. The
    step sizes are :math:`\tau = r / L` and :math:`\sigma = (1 / \tau - L / 2) / \sum_i \|C_i\|^2`, with L the Lipschitz
    constant of :math:`\nabla f`: the largest for which convergence is proven. Without a smooth part they are
    :math:`\tau = r / \|C\|` and :math:`\sigma = 1 / (\tau \|C\|^2)`.

    Parameters
    ----------
    tolerance : float or None
        Stop an image when both x and u change in a step by less than this, relative to their norms; None: take
        `max_steps` steps.
    max_steps : int
    step_ratio : float
        The factor r, between 0 and 2; without a smooth part the unit of the image over that of its dual.

    Raises
    ------
    ArgumentError
        If `step_ratio` is not positive.

    References
    ----------
    Condat, *A primal-dual splitting method for convex optimization ...*, J. Optim. Theory Appl. 158 (2013). Vu, Adv.
    Comput. Math. 38 (2013). Chambolle and Pock, *A first-order primal-dual algorithm for convex problems with
    applications to imaging*, J. Math. Imaging Vis. 40 (2011).
    """

    tolerance: float | None = 1e-4
    max_steps: int = 500
    step_ratio: float = 1.0

    def __post_init__(self) -> None:
        if not self.step_ratio > 0:
            raise ArgumentError(f"PrimalDual expects a positive step_ratio, got {self.step_ratio}.")

    def init(self, problem: RegularisedProblem, x0: Tensor) -> State:
        """Start from an image, with dual variables of zero.

        Raises
        ------
        ArgumentError
            If `step_ratio` is 2 or more and there is a smooth part.
        UnsupportedError
            If a part has neither a gradient with a finite Lipschitz constant nor a proximal step.
        """
        split = problem.split
        zero, one = x0.real.new_zeros(len(x0)), x0.real.new_ones(1)
        squared = zero + sum((term.squared_norm(x0) for term in split.dualised), start=zero)
        squared = torch.where(squared > 0, squared, 1)
        if split.smooth:
            if self.step_ratio >= 2:
                raise ArgumentError(f"PrimalDual expects a step_ratio below 2, got {self.step_ratio}.")
            lipschitz = sum((term.lipschitz(x0) for term in split.smooth), start=zero)
            lipschitz = torch.where(lipschitz > 0, lipschitz, 1)
            tau = self.step_ratio / lipschitz
            sigma = (1 / tau - lipschitz / 2) / squared
        else:
            tau = self.step_ratio * one * squared.rsqrt()
            sigma = 1 / (tau * squared)
        dual = tuple(tree_map(torch.zeros_like, term.transformed(x0)) for term in split.dualised)
        return State(x=x0, dual=dual, tau=tau, sigma=sigma, **blank(x0))

    def step(self, problem: RegularisedProblem, state: State) -> State:
        """Take one step of each image that has not converged."""
        split = problem.split
        descent: Any = sum((term.gradient(state.x) for term in split.smooth), start=0)
        descent = sum((term.adjoint(u) for term, u in zip(split.dualised, state.dual, strict=True)), start=descent)
        x = state.x - per_image(state.tau, state.x) * descent
        if split.direct is not None:
            x = split.direct.prox(x, state.tau)
        ahead = 2 * x - state.x
        dual = tuple(self._ascend(term, u, ahead, state) for term, u in zip(split.dualised, state.dual, strict=True))
        return settle(state, state._replace(x=x, dual=dual), self.tolerance, watched=("x", "dual") if dual else ("x",))

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the iterates are proven to converge to a minimiser: for convex problems."""
        if not problem.convex:
            return Guarantee(holds=False, reason="A part of the problem is not convex.")
        return Guarantee(
            holds=True, reason="The problem is convex and the step sizes meet the bound of Condat (2013), theorem 3.1."
        )

    @staticmethod
    def _ascend(term: Term, dual: Tree, ahead: Tensor, state: State) -> Any:
        moved = tree_map(
            lambda u, step: torch.addcmul(u, per_image(state.sigma, u).to(u.dtype), step), dual, term.transformed(ahead)
        )
        return term.functional.conjugate_prox(moved, state.sigma, term.weights(ahead))
