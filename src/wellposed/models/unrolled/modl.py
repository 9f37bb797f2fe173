"""MoDL: a network that removes artefacts, and conjugate gradients that keep to the measurements, in turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_callable
from wellposed.core.tree import Tree
from wellposed.models.complex import ComplexDenoiser
from wellposed.models.dncnn import DnCNN
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.repeat import Memory
from wellposed.models.unrolled.step import LearnedStep, first_image, in_kind
from wellposed.optim import LeastSquares
from wellposed.physics import Physics
from wellposed.solvers import CG

__all__ = ["MoDLStep", "modl"]

_SOLVER = CG(tolerance=1e-6, max_steps=10)


class State(NamedTuple):
    """The image, and its noise level as the denoiser is told it, (B,)."""

    x: Tensor
    sigma: Tensor


@final
class MoDLStep(LearnedStep):
    r"""Denoise, then solve for the image that explains the measurements and is near to the denoised one.

    .. math:: x^+ = (A^H A + \lambda I)^{-1} (A^H y + \lambda D(x))

    The linear system is a closed form where the operator has one, else ten conjugate gradients, through which gradients
    go by implicit differentiation.

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)`.
    weight : float or sequence of float
        The weight lambda.
    sigma : float
        What the denoiser is told, which is not trained; blind ones, as in the paper, do not use it.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the denoiser is no function.

    References
    ----------
    Aggarwal, Mani, Jacob, *MoDL: model based deep learning architecture for inverse problems*, IEEE Trans. Medical
    Imaging 38 (2019), arXiv:1712.02862.
    """

    def __init__(
        self, denoiser: Callable[[Tensor, Tensor], Tensor], *, weight: Numbers = 0.05, sigma: float = 0.05
    ) -> None:
        super().__init__()
        check_callable("MoDLStep", "the denoiser", denoiser)
        self.denoiser, self.weight, self.sigma = denoiser, weight, sigma
        self.weights = Positive("weight", weight)

    def pose(self, y: Tree, physics: Physics) -> tuple[LeastSquares, Any]:
        """Return the data fidelity, and the state that starts from the adjoint."""
        data = LeastSquares(physics.linear_operator, y, solver=_SOLVER)
        x = first_image(data, "adjoint")
        return data, State(x, torch.full((len(x),), self.sigma, dtype=x.real.dtype, device=x.device))

    def step(self, problem: LeastSquares, state: State, index: int) -> State:
        """Denoise, and keep to the measurements."""
        denoised = in_kind(self.denoiser)(state.x, state.sigma)
        return state._replace(x=problem.prox(denoised, 1 / self.weights(index)))


def modl(
    channels: int = 2,
    *,
    n_iter: int = 10,
    width: int = 64,
    depth: int = 5,
    tied: bool = True,
    weight: Numbers = 0.05,
    memory: Memory = "store",
) -> Unrolled:
    """Return MoDL as published: ten steps that share a residual network of five convolutions.

    Parameters
    ----------
    channels : int
        Real channels of the images; 2 for complex images of one channel, of which both parts are seen as channels.
    n_iter, tied, memory
        As in `Unrolled`.
    width, depth : int
        As in `DnCNN`.
    weight : float or sequence of float
        As in `MoDLStep`.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.CartesianMRI(torch.ones(1, 1, 1, 8), image_shape=(1, 8, 8)))
    >>> modl(n_iter=2, width=4)(torch.rand(1, 1, 8, 8) + 0j, physics).shape
    torch.Size([1, 1, 8, 8])
    """
    network: Any = DnCNN(channels, width=width, depth=depth)
    denoiser = ComplexDenoiser(network) if channels == 2 else network
    return Unrolled(MoDLStep(denoiser, weight=weight), n_iter, tied=tied, memory=memory)
