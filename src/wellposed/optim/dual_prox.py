"""The proximal step of a function of what an operator makes of the image, by accelerated descent on its dual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.tree import inner, per_image
from wellposed.operators import LinearOperator
from wellposed.optim.functional import Functional
from wellposed.optim.problem import Guarantee
from wellposed.optim.settling import settle

__all__ = ["DualDescent", "ProximalStep"]


@dataclass(frozen=True)
class ProximalStep:
    r"""Minimise :math:`\gamma g(C x) + \tfrac12 \|x - z\|^2` over x.

    Parameters
    ----------
    functional : Functional
        The function g, convex, with a proximal step.
    operator : LinearOperator
        C.
    z : Tensor, shape (B, *image_shape)
    gamma : Tensor, shape (1,) or (B,)
    """

    functional: Functional
    operator: LinearOperator
    z: Tensor
    gamma: Tensor


class State(NamedTuple):
    """Image, dual variable, the pair of both that the next step starts from, and the bookkeeping of the driver.

    `momentum` is the t of Nesterov, `change` the last step of the image relative to its norm; both (B,).
    """

    x: Tensor
    dual: Tensor
    x_ahead: Tensor
    dual_ahead: Tensor
    momentum: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class DualDescent:
    r"""Accelerated projected descent on the dual of a proximal step, restarted where its momentum turns against it.

    .. math::
        u^+ &= \mathrm{prox}_{(\gamma g)^* / \|C\|^2} \big(v + C (z - C^H v) / \|C\|^2\big) \\
        v^+ &= u^+ + \tfrac{t - 1}{t^+} (u^+ - u), \qquad x = z - C^H u

    Nothing is kept between calls: the same step gives the same answer.

    Parameters
    ----------
    tolerance : float or None
        Stop an image when it changes in a step by less than this, relative to its norm; None: take `max_steps` steps.
    max_steps : int

    References
    ----------
    Chambolle, *An algorithm for total variation minimization and applications*, J. Math. Imaging Vis. 20 (2004). Beck
    and Teboulle, *Fast gradient-based algorithms for constrained total variation image denoising*, IEEE Trans. Image
    Processing 18 (2009). O'Donoghue and Candes, *Adaptive restart for accelerated gradient schemes*, Found. Comput.
    Math. 15 (2015).
    """

    tolerance: float | None = 1e-5
    max_steps: int = 500

    def __post_init__(self) -> None:
        check_whole("DualDescent", "max_steps", self.max_steps, least=1)

    def init(self, problem: ProximalStep) -> State:
        """Start from z, with a dual variable of zero."""
        dual = torch.zeros_like(problem.operator(problem.z))
        size = problem.z.real.new_ones(len(problem.z))
        return State(
            x=problem.z,
            dual=dual,
            x_ahead=problem.z,
            dual_ahead=dual,
            momentum=size,
            change=torch.full_like(size, torch.inf),
            active=torch.ones_like(size, dtype=torch.bool),
            failure=torch.zeros_like(size, dtype=torch.int64),
        )

    def step(self, problem: ProximalStep, state: State) -> State:
        """Take one step of each image that has not converged."""
        step = problem.operator.norm().to(state.momentum).square().reciprocal()
        uphill: Any = problem.operator(state.x_ahead)
        dual = problem.functional.conjugate_prox(
            torch.addcmul(state.dual_ahead, per_image(step, uphill).to(uphill.dtype), uphill), step, problem.gamma
        )
        back: Any = problem.operator.adjoint(dual)
        x = problem.z - back
        turned = inner(state.x_ahead - x, x - state.x).real > 0
        momentum = torch.where(turned, 1, (1 + (1 + 4 * state.momentum.square()).sqrt()) / 2)
        reach = torch.where(turned, 1, 1 + (state.momentum - 1) / momentum)
        ahead = state._replace(
            x=x,
            dual=dual,
            x_ahead=torch.lerp(state.x, x, per_image(reach, x).to(x.dtype)),
            dual_ahead=torch.lerp(state.dual, dual, per_image(reach, dual).to(dual.dtype)),
            momentum=momentum,
        )
        return ahead if self.tolerance is None else settle(state, ahead, self.tolerance)

    def provably_convergent(self, problem: ProximalStep) -> Guarantee:
        """Tell whether the image is proven to tend to the minimiser: for convex functions, but for the restarts."""
        if not problem.functional.convex:
            return Guarantee(holds=False, reason="The function is not convex.")
        return Guarantee(holds=False, reason="Restarts of the momentum have no proof, though they hardly ever fail.")
