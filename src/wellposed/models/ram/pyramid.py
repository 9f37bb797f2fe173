"""What RAM needs to know of the physics: one operator on real channels, on four grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.models.ram.blocks import Conditioning
from wellposed.operators import Coarse, Downsample, FromFunctions, LinearOperator

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
    at_once = _takes_any_batch(operator)
    with torch.autocast(backprojection.device.type, enabled=False):
        return [_conditioning(*_on_grid(operator, backprojection, factor), at_once=at_once) for factor in factors]


def _on_grid(
    operator: LinearOperator, backprojection: Tensor, factor: int
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the backprojection and the scaled normal operator f^2 A_s^H A_s on a coarser grid."""
    if factor == 1:
        return backprojection, operator._gram
    coarse = Coarse(operator, factor, _FILTER)
    shrink = Downsample(factor, tuple(backprojection.shape[1:]), coarse.filter)
    normal = coarse.gram_function()
    return shrink(backprojection), lambda image: factor**2 * normal(image)


def _conditioning(coarse: Tensor, normal: Callable[[Tensor], Tensor], *, at_once: bool) -> Conditioning:
    """Put the images of one grid, and what its normal operator takes and gives, into real channels."""
    measured = _channels(coarse)

    def of_each(images: Tensor) -> Tensor:
        return _channels(normal(_image(images, like=coarse)))

    def on_channels(images: Tensor) -> Tensor:
        batch, channels, count = len(images), measured.shape[1], images.shape[1] // measured.shape[1]
        with torch.autocast(images.device.type, enabled=False):
            images = images.to(measured.dtype)
            if not at_once:
                return torch.cat([of_each(image) for image in images.chunk(count, dim=1)], dim=1)
            return of_each(images.reshape(batch * count, channels, *images.shape[2:])).reshape(images.shape)

    return Conditioning(torch.cat([measured, _channels(normal(coarse))], dim=1), on_channels)


def _takes_any_batch(operator: LinearOperator) -> bool:
    """Tell whether several images of one measurement may go through at once: where all images share the parameters.

    Functions from elsewhere are not trusted to.
    """
    return operator.parameter_batch == 1 and not any(isinstance(part, FromFunctions) for part in operator.modules())


def _channels(image: Tensor) -> Tensor:
    return complex_to_channels(image) if image.is_complex() else image


def _image(channels: Tensor, *, like: Tensor) -> Tensor:
    return channels_to_complex(channels) if like.is_complex() else channels
