"""Reconstruct in one pass: a direct inverse, and an image network that removes its artefacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor, nn

from wellposed.core.complex_view import real_view
from wellposed.core.names import check_name
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, per_image, tree_map
from wellposed.models.base import Denoiser
from wellposed.optim import noise_levels
from wellposed.physics import Physics, as_physics

__all__ = ["ArtifactRemoval"]


@final
class ArtifactRemoval(nn.Module):
    r"""Send the measurements back to the image, and correct the result with a network.

    .. math:: \hat x = D(A^H y) \qquad\text{or}\qquad \hat x = D(A^+ y)

    A `Denoiser` that is told the noise level gets that of the backprojected noise, :math:`A^H n` or :math:`A^+ n`.

    Parameters
    ----------
    network : callable
        A `Denoiser`, or any `network(image)`. Complex images ask for a `ComplexDenoiser`.
    mode : {"adjoint", "pinv"}
        How the measurements are sent back.

    Raises
    ------
    UnknownNameError
        If there is no such mode.

    References
    ----------
    Jin, McCann, Froustey, Unser, *Deep convolutional neural network for inverse problems in imaging*, IEEE Trans. Image
    Processing 26 (2017), doi:10.1109/TIP.2017.2713099.

    Examples
    --------
    >>> import wellposed as wp
    >>> from wellposed.models import UNet
    >>> physics = wp.Physics(wp.operators.Mask(torch.ones(1, 1, 8, 8), image_shape=(1, 8, 8)))
    >>> ArtifactRemoval(UNet(channels=1, width=4, levels=2))(torch.rand(2, 1, 8, 8), physics).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, network: Callable[..., Tensor], mode: Literal["adjoint", "pinv"] = "adjoint") -> None:
        super().__init__()
        self.network = network
        self.mode = check_name("mode", mode, ("adjoint", "pinv"))

    def forward(self, y: Tree, physics: Physics, *, exposure: Tensor | None = None) -> Tensor:
        """Reconstruct images.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator; also one of DeepInverse.
        exposure : Tensor, shape (B,), optional
            The noise level for the denoiser, by default what `expose` reads.

        Returns
        -------
        Tensor, shape (B, *image_shape)

        Raises
        ------
        UnsupportedError
            If the operator is not linear.
        ShapeError, DTypeError
            If the measurements do not fit the physics, or the image not the network.
        """
        physics = as_physics(physics, y)
        image = self._back(y, physics)
        if exposure is None:
            exposure = self.expose(y, physics)
        return self.network(image) if exposure is None else self.network(image, exposure)

    def expose(self, y: Tree, physics: Physics) -> Tensor | None:
        """Return the level of the backprojected noise in each image as a whole, if the network reads one."""
        if not isinstance(self.network, Denoiser) or self.network.blind:
            return None
        return self._noise_level(y, as_physics(physics, y))

    def _back(self, y: Tree, physics: Physics) -> Tensor:
        return physics.A_adjoint(y) if self.mode == "adjoint" else physics.A_dagger(y)

    @torch.no_grad()
    def _noise_level(self, y: Tree, physics: Physics) -> Tensor:
        """Return the root mean square of the backprojected noise in each image, shape (B,)."""
        levels = noise_levels(y, physics)
        if self.mode == "adjoint":
            return levels.image
        generator = torch.Generator().manual_seed(0)
        draw = tree_map(lambda leaf: per_image(levels.measurements, leaf) * normal_like(leaf[:1], generator), y)
        noise = self._back(draw, physics)
        return (real_view(noise) if noise.is_complex() else noise).flatten(1).square().mean(1).sqrt()
