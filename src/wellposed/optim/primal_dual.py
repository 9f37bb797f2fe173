"""The primal-dual method of Condat and Vu: a gradient step on the data, a projection of the dual variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from wellposed.core.tree import norm, per_image
from wellposed.operators import LinearOperator

__all__ = ["PrimalDual", "RegularisedProblem"]


class SmoothTerm(Protocol):
    """A differentiable convex function of the image, such as `LeastSquares`."""

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient."""

    def lipschitz(self) -> Tensor:
        """Return the Lipschitz constant of the gradient, shape (1,) or (B,)."""


class AnalysisTerm(Protocol):
    """A support function of the image under a linear map, such as `TotalVariation`."""

    @property
    def analysis(self) -> LinearOperator:
        """The linear map D."""

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""

    def project_dual(self, u: Tensor, radius: Tensor) -> Tensor:
        """Project the dual variable onto `radius` times the set whose support function the term is."""


@dataclass(frozen=True)
class RegularisedProblem:
    r"""Minimise :math:`f(x) + \lambda\, g(x)` over the image.

    Parameters
    ----------
    data : SmoothTerm
        The data fidelity f.
    prior : AnalysisTerm
        The regularisation g.
    weight : Tensor, shape (1,) or (B,)
        The weight lambda of each image.
    """

    data: SmoothTerm
    prior: AnalysisTerm
    weight: Tensor

    def value(self, x: Tensor) -> Tensor:
        """Return the objective of each image, shape (B,)."""
        return self.data.value(x) + self.weight * self.prior.value(x)


class State(NamedTuple):
    """Image, dual variable, step sizes, and the bookkeeping of the driver; `change` is the last relative step, (B,)."""

    x: Tensor
    dual: Tensor
    tau: Tensor
    sigma: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class PrimalDual:
    r"""Minimise :math:`f(x) + \lambda \|D x\|` with f smooth.

    .. math::
        x^+ &= x - \tau (\nabla f(x) + D^* u) \\
        u^+ &= P_\lambda(u + \sigma D (2 x^+ - x))

    where :math:`P_\lambda` projects onto the dual ball of radius :math:`\lambda`. The step sizes are
    :math:`\tau = r / L` and :math:`\sigma = (1 / \tau - L / 2) / \|D\|^2`, with L the Lipschitz constant of
    :math:`\nabla f` (the squared operator norm, for least squares), the largest for which convergence is proven.

    Parameters
    ----------
    tolerance : float or None
        Stop an image when both x and u change in a step by less than this, relative to their norms; None: take
        `max_steps` steps.
    max_steps : int
    step_ratio : float
        The factor r, between 0 and 2.

    References
    ----------
    Condat, *A primal-dual splitting method for convex optimization ...*, J. Optim. Theory Appl. 158 (2013). Vu, Adv.
    Comput. Math. 38 (2013).
    """

    tolerance: float | None = 1e-4
    max_steps: int = 500
    step_ratio: float = 1.0

    def init(self, problem: RegularisedProblem, x0: Tensor) -> State:
        """Start from an image, with a dual variable of zero."""
        batch = x0.shape[0]
        lipschitz = problem.data.lipschitz()
        lipschitz = torch.where(lipschitz > 0, lipschitz, 1)
        tau = self.step_ratio / lipschitz
        sigma = (1 / tau - lipschitz / 2) / problem.prior.analysis.norm().to(lipschitz).square()
        return State(
            x=x0,
            dual=torch.zeros_like(problem.prior.analysis(x0)),
            tau=tau.expand(batch),
            sigma=sigma.expand(batch),
            change=tau.new_full((batch,), torch.inf),
            active=torch.ones(batch, dtype=torch.bool, device=x0.device),
            failure=torch.zeros(batch, dtype=torch.int64, device=x0.device),
        )

    def step(self, problem: RegularisedProblem, state: State) -> State:
        """Take one step of each image that has not converged."""
        analysis = problem.prior.analysis
        descent = problem.data.gradient(state.x) + cast("Tensor", analysis.adjoint(state.dual))
        x = state.x - per_image(torch.where(state.active, state.tau, 0), descent) * descent
        ascent = analysis(2 * x - state.x)
        dual = problem.prior.project_dual(state.dual + per_image(state.sigma, ascent) * ascent, problem.weight)
        dual = torch.where(per_image(state.active, dual), dual, state.dual)
        if self.tolerance is None:
            return state._replace(x=x, dual=dual)
        change = torch.maximum(_relative_change(x, state.x), _relative_change(dual, state.dual))
        change = torch.where(state.active, change, state.change)
        return state._replace(x=x, dual=dual, change=change, active=state.active & (change > self.tolerance))


def _relative_change(new: Tensor, old: Tensor) -> Tensor:
    """Return ||new - old|| / ||new|| of each image, 0 where both are zero."""
    size = norm(new)
    return norm(new - old) / torch.where(size > 0, size, 1)
