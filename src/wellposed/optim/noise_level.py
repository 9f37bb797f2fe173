"""How strong the noise is once it has gone back to the image: the scale by which regularisation is weighted."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.noise import NoiseModel
from wellposed.operators import LinearOperator
from wellposed.physics import Physics

__all__ = ["backprojected_noise"]


@torch.no_grad()
def backprojected_noise(y: Tree, physics: Physics) -> Tensor:
    r"""Return the root mean square of :math:`A^H n` over the pixels of each image, shape (B,).

    The noise n has the standard deviation that the noise model gives around the measurements themselves, and one fixed
    draw of its shape is sent back through the adjoint. It is the scale of the random part of the gradient of a least
    squares data term, hence of the weight that keeps a regularised image from following the noise.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
        With a linear operator.
    """
    generator = torch.Generator().manual_seed(0)
    deviation = _standard_deviation(physics.noise, y)
    draw = tree_map(lambda leaf, std: std * normal_like(leaf, generator), y, deviation)
    operator: LinearOperator = physics.operator  # type: ignore[assignment]
    back = operator.adjoint(draw)
    return norm(back) / tree_leaves(back)[0][0].numel() ** 0.5


def _standard_deviation(noise: NoiseModel, y: Tree) -> Tree:
    """Return the standard deviation of the noise around y, averaged over each image, which y only estimates."""
    clean = tree_map(lambda leaf: leaf if leaf.is_complex() else leaf.clamp_min(0), y)
    return tree_map(lambda leaf: leaf.flatten(1).mean(1).sqrt().view(-1, *[1] * (leaf.ndim - 1)), noise.variance(clean))
