"""The discrete gradient, on which total variation is built."""

import math

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import fixed_shape
from wellposed.operators.base import LinearOperator

__all__ = ["FiniteDifferences"]


class FiniteDifferences(LinearOperator):
    r"""Differences of neighbouring pixels along each axis of space, zero beyond the last pixel.

    .. math:: (D x)_{a, i} = x_{i + e_a} - x_i

    The differences stand before the channels: images (B, C, H, W) have gradients (B, 2, C, H, W), row differences
    first, and volumes (B, C, D, H, W) have gradients (B, 3, C, D, H, W).

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)

    Raises
    ------
    ShapeError
        If the images have no axis of space.

    Notes
    -----
    :math:`D^T D` is the Laplacian with Neumann borders, so that :math:`\|D\|^2 = \sum_a 4 \cos^2(\pi / 2 n_a)`.

    Examples
    --------
    >>> D = FiniteDifferences((1, 2, 2))
    >>> D(torch.tensor([[[[0.0, 1.0], [3.0, 6.0]]]])).flatten().tolist()
    [3.0, 5.0, 0.0, 0.0, 1.0, 0.0, 3.0, 0.0]
    """

    image_shape: tuple[int, ...]

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        image_shape = fixed_shape("FiniteDifferences", image_shape)
        if len(image_shape) < 2:
            raise ShapeError(f"FiniteDifferences expects an image shape with channels and space, got {image_shape}.")
        super().__init__(image_shape, (len(image_shape) - 1, *image_shape))

    def _forward(self, x: Tensor) -> Tensor:
        differences = x.new_zeros(len(x), len(self.image_shape) - 1, *x.shape[1:])
        for index, axis in enumerate(self._axes()):
            differences.select(1, index).narrow(axis, 0, x.shape[axis] - 1).copy_(x.diff(dim=axis))
        return differences

    def _adjoint(self, y: Tensor) -> Tensor:
        """Return minus the divergence."""
        total = torch.zeros_like(y[:, 0])
        for part, axis in zip(y.unbind(1), self._axes(), strict=True):
            count = part.shape[axis] - 1
            inside = part.narrow(axis, 0, count)
            total.narrow(axis, 1, count).add_(inside)
            total.narrow(axis, 0, count).sub_(inside)
        return total

    def _axes(self) -> range:
        return range(1 - len(self.image_shape), 0)

    def _norm(self) -> Tensor:
        squared = sum(4 * math.cos(math.pi / (2 * size)) ** 2 for size in self.image_shape[1:])
        return self._marker.new_full((1,), math.sqrt(squared))
