"""Neighbour to neighbour: two small images out of a noisy one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.core.tree import Tree
from wellposed.losses._residuals import mean_square, one_tensor
from wellposed.losses.base import Reconstructor
from wellposed.losses.drawn_input import Draw, DrawingLoss, DrawnInput, compared
from wellposed.operators import Identity
from wellposed.physics import Physics

__all__ = ["Neighbor2Neighbor"]

_PAIRS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2))


@final
@dataclass(frozen=True)
class Neighbor2Neighbor(DrawingLoss):
    r"""Of each 2 x 2 square show the network one pixel, and compare with a neighbour of it.

    .. math:: \ell = \tfrac1m \|f(g_1 y) - g_2 y\|^2
        + \tfrac{\lambda}{m} \big\| f(g_1 y) - g_2 y - \big( g_1 f(y) - g_2 f(y) \big) \big\|^2

    For denoising. Assumes noise of mean zero that is independent from pixel to pixel, of any family and level, and
    images that look alike at half the resolution; the second term makes up for the difference of neighbours, with
    :math:`f(y)` constant to autograd. Two evaluations in training, of which one is a quarter; at test one, of the whole
    image.

    Parameters
    ----------
    regularisation : float
        :math:`\lambda`, at least 0; at 0 the second evaluation is left out.

    Raises
    ------
    ArgumentError
        If it is negative; on a call, if the network was not adapted.
    UnsupportedError
        On a call, if the operator is not the identity.
    ShapeError
        On a call, if images have less than 2 x 2 pixels.

    References
    ----------
    Huang, Li, Jia, Lu, Liu, *Neighbor2Neighbor: self-supervised denoising from single noisy images*, CVPR 2021,
    arXiv:2101.02824.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> loss = Neighbor2Neighbor()
    >>> model = loss.adapt(wp.models.ArtifactRemoval(torch.nn.Identity()))
    >>> y = torch.rand(1, 1, 6, 6)
    >>> x_hat = model(y, physics)
    >>> x_hat.shape, loss(x_hat=x_hat, y=y, physics=physics, model=model).shape
    (torch.Size([1, 1, 3, 3]), torch.Size([1]))
    """

    regularisation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.regularisation < math.inf:
            raise ArgumentError(
                f"Neighbor2Neighbor expects a finite regularisation of at least 0, got {self.regularisation!r}."
            )

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw two neighbours of each square."""
        y = one_tensor("Neighbor2Neighbor", y)
        if not isinstance(physics.operator, Identity):
            raise UnsupportedError(
                f"Neighbor2Neighbor is for denoising, and the operator is {type(physics.operator).__name__}: "
                "use Splitting."
            )
        if min(y.shape[-2:]) < 2:
            raise ShapeError(f"Neighbor2Neighbor expects images of at least 2 x 2 pixels, got {tuple(y.shape)}.")
        pairs = torch.tensor(_PAIRS, device=y.device)
        device = y.device if generator is None else generator.device
        squares = (len(y), y.shape[-2] // 2, y.shape[-1] // 2)
        choice = torch.randint(len(_PAIRS), squares, generator=generator, device=device).to(y.device)
        one, other = pairs[choice].unbind(-1)
        return Draw(picked(y, one), physics, picked(y, other), Identity(), aside=(one, other))

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        drawn = self._drawn_for(x_hat, model)
        value = compared(x_hat, drawn)
        if not self.regularisation:
            return value
        while isinstance(model, DrawnInput):
            model = model.model
        with torch.no_grad():
            whole = model(y, physics)
        one, other = drawn.aside
        target = one_tensor("Neighbor2Neighbor", drawn.target) + picked(whole, one) - picked(whole, other)
        return value + self.regularisation * mean_square(x_hat - target)


def picked(x: Tensor, place: Tensor) -> Tensor:
    """Take from each 2 x 2 square of images (B, C, H, W) the pixel of a number (B, H // 2, W // 2), 0 to 3."""
    height, width = 2 * (x.shape[-2] // 2), 2 * (x.shape[-1] // 2)
    squares = x[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).movedim(-3, -2).flatten(-2)
    index = place[:, None, :, :, None].expand(*squares.shape[:-1], 1)
    return squares.gather(-1, index)[..., 0]
