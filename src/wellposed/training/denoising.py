"""Train a denoiser as any other reconstructor: its noise level is that of the physics."""

from __future__ import annotations

from typing import cast, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree
from wellposed.models.base import Denoiser
from wellposed.operators import Identity
from wellposed.physics import Physics

__all__ = ["Denoising"]


@final
class Denoising(nn.Module):
    r"""A denoiser that takes measurements :math:`y = x + n` and their physics, :math:`\hat x = D(y, \sigma)`.

    :math:`\sigma` is the root mean square of the standard deviation that the noise model has around y, image by image:
    that of Gaussian noise exactly, also where every image has its own.

    Parameters
    ----------
    denoiser : Denoiser

    Raises
    ------
    UnsupportedError
        On a call, if the operator is not the identity: `ArtifactRemoval` is for others.

    Examples
    --------
    >>> import wellposed as wp
    >>> denoiser = wp.models.DenoiserTiny(channels=1)
    >>> y, physics = torch.rand(2, 1, 16, 16), wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> torch.equal(Denoising(denoiser)(y, physics), denoiser(y, 0.1))
    True
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, y: Tree, physics: Physics) -> Tensor:
        """Denoise images, shape (B, C, H, W)."""
        if not isinstance(physics.operator, Identity) or not isinstance(y, Tensor):
            raise UnsupportedError(
                f"{type(self.denoiser).__name__} is a denoiser and learns from noisy images, not from measurements of "
                f"{type(physics.operator).__name__}: train it on denoising, or wrap it in ArtifactRemoval."
            )
        return self.denoiser(y, None if self.denoiser.blind else _level(y, physics))


@torch.no_grad()
def _level(y: Tensor, physics: Physics) -> Tensor:
    """Return the standard deviation of the noise in each image, shape (B,)."""
    around = y if y.is_complex() else y.clamp_min(0)
    return cast("Tensor", physics.noise.variance(around)).flatten(1).mean(1).sqrt()
