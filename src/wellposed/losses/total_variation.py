"""Total variation of the reconstruction, as a helper of other losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import pad

from wellposed.core.complex_view import real_view
from wellposed.core.tree import Tree
from wellposed.losses.base import Loss, Reconstructor
from wellposed.physics import Physics

__all__ = ["TotalVariation"]


@final
@dataclass(frozen=True)
class TotalVariation(Loss):
    r"""Penalise the slopes of the reconstruction.

    .. math:: \ell = \tfrac1n \sum_i \| (\nabla \hat x)_i \|_2

    The gradient is made of differences to the next pixel along each axis, none beyond the border; of complex images
    both parts count. It says nothing about the measurements: it is added with a small weight to a loss that does. No
    evaluation of its own.

    References
    ----------
    Rudin, Osher, Fatemi, *Nonlinear total variation based noise removal algorithms*, Physica D 60 (1992),
    doi:10.1016/0167-2789(92)90242-F.

    Examples
    --------
    >>> import wellposed as wp
    >>> x_hat = torch.tensor([[[[0.0, 3.0], [4.0, 0.0]]]])
    >>> TotalVariation()(x_hat=x_hat, y=x_hat, physics=wp.Physics(wp.operators.Identity()), model=None)
    tensor([3.])
    """

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,  # noqa: ARG002
        physics: Physics,  # noqa: ARG002
        model: Reconstructor,  # noqa: ARG002
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        image = real_view(x_hat).movedim(-1, 2).flatten(1, 2) if x_hat.is_complex() else x_hat
        slopes = [_slope(image, axis) for axis in range(2, image.ndim)]
        if x_hat.is_complex():
            slopes = [part for slope in slopes for part in (slope[:, ::2], slope[:, 1::2])]
        return torch.linalg.vector_norm(torch.stack(slopes), dim=0).flatten(1).mean(1)


def _slope(image: Tensor, axis: int) -> Tensor:
    """Return the differences to the next number along an axis, 0 at its end."""
    padding = [0, 0] * (image.ndim - 1 - axis) + [0, 1]
    return pad(image.diff(dim=axis), padding)
