"""The proximal gradient method: gradient descent, ISTA, FISTA, with restarts and backtracking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.tree import inner, norm, per_image
from wellposed.optim.problem import Guarantee, RegularisedProblem, Term
from wellposed.optim.settling import blank, settle

__all__ = ["ProximalGradient"]

_HALVINGS = 60
_SLACK = 1e-4
_NUDGE = 1e-3


class State(NamedTuple):
    """Image, the point that the next step starts from, and the bookkeeping of the driver.

    `tau` is the step size, `momentum` the t of Nesterov, `change` the last relative step of the image; each (B,).
    """

    x: Tensor
    ahead: Tensor
    tau: Tensor
    momentum: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class ProximalGradient:
    r"""Minimise :math:`f(x) + h(x)` with f smooth and h known by its proximal step.

    .. math::
        x^+ &= \mathrm{prox}_{\tau h}(v - \tau \nabla f(v)) \\
        v^+ &= x^+ + \tfrac{t - 1}{t^+} (x^+ - x), \qquad t^+ = \tfrac12 (1 + \sqrt{1 + 4 t^2})

    f is the sum of all parts with a gradient, h the one that has none. Without acceleration, v = x: this is ISTA, and
    gradient descent where there is no h. The step size is r / L, with L the Lipschitz constant of the gradient.

    Parameters
    ----------
    tolerance : float or None
        Stop an image when it changes in a step by less than this, relative to its norm; None: take `max_steps` steps.
    max_steps : int
    accelerated : bool
        Nesterov's momentum (FISTA).
    restart : bool
        Start the momentum of an image afresh where it points uphill: fewer steps, without a proof.
    backtracking : bool
        Halve the step size of each image until the quadratic bound holds, starting from one that is rather too large;
        for functions whose L is infinite or unknown.
    step_ratio : float
        The factor r, at most 1 with momentum and below 2 without.

    Raises
    ------
    ArgumentError
        If `step_ratio` is out of its bounds.

    References
    ----------
    Beck and Teboulle, *A fast iterative shrinkage-thresholding algorithm for linear inverse problems*, SIAM J. Imaging
    Sci. 2 (2009). O'Donoghue and Candes, *Adaptive restart for accelerated gradient schemes*, Found. Comput. Math. 15
    (2015).

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> from wellposed.optim import L1Norm, LeastSquares, RegularisedProblem, Term
    >>> from wellposed.solvers import run
    >>> problem = RegularisedProblem(LeastSquares(Identity(), torch.full((1, 1, 2, 2), 3.0)), Term(L1Norm(), 1.0))
    >>> method = ProximalGradient()
    >>> round(run(method, problem, method.init(problem, torch.zeros(1, 1, 2, 2))).value.mean().item(), 3)
    2.0
    """

    tolerance: float | None = 1e-5
    max_steps: int = 500
    accelerated: bool = True
    restart: bool = True
    backtracking: bool = False
    step_ratio: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.step_ratio <= 1 or (0 < self.step_ratio < 2 and not self.accelerated)):
            raise ArgumentError(
                f"ProximalGradient expects a step_ratio above 0, at most 1 with momentum and below 2 without, "
                f"got {self.step_ratio}."
            )

    def init(self, problem: RegularisedProblem, x0: Tensor) -> State:
        """Start from an image.

        Raises
        ------
        UnsupportedError
            If two parts have no gradient, or one has an operator and no proximal step.
        ArgumentError
            If the step size is not known, and there is no backtracking.
        """
        smooth, _ = _parts(problem)
        one = x0.real.new_ones(len(x0))
        if self.backtracking:
            tau = _secant_step(smooth, x0)
        else:
            lipschitz = sum((term.lipschitz(x0) for term in smooth), start=0 * one)
            if not bool(torch.isfinite(lipschitz).all()):
                raise ArgumentError("the gradient has no Lipschitz constant: set backtracking=True.")
            tau = self.step_ratio / torch.where(lipschitz > 0, lipschitz, 1)
        return State(x=x0, ahead=x0, tau=tau, momentum=one, **blank(x0))

    def step(self, problem: RegularisedProblem, state: State) -> State:
        """Take one step of each image that has not converged."""
        smooth, direct = _parts(problem)
        slope = _gradient(smooth, state.ahead)
        tau = state.tau
        x = _forward_backward(state.ahead, slope, tau, direct)
        if self.backtracking:
            x, tau = self._backtracked(smooth, direct, state, slope)
        if not self.accelerated:
            return settle(state, state._replace(x=x, ahead=x, tau=tau), self.tolerance)
        uphill = (inner(state.ahead - x, x - state.x).real > 0) & self.restart
        momentum = torch.where(uphill, 1, (1 + (1 + 4 * state.momentum.square()).sqrt()) / 2)
        reach = torch.where(uphill, 0, (state.momentum - 1) / momentum)
        ahead = x + per_image(reach, x) * (x - state.x)
        return settle(state, state._replace(x=x, ahead=ahead, tau=tau, momentum=momentum), self.tolerance)

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the objective is proven to fall to its least value: for convex problems."""
        if not problem.convex:
            return Guarantee(holds=False, reason="A part of the problem is not convex.")
        if self.accelerated and self.restart:
            return Guarantee(holds=False, reason="Restarts of the momentum have no proof: set restart=False.")
        if self.accelerated:
            return Guarantee(
                holds=True, reason="Convex, with steps of at most 1 / L: Beck and Teboulle (2009), theorem 4.4."
            )
        return Guarantee(holds=True, reason="Convex, with steps below 2 / L: Combettes and Wajs (2005), theorem 3.4.")

    def _backtracked(
        self, smooth: tuple[Term, ...], direct: Term | None, state: State, slope: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the step of each image, and its size, at which the quadratic bound holds.

        Near the end values differ by roundings; there the bound is that of the slope, which for quadratics is the same.
        """
        start, tau = state.ahead, state.tau
        value = _value(smooth, start)
        resolved = value.abs() * torch.finfo(value.dtype).eps ** 0.5
        x = start
        for _ in range(_HALVINGS):
            x = _forward_backward(start, slope, tau, direct)
            step = x - start
            bound = (1 + _SLACK) * norm(step).square() / (2 * tau)
            holds = _value(smooth, x) - value - inner(slope, step).real <= bound
            close = bound <= resolved
            if bool((close & state.active).any()):
                holds = torch.where(close, inner(_gradient(smooth, x) - slope, step).real / 2 <= bound, holds)
            holds |= ~state.active
            if bool(holds.all()):
                break
            tau = torch.where(holds, tau, tau / 2)
        return x, tau


def _parts(problem: RegularisedProblem) -> tuple[tuple[Term, ...], Term | None]:
    """Return the terms with a gradient, and the one without."""
    rough = [term for term in problem.all_terms if not term.prior.has("gradient")]
    if len(rough) > 1 or not all(term.prior.has("prox") for term in rough):
        names = ", ".join(type(term.prior).__name__ for term in rough)
        raise UnsupportedError(
            f"ProximalGradient takes one part without a gradient, which has a proximal step, got {names}: "
            "use PrimalDual."
        )
    return tuple(term for term in problem.all_terms if term.prior.has("gradient")), rough[0] if rough else None


def _gradient(smooth: tuple[Term, ...], x: Tensor) -> Tensor:
    return torch.stack([term.gradient(x) for term in smooth]).sum(0) if smooth else torch.zeros_like(x)


def _value(smooth: tuple[Term, ...], x: Tensor) -> Tensor:
    return torch.stack([x.real.new_zeros(len(x)), *(term.value(x) for term in smooth)]).sum(0)


def _forward_backward(start: Tensor, slope: Tensor, tau: Tensor, direct: Term | None) -> Tensor:
    moved = start - per_image(tau, start) * slope
    return moved if direct is None else direct.prox(moved, tau)


def _secant_step(smooth: tuple[Term, ...], x: Tensor) -> Tensor:
    """Return how far the image may move along the slope if its change there were the fastest, shape (B,)."""
    slope = _gradient(smooth, x)
    steepness, size = norm(slope), norm(x)
    first = torch.where((steepness > 0) & (size > 0), size / torch.where(steepness > 0, steepness, 1), 1)
    nudge = per_image(_NUDGE * first, x) * slope
    bend = norm(_gradient(smooth, x - nudge) - slope)
    curved = (bend > 0) & torch.isfinite(bend)
    return torch.where(curved, norm(nudge) / torch.where(curved, bend, 1), first)
