"""A prior that is known by its gradient alone, and such a gradient: filters, curves, and the filters back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from wellposed.core.arguments import check_counts
from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.core.errors import ShapeError
from wellposed.core.tree import per_image
from wellposed.optim import Functional

__all__ = ["FieldOfExperts", "GradientField"]


@dataclass(frozen=True)
class GradientField(Functional):
    """A prior that is known by its gradient alone; there need not be a function of which it is the gradient.

    Parameters
    ----------
    field : callable
        ``gradient = field(x)``
    """

    field: Callable[[Tensor], Tensor]
    convex = False

    def value(self, x: Tensor) -> Tensor:
        """Return NaN for each image, shape (B,): it is not known."""
        return x.real.new_full((len(x),), torch.nan)

    def gradient(self, x: Tensor) -> Tensor:
        """Return the field."""
        return self.field(x)


@final
class FieldOfExperts(nn.Module):
    r"""The gradient of a sum of learned functions of filtered images.

    .. math:: R(x) = s \sum_i K_i^T\, \phi_i(K_i\, x / s), \qquad
        \phi_i(t) = \sum_j w_{ij}\, e^{-(t - \mu_j)^2 / 2 \delta^2}

    The filters have mean zero and norm one; the centres :math:`\mu_j` lie between -1 and 1 at distances delta. The
    scale s is the largest magnitude of the image, so that its unit does not matter. Complex images are two channels,
    seen by one filter together.

    Parameters
    ----------
    channels : int
        Real channels of the images.
    filters : int
        How many filters.
    size : int
        Their height and width, odd.
    centres : int
        How many Gaussians a curve is made of, at least two.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero.
    ShapeError
        If the size is even.

    References
    ----------
    Roth and Black, *Fields of experts*, Int. J. Computer Vision 82 (2009). Hammernik, Klatzer, Kobler, Recht,
    Sodickson, Pock, Knoll, *Learning a variational network for reconstruction of accelerated MRI data*, Magn. Reson.
    Med. 79 (2018), arXiv:1704.00447.
    """

    nodes: Tensor

    def __init__(self, channels: int = 2, filters: int = 48, size: int = 11, centres: int = 31) -> None:
        super().__init__()
        check_counts("FieldOfExperts", channels=channels, filters=filters, size=size, centres=centres - 1)
        if size % 2 == 0:
            raise ShapeError(f"FieldOfExperts expects filters of an odd size, got {size}.")
        self.channels, self.filters, self.size, self.centres = channels, filters, size, centres
        self.kernels = nn.Parameter(torch.randn(filters, channels, size, size))
        self.register_buffer("nodes", torch.linspace(-1, 1, centres), persistent=False)
        self.curves = nn.Parameter(0.04 * self.nodes.repeat(filters, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the gradient at images (B, C, H, W), real or complex."""
        scale = x.abs().flatten(1).amax(1)
        scale = per_image(torch.where(scale > 0, scale, 1), x)
        parts = complex_to_channels(x / scale) if x.is_complex() else x / scale
        if parts.shape[1] != self.channels:
            raise ShapeError(
                f"FieldOfExperts was built for images of {self.channels} real channels, got {parts.shape[1]} (a "
                f"complex one counts as two): build it with channels={parts.shape[1]}."
            )
        kernels = self.kernels - self.kernels.mean((1, 2, 3), keepdim=True)
        kernels = kernels / torch.linalg.vector_norm(kernels, dim=(1, 2, 3), keepdim=True)
        responses = functional.conv2d(parts, kernels, padding=self.size // 2)
        gradient = functional.conv_transpose2d(self._curved(responses), kernels, padding=self.size // 2).to(parts.dtype)
        return scale * (channels_to_complex(gradient) if x.is_complex() else gradient)

    def _curved(self, responses: Tensor) -> Tensor:
        """Apply the curve of each filter to what it sees, (B, filters, H, W)."""
        distance = (responses[..., None] - self.nodes) * ((self.centres - 1) / 2)
        bumps = (-distance.square() / 2).exp()
        return torch.einsum("bfhwj,fj->bfhw", bumps, self.curves)
