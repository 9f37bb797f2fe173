"""Rotations about the centre: quarter turns, which are exact, and all others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.transforms._permutation import one_of, pixel_numbers
from wellposed.transforms._warp import Border, Interpolation, check_resampling, projective_warp
from wellposed.transforms.base import Motion, Transform, uniform, whole_numbers

__all__ = ["Rotate", "rotation"]


@final
@dataclass(frozen=True)
class Rotate(Transform):
    r"""Rotate images about their centre, anticlockwise as they are seen.

    Multiples of a quarter turn move pixels onto pixels; other rotations interpolate.

    Parameters
    ----------
    order : int, optional
        How many rotations there are: multiples of :math:`2\pi` / order. None: any angle.
    limit : float
        With any angle: the largest one, in radians, to either side.
    border : {"reflection", "border", "zeros"}
        What lies beyond the image.
    interpolation : {"bilinear", "bicubic", "nearest"}
    per_image : bool

    Raises
    ------
    ArgumentError
        If `order` is not a whole number above 0, or the limit not between 0 and pi.
    UnknownNameError
        If there is no such border or interpolation.
    ShapeError
        On a call, if images are not square and quarter turns are wanted: `order=2` has half turns.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> Rotate()(x, generator=torch.Generator().manual_seed(0))
    tensor([[[[2., 4.],
              [1., 3.]]]])
    >>> Rotate().exact, Rotate(order=None).exact
    (True, False)
    """

    order: int | None = 4
    limit: float = math.pi
    border: Border = "reflection"
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.order is not None:
            check_whole("Rotate", "order", self.order, least=1)
        if not 0 < self.limit <= math.pi:
            raise ArgumentError(f"Rotate expects a limit above 0 and at most pi, in radians, got {self.limit!r}.")
        check_resampling(self.border, self.interpolation)

    @property
    def exact(self) -> bool:
        """Whether there are only multiples of a quarter turn."""
        return self.order in (1, 2, 4)

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        if self.order is None:
            return self._warp(self.limit * (2 * uniform(x, count, generator=generator) - 1))
        choice = whole_numbers(x, count, self.order, generator=generator)
        if not self.exact:
            return self._warp(choice.to(real_dtype(x.dtype)) * (2 * math.pi / self.order))
        if self.order == 4 and x.shape[-2] != x.shape[-1]:
            raise ShapeError(
                f"Rotate turns square images by quarters, and these are {x.shape[-2]} x {x.shape[-1]}: "
                "crop them, or use Rotate(order=2) @ Reflect()."
            )
        numbers = pixel_numbers(x)
        return one_of([numbers.rot90(4 // self.order * turn) for turn in range(self.order)], choice)

    def _warp(self, angle: Tensor) -> Motion:
        return projective_warp(rotation(angle), self.border, self.interpolation)


def rotation(angle: Tensor) -> Tensor:
    """Return the matrices (B, 3, 3) that turn points anticlockwise; the second axis points down."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [[cos, sin, zero], [-sin, cos, zero], [zero, zero, one]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
