"""What RAM needs to know of the physics: one operator on real channels, on four grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.models.ram.blocks import Conditioning
from wellposed.operators import Coarse, Downsample, LinearOperator

__all__ = ["build_pyramid"]

_FILTER = "sinc"


def build_pyramid(operator: LinearOperator, backprojection: Tensor, factors: Sequence[int]) -> list[Conditioning]:
    r"""Condition each scale on the operator :math:`A_s = A U_s` of its coarser grid.

    The operator works in its own precision, also under autocast.

    Parameters
    ----------
    operator : LinearOperator
        A, on images (C, H, W) whose sizes are known, and multiples of the largest factor.
    backprojection : Tensor, shape (B, C, H, W)
        A^H y, complex if the images are.
    factors : sequence of int
        Of the grids, 1 for the image's own.
    """
    with torch.autocast(backprojection.device.type, enabled=False):
        return [_conditioning(*_on_grid(operator, backprojection, factor)) for factor in factors]


def _on_grid(
    operator: LinearOperator, backprojection: Tensor, factor: int
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the backprojection and the scaled normal operator f^2 A_s^H A_s on a coarser grid."""
    if factor == 1:
        return backprojection, operator.gram
    coarse = Coarse(operator, factor, _FILTER)
    shrink = Downsample(factor, tuple(backprojection.shape[1:]), coarse.filter)
    return shrink(backprojection), (factor * coarse).gram


def _conditioning(coarse: Tensor, normal: Callable[[Tensor], Tensor]) -> Conditioning:
    """Put the images of one grid, and what its normal operator takes and gives, into real channels."""

    def on_channels(image: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):
            return _channels(normal(_image(image.to(coarse.dtype.to_real()), like=coarse)))

    return Conditioning(torch.cat([_channels(coarse), _channels(normal(coarse))], dim=1), on_channels)


def _channels(image: Tensor) -> Tensor:
    return complex_to_channels(image) if image.is_complex() else image


def _image(channels: Tensor, *, like: Tensor) -> Tensor:
    return channels_to_complex(channels) if like.is_complex() else channels
