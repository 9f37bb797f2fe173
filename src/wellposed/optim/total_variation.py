"""Total variation: the sum of the lengths of the gradient, small for images made of smooth or flat regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.tree import per_image
from wellposed.operators import FiniteDifferences

__all__ = ["TotalVariation"]


@dataclass(frozen=True)
class TotalVariation:
    r"""Isotropic total variation, with edges shared by the channels.

    .. math:: g(x) = \sum_i \Big( \sum_{a, c} |(D x)_{a, c, i}|^2 \Big)^{1/2}

    Directions and channels are gathered under one root, so that rotating the image or mixing its colours leaves the
    value as it is.

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)

    References
    ----------
    Rudin, Osher, Fatemi, Physica D 60 (1992). Blomgren and Chan, *Color TV*, IEEE TIP 7 (1998). Condat, *Discrete total
    variation: new definition and minimization*, SIAM J. Imaging Sci. 10 (2017).

    Examples
    --------
    >>> step = torch.zeros(1, 1, 4, 4)
    >>> step[..., 2:] = 1
    >>> TotalVariation((1, 4, 4)).value(step).item()
    4.0
    """

    image_shape: tuple[int, ...]

    @cached_property
    def analysis(self) -> FiniteDifferences:
        """The linear part D, of which the value is a norm."""
        return FiniteDifferences(self.image_shape)

    def value(self, x: Tensor) -> Tensor:
        """Return g of each image, shape (B,)."""
        return torch.linalg.vector_norm(self.analysis(x), dim=(1, 2)).flatten(1).sum(1)

    def project_dual(self, u: Tensor, radius: Tensor) -> Tensor:
        """Return the nearest dual variable whose vectors are no longer than `radius`, shape (B,) or (1,)."""
        radius = per_image(radius, u)
        longest = torch.maximum(_squared_lengths(u), radius.square()).clamp_min(torch.finfo(radius.dtype).tiny)
        return u * (radius * longest.rsqrt())


def _squared_lengths(u: Tensor) -> Tensor:
    """Return the squared length of the vector at each pixel, over directions and channels."""
    squared = real_view(u).square().sum(-1) if u.is_complex() else u.square()
    return squared.sum(dim=(1, 2), keepdim=True)
