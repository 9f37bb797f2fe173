"""Demosaicing: a camera sees one colour at each pixel, through a Bayer filter."""

from typing import Literal

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.names import check_name
from wellposed.core.shapes import fixed_shape
from wellposed.operators.base import LinearOperator

__all__ = ["BayerMosaic"]

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


class BayerMosaic(LinearOperator):
    r"""Keep one of the three colours at each pixel, as the raw file of a camera does.

    .. math:: y_{ij} = x_{c(i, j), i, j}, \qquad c(i, j) \text{ repeats with period } 2 \times 2

    Each measurement sees one colour, so :math:`A A^T = I`: the pseudo-inverse is the adjoint, and the normal operator
    is a mask.

    Parameters
    ----------
    image_shape : tuple of int, (3, H, W)
        Red, green, blue.
    pattern : {"RGGB", "BGGR", "GRBG", "GBRG"}
        Colours of the top left square of 2 x 2 pixels, row by row.

    Raises
    ------
    ShapeError
        If the image has not three channels.
    UnknownNameError
        If there is no such pattern.

    References
    ----------
    Bayer, *Color imaging array*, US patent 3,971,065 (1976).

    Examples
    --------
    >>> A = BayerMosaic((3, 2, 2), pattern="GRBG")
    >>> image = torch.arange(3.0).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    >>> A(image).flatten().tolist()
    [1.0, 0.0, 2.0, 1.0]
    """

    tags = frozenset({"coisometry"})
    image_shape: tuple[int, int, int]

    def __init__(self, image_shape: tuple[int, ...], pattern: Literal["RGGB", "BGGR", "GRBG", "GBRG"] = "RGGB") -> None:
        image_shape = fixed_shape("BayerMosaic", image_shape)
        if len(image_shape) != 3 or image_shape[0] != 3:
            raise ShapeError(f"BayerMosaic expects an image shape (3, H, W), got {image_shape}.")
        _, height, width = image_shape
        super().__init__((3, height, width), (1, height, width))
        self.pattern = check_name("Bayer pattern", pattern, PATTERNS)

    def _sites(self) -> list[tuple[int, int, int]]:
        """Return (channel, first row, first column) of the four pixels of a square."""
        return [("RGB".index(colour), i // 2, i % 2) for i, colour in enumerate(self.pattern)]

    def _forward(self, x: Tensor) -> Tensor:
        return (self._selected(x) * x).sum(1, keepdim=True)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._selected(y) * y

    def _gram(self, x: Tensor) -> Tensor:
        return self._selected(x) * x

    def _norm(self) -> Tensor:
        return self._marker.new_ones(1)

    def _pinv(self, y: Tensor) -> Tensor:
        return self._adjoint(y)

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return torch.where(self._selected(y) > 0, (z + gamma * y) / (1 + gamma), z)

    def _selected(self, like: Tensor) -> Tensor:
        """Return the mask of the colours that are seen, shape (1, 3, H, W)."""
        height, width = self.image_shape[-2:]
        square = torch.zeros(3, 2, 2, dtype=like.dtype.to_real(), device=like.device)
        for channel, row, column in self._sites():
            square[channel, row, column] = 1
        return square.repeat(1, -(-height // 2), -(-width // 2))[None, :, :height, :width]
