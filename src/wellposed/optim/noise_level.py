"""How strong the noise is, in the measurements and once it has gone back to the image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.noise import NoiseModel
from wellposed.physics import Physics

__all__ = ["NoiseLevels", "noise_levels"]


class NoiseLevels(NamedTuple):
    """Root mean squares of the noise, shape (B,)."""

    measurements: Tensor
    """Of n itself, over the entries of the measurements."""
    image: Tensor
    """Of A^H n, over the pixels of the image."""


@torch.no_grad()
def noise_levels(y: Tree, physics: Physics) -> NoiseLevels:
    r"""Estimate how strong the noise n and its backprojection :math:`A^H n` are in each image.

    The noise has the standard deviation that the noise model gives around the measurements themselves, and one fixed
    draw of it, the same for every image, is sent back through the adjoint. The second level is the scale of the random
    part of the gradient of a least squares data term, hence of the weight that keeps a regularised image from following
    the noise.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
        With a linear operator.

    Raises
    ------
    UnsupportedError
        If the variance of the noise model is not known.
    """
    generator = torch.Generator().manual_seed(0)
    deviation = _standard_deviation(physics.noise, y)
    draw = tree_map(lambda leaf, std: std * normal_like(leaf[:1], generator), y, deviation)
    return NoiseLevels(_root_mean_square(draw), _root_mean_square(physics.A_adjoint(draw)))


def _standard_deviation(noise: NoiseModel, y: Tree) -> Tree:
    """Return the standard deviation of the noise around y, averaged over each image, which y only estimates."""
    clean = tree_map(lambda leaf: leaf if leaf.is_complex() else leaf.clamp_min(0), y)
    return tree_map(lambda leaf: leaf.flatten(1).mean(1).sqrt().view(-1, *[1] * (leaf.ndim - 1)), noise.variance(clean))


def _root_mean_square(tree: Tree) -> Tensor:
    """Return the root mean square of each image; for complex ones, of the real and imaginary part."""
    count = sum(leaf[0].numel() * (2 if leaf.is_complex() else 1) for leaf in tree_leaves(tree))
    return norm(tree) / count**0.5
