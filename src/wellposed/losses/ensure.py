"""ENSURE: Stein's estimate for images that are measured in different places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, tree_map
from wellposed.losses._noise_levels import levels
from wellposed.losses._residuals import one_tensor
from wellposed.losses._stein import Noise, SteinLoss, total_variance
from wellposed.operators import CartesianMRI, Mask
from wellposed.physics import Physics

__all__ = ["ENSURE"]


@final
@dataclass(frozen=True)
class ENSURE(SteinLoss):
    r"""Estimate the error in all numbers, measured or not, from images with different masks.

    .. math:: \ell = \tfrac1m \Big( \|W^{1/2} (A f(y) - y)\|^2 + 2 \sum_i w_i v_i \frac{\partial (A f)_i}{\partial y_i}
        - \sum_i w_i v_i \Big), \qquad w_i = \frac{s_i}{p_i}

    with s the mask and :math:`p_i` the probability that a number is measured, over the operators of different images.
    Rare measurements count for those that were not made: :math:`E[w_i] = 1`. Given the mask, the mean over the noise is
    the squared error weighted by W, as for `SURE`; the mean over the masks too is the whole squared error, for a
    network whose error in a number does not depend on whether that was measured, and nearly so for one trained on many
    masks. Two evaluations in training, one at test.

    Parameters
    ----------
    sampling : Tensor, shape broadcasting to the measurements
        p, above 0 wherever something is measured.
    step : float, optional
        As in `SURE`.

    Raises
    ------
    ArgumentError
        If the step is not between 0 and 1; on a call, if the network is one that draws its input.
    UnsupportedError
        On a call, if the operator has no mask, or the noise is not of known level.

    References
    ----------
    Aggarwal, Pramanik, John, Jacob, *ENSURE: a general approach for unsupervised training of deep image reconstruction
    algorithms*, IEEE Trans. Medical Imaging 42 (2023), arXiv:2010.10631.

    Examples
    --------
    Half of the pixels are measured; the error of a black image is its energy.

    >>> import wellposed as wp
    >>> mask = (torch.rand(500, 1, 8, 8) < 0.5).float()
    >>> physics = wp.Physics(wp.operators.Mask(mask), wp.noise.Gaussian(0.1))
    >>> y = mask * physics(torch.ones(500, 1, 8, 8))
    >>> loss = ENSURE(torch.full((1, 1, 8, 8), 0.5))
    >>> black = torch.zeros_like(y)
    >>> value = loss(x_hat=black, y=y, physics=physics, model=lambda y, physics: 0 * y).mean()
    >>> bool(abs(value - 1) < 0.03)
    True
    """

    sampling: Tensor = field(repr=False, compare=False)

    def _noise(self, y: Tree, physics: Physics, probe: Tree) -> Noise:
        y = one_tensor("ENSURE", y)
        operator = physics.operator
        if not isinstance(operator, (Mask, CartesianMRI)):
            raise UnsupportedError(
                f"ENSURE is for operators with a mask, Mask or CartesianMRI, and this is {type(operator).__name__}: "
                "use SURE."
            )
        weight = (operator.mask != 0).to(y.real.dtype) / self.sampling.to(y.device, y.real.dtype)
        weight = torch.nan_to_num(weight, nan=0.0).expand_as(y.real)
        variance = tree_map(lambda leaf: weight * leaf, levels("ENSURE", y, physics).at(y))
        return Noise(tree_map(torch.mul, variance, probe), total_variance(variance, y), weight)
