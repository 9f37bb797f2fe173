"""Denoising: the measurements are the image."""

from torch import Tensor

from wellposed.core.shapes import Shape
from wellposed.core.tree import Tree
from wellposed.operators.base import LinearOperator

__all__ = ["Identity"]


class Identity(LinearOperator):
    """Return the image as it is.

    .. math:: y = x

    Parameters
    ----------
    image_shape : tuple, optional
        Without the batch axis; by default any channels, height and width.

    Examples
    --------
    >>> import torch
    >>> Identity()(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    tags = frozenset({"self_adjoint", "positive", "unitary", "projection"})

    def __init__(self, image_shape: Shape = (None, None, None)) -> None:
        super().__init__(image_shape, image_shape)

    def _forward(self, x: Tree) -> Tree:
        return x

    def _adjoint(self, y: Tree) -> Tree:
        return y

    def _norm(self) -> Tensor:
        return self._marker.new_ones(1)

    def _pinv(self, y: Tree) -> Tree:
        return y

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return (z + gamma * y) / (1 + gamma)
