"""Restriction: only a window of the image is measured."""

from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import fixed_shape
from wellposed.operators.base import LinearOperator

__all__ = ["Crop"]


class Crop(LinearOperator):
    r"""Cut a window out of the image; the adjoint pads with zeros.

    .. math:: y = R x, \qquad R R^T = I

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    corner : tuple of int, (top, left) or (front, top, left)
        First pixel of the window.
    size : tuple of int, (height, width) or (depth, height, width)
        Size of the window.

    Raises
    ------
    ShapeError
        If the window leaves the image.

    Examples
    --------
    >>> A = Crop((1, 4, 4), corner=(1, 2), size=(2, 2))
    >>> A(torch.arange(16.0).reshape(1, 1, 4, 4)).flatten().tolist()
    [6.0, 7.0, 10.0, 11.0]
    """

    tags = frozenset({"coisometry"})
    image_shape: tuple[int, ...]

    def __init__(self, image_shape: tuple[int, ...], corner: tuple[int, ...], size: tuple[int, ...]) -> None:
        image_shape, corner, size = fixed_shape("Crop", image_shape), _whole("corner", corner), _whole("size", size)
        space = image_shape[1:]
        if not len(space) == len(corner) == len(size) or any(
            first < 0 or length < 1 or first + length > whole
            for first, length, whole in zip(corner, size, space, strict=True)
        ):
            raise ShapeError(f"Crop of size {size} at {corner} leaves images of size {space}.")
        super().__init__(image_shape, (image_shape[0], *size))
        self.corner, self.size = corner, size

    def _forward(self, x: Tensor) -> Tensor:
        window = [slice(first, first + length) for first, length in zip(self.corner, self.size, strict=True)]
        return x[(slice(None), slice(None), *window)]

    def _adjoint(self, y: Tensor) -> Tensor:
        margins = []
        space = zip(self.corner, self.size, self.image_shape[1:], strict=True)
        for first, length, whole in reversed(list(space)):
            margins += [first, whole - first - length]
        return torch.nn.functional.pad(y, margins)

    def _norm(self) -> Tensor:
        return self._marker.new_ones(1)

    def _pinv(self, y: Tensor) -> Tensor:
        return self._adjoint(y)

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return z + self._adjoint(gamma / (1 + gamma) * (y - self._forward(z)))


def _whole(name: str, numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, (tuple, list)) or any(not isinstance(number, int) for number in numbers):
        raise ShapeError(
            f"Crop expects {name} to be a tuple of whole numbers, one for each axis of space; got {numbers!r}."
        )
    return tuple(numbers)
