"""What RAM needs to know of the physics: one operator on real channels, on four grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.models.ram.blocks import Conditioning
from wellposed.operators import Downsample, LinearOperator

__all__ = ["build_pyramid"]

_FILTER = "sinc"


def build_pyramid(operator: LinearOperator, backprojection: Tensor, factors: Sequence[int]) -> list[Conditioning]:
    r"""Condition each scale on the operator :math:`A_s = A U_s` of its coarser grid.

    Parameters
    ----------
    operator : LinearOperator
        A, on images (C, H, W) whose sizes are multiples of the largest factor.
    backprojection : Tensor, shape (B, C, H, W)
        A^H y, complex if the images are.
    factors : sequence of int
        Of the grids, 1 for the image's own.
    """
    is_complex = backprojection.is_complex()
    levels = []
    for factor in factors:
        coarse, normal = _on_grid(operator, backprojection, factor)
        levels.append(_conditioning(coarse, normal, is_complex=is_complex))
    return levels


def _on_grid(
    operator: LinearOperator, backprojection: Tensor, factor: int
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the backprojection and the scaled normal operator on a coarser grid."""
    if factor == 1:
        return backprojection, operator.gram
    shrink = Downsample(factor, tuple(backprojection.shape[1:]), _FILTER).to(backprojection.device, operator.dtype)
    normal = (operator @ shrink.H).gram
    return shrink(backprojection), lambda image: factor**2 * normal(image)


def _conditioning(coarse: Tensor, normal: Callable[[Tensor], Tensor], *, is_complex: bool) -> Conditioning:
    measured = [coarse, normal(coarse)]
    if not is_complex:
        return Conditioning(torch.cat(measured, dim=1), normal)
    return Conditioning(
        torch.cat([complex_to_channels(image) for image in measured], dim=1),
        lambda channels: complex_to_channels(normal(channels_to_complex(channels))),
    )
