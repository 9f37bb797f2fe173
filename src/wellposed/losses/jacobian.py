"""Keep the network from amplifying: the spectral norm of its Jacobian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, inner, norm, per_image
from wellposed.losses._residuals import one_tensor
from wellposed.losses.base import Loss, Reconstructor
from wellposed.losses.drawn_input import check_not_drawn
from wellposed.physics import Physics

__all__ = ["JacobianNorm"]


@final
@dataclass(frozen=True)
class JacobianNorm(Loss):
    r"""Penalise how much the network amplifies small changes of its input.

    .. math:: \ell = \max\big( \|J\|_2^2,\; 1 - \varepsilon \big), \qquad J = \frac{\partial f}{\partial y}(y)
        \quad\text{or, firmly,}\quad J = 2 \frac{\partial f}{\partial y}(y) - I

    By power iteration, each image on its own. A denoiser whose :math:`\|2 J_D - I\|` is at most 1 everywhere is firmly
    non-expansive, and plug-and-play iterations with it converge. It is added with a small weight to another loss.
    As many evaluations as iterations, and one, in training; one at test.

    Parameters
    ----------
    iterations : int
    firm : bool
        Look at :math:`2 J - I`, for networks whose output has the shape of their input.
    margin : float
        :math:`\varepsilon`; infinite: nothing is cut off.

    Raises
    ------
    ArgumentError
        If a number is out of its range; on a call, if the network is one that draws its input.

    References
    ----------
    Pesquet, Repetti, Terris, Wiaux, *Learning maximally monotone operators for image recovery*, SIAM J. Imaging
    Sciences 14 (2021), arXiv:2012.13247.

    Examples
    --------
    >>> import wellposed as wp
    >>> y, physics = torch.rand(1, 1, 4, 4), wp.Physics(wp.operators.Identity())
    >>> loss = JacobianNorm(firm=False)
    >>> round(float(loss(x_hat=3 * y, y=y, physics=physics, model=lambda y, physics: 3 * y)), 3)
    9.0
    """

    iterations: int = 10
    firm: bool = True
    margin: float = math.inf

    def __post_init__(self) -> None:
        check_whole("JacobianNorm", "iterations", self.iterations, least=1)
        if not self.margin >= 0:
            raise ArgumentError(f"JacobianNorm expects a margin of at least 0, got {self.margin!r}.")

    def __call__(
        self,
        *,
        x_hat: Tensor,  # noqa: ARG002
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        check_not_drawn("JacobianNorm", model)
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            at = one_tensor("JacobianNorm", y).detach().requires_grad_()
            output = 2 * model(at, physics) - at if self.firm else model(at, physics)
            direction = _unit(normal_like(output, generator))
            for _ in range(self.iterations):
                direction = _unit(_pushed(output, at, _pulled(output, at, direction)))
            (gradient,) = torch.autograd.grad(output, at, direction, create_graph=create_graph)
        return norm(gradient).square().clamp_min(1 - self.margin)


def _pulled(output: Tensor, at: Tensor, direction: Tensor) -> Tensor:
    """Return J^T u, a constant."""
    return torch.autograd.grad(output, at, direction, retain_graph=True)[0].detach()


def _pushed(output: Tensor, at: Tensor, direction: Tensor) -> Tensor:
    """Return J v, the derivative of <J^T u, v> in u; a constant."""
    dual = torch.zeros_like(output, requires_grad=True)
    (pulled,) = torch.autograd.grad(output, at, dual, create_graph=True)
    return torch.autograd.grad(inner(pulled, direction).real.sum(), dual)[0].detach()


def _unit(direction: Tensor) -> Tensor:
    """Scale each image to length one."""
    length = norm(direction).clamp_min(torch.finfo(direction.real.dtype).tiny)
    return direction / per_image(length, direction)
