"""Half-quadratic splitting with a denoiser: in turn, explain the measurements and remove noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import norm, per_image
from wellposed.core.values import values_hold
from wellposed.optim.problem import Guarantee

__all__ = ["HQS", "DenoiserFunction", "PlugAndPlay"]

DenoiserFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""What removes white Gaussian noise: `x_hat = denoiser(x, sigma)`, with sigma of shape (B,)."""


class ProximalTerm(Protocol):
    """A function of the image with a proximal step, such as `LeastSquares`."""

    def prox(self, z: Tensor, gamma: Tensor) -> Tensor:
        """Return the minimiser of gamma f(x) + 1/2 ||x - z||^2, with gamma of shape (B,)."""


@dataclass(frozen=True)
class PlugAndPlay:
    r"""Minimise :math:`f(x) + g(x)`, where g is known only by the denoiser that stands for its proximal step.

    Parameters
    ----------
    data : ProximalTerm
        The data fidelity f.
    denoiser : callable
        ``x_hat = denoiser(x, sigma)`` with sigma of shape (B,), the standard deviation of the noise in each image.
    """

    data: ProximalTerm
    denoiser: DenoiserFunction


class State(NamedTuple):
    """The denoised image, and the bookkeeping of the driver; `change` is the last relative step, (B,)."""

    x: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class HQS:
    r"""Half-quadratic splitting, with the proximal step of the prior done by a denoiser.

    .. math::
        u &= \arg\min_u \gamma f(u) + \tfrac12 \|u - x\|^2 \\
        x^+ &= D(u, \sigma)

    With a denoiser that is the proximal operator of :math:`\gamma g` it minimises f plus a Moreau envelope of g.

    Parameters
    ----------
    gamma : Tensor or float, shape (B,) or (1,)
        How much the measurements weigh in a step.
    sigma : Tensor or float, shape (B,) or (1,)
        What the denoiser is told, in the unit of the image.
    tolerance : float or None
        Stop an image when it changes in a step by less than this, relative to its norm; None: take `max_steps` steps.
    max_steps : int

    Raises
    ------
    ArgumentError
        If `gamma` is not positive, or `sigma` negative.

    References
    ----------
    Geman and Yang, *Nonlinear image recovery with half-quadratic regularization*, IEEE Trans. Image Processing 4
    (1995). Venkatakrishnan, Bouman, Wohlberg, *Plug-and-play priors for model based reconstruction*, GlobalSIP 2013.

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> from wellposed.optim import LeastSquares
    >>> from wellposed.solvers import run
    >>> problem = PlugAndPlay(LeastSquares(Identity(), torch.ones(1, 1, 2, 2)), lambda x, sigma: x / 2)
    >>> method = HQS(gamma=1.0, sigma=0.1, tolerance=1e-6)
    >>> round(run(method, problem, method.init(problem, torch.zeros(1, 1, 2, 2))).value.mean().item(), 4)
    0.3333
    """

    gamma: Tensor | float
    sigma: Tensor | float
    tolerance: float | None = None
    max_steps: int = 20

    def __post_init__(self) -> None:
        if not values_hold(torch.as_tensor(self.gamma) > 0):
            raise ArgumentError(f"HQS expects a positive gamma, got {self.gamma}.")
        if not values_hold(torch.as_tensor(self.sigma) >= 0):
            raise ArgumentError(f"HQS expects sigma >= 0, got {self.sigma}.")

    def init(self, _problem: PlugAndPlay, x0: Tensor) -> State:
        """Start from an image."""
        change = torch.full((len(x0),), torch.inf, dtype=x0.real.dtype, device=x0.device)
        return State(x0, change, torch.ones_like(change, dtype=torch.bool), torch.zeros_like(change, dtype=torch.int64))

    def step(self, problem: PlugAndPlay, state: State) -> State:
        """Take one step of each image that has not converged."""
        levels = torch.ones_like(state.change)
        x = split_step(problem, state.x, gamma=self.gamma * levels, sigma=self.sigma * levels, active=state.active)
        if self.tolerance is None:
            return state._replace(x=x)
        size = norm(x)
        change = norm(x - state.x) / torch.where(size > 0, size, 1)
        change = torch.where(state.active, change, state.change)
        return state._replace(x=x, change=change, active=state.active & (change > self.tolerance))

    def provably_convergent(self, _problem: PlugAndPlay) -> Guarantee:
        """Tell whether the iterates are proven to converge: not so for a denoiser of which nothing is known."""
        return Guarantee(
            holds=False,
            reason="It takes an averaged denoiser, such as a proximal operator, which cannot be told from outside.",
        )


def split_step(problem: PlugAndPlay, x: Tensor, *, gamma: Tensor, sigma: Tensor, active: Tensor) -> Tensor:
    """Return D(prox(x, gamma), sigma) for the active images, and the others as they are; gamma and sigma are (B,)."""
    return torch.where(per_image(active, x), problem.denoiser(problem.data.prox(x, gamma), sigma), x)
