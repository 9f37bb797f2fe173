"""The weight of an image in the loss, by how strong its signal is against its noise."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.physics import Physics

__all__ = ["snr_weight"]

_LEAST_SIGMA = 1e-3


@torch.no_grad()
def snr_weight(y: Tree, physics: Physics) -> Tensor:
    r"""Return how much each image counts, :math:`\omega = \|A^T y\| / \sigma`, shape (B,).

    Both are root mean squares, over the numbers of the image and of the measurements (the real and imaginary part of a
    complex number are two), so that the weight does not depend on the size of the crop. :math:`\sigma` is the standard
    deviation that the noise model has around the measurements, whatever its family, and at least 0.001, so that clean
    measurements have a finite weight.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
        With a linear operator.

    Raises
    ------
    UnsupportedError
        If the variance of the noise model is not known.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*, 2025,
    arXiv:2503.08915, section 4.1.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> snr_weight(torch.full((1, 1, 4, 4), 0.5), physics)
    tensor([5.])
    """
    clean = tree_map(lambda leaf: leaf if leaf.is_complex() else leaf.clamp_min(0), y)
    variance = zip(tree_leaves(physics.noise.variance(clean)), tree_leaves(y), strict=True)
    total = torch.stack([_parts(leaf) * per_leaf.flatten(1).sum(1) for per_leaf, leaf in variance]).sum(0)
    sigma = (total / _count(y)).sqrt().clamp_min(_LEAST_SIGMA)
    back = physics.A_adjoint(y)
    return norm(back) / _count(back) ** 0.5 / sigma


def _count(tree: Tree) -> int:
    """Return how many real numbers one image of a batch has."""
    return sum(leaf[0].numel() * _parts(leaf) for leaf in tree_leaves(tree))


def _parts(leaf: Tensor) -> int:
    return 2 if leaf.is_complex() else 1
