"""What the losses share that estimate a risk by Stein's lemma."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.losses._divergence import check_step, probed_trace
from wellposed.losses._noise_levels import real_parts
from wellposed.losses._residuals import count, difference, mean_square
from wellposed.losses.base import Loss, Reconstructor
from wellposed.losses.drawn_input import check_not_drawn
from wellposed.physics import Physics


class Noise(NamedTuple):
    r"""The noise as Stein's lemma needs it, under the weights of the loss."""

    weighted: Tree
    r""":math:`W \Sigma \omega` for the probe :math:`\omega`."""
    total: Tensor | float
    r""":math:`\mathrm{tr}(W \Sigma)` or an estimate of it, shape (B,)."""
    weight: Tree | None = None
    """The diagonal of W; None: the identity."""


@dataclass(frozen=True)
class SteinLoss(Loss):
    r"""A residual, and how much the reconstruction moves with the noise.

    .. math:: \ell = \tfrac1m \Big( \|W^{1/2} (A f(y) - y)\|^2 + 2\, \mathrm{tr}\, (W \Sigma J)
        - \mathrm{tr}\, (W \Sigma) \Big), \qquad J = \frac{\partial (A f)}{\partial y}(y)

    Subclasses tell the noise in `_noise`.

    Parameters
    ----------
    step : float, optional
        Of a finite difference, relative to the largest number of each image's measurements. None: by autograd.
    """

    step: float | None = field(default=1e-2, kw_only=True)

    def __post_init__(self) -> None:
        check_step(type(self).__name__, self.step)

    @abstractmethod
    def _noise(self, y: Tree, physics: Physics, probe: Tree) -> Noise: ...

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        check_not_drawn(type(self).__name__, model)
        value = physics.operator(x_hat)
        probe = tree_map(lambda leaf: normal_like(leaf, generator), y)
        noise = self._noise(y, physics, probe)
        trace = probed_trace(lambda y: physics.operator(model(y, physics)), y, value, probe, noise.weighted, self.step)
        residual = difference(value, y)
        if noise.weight is not None:
            residual = tree_map(lambda leaf, weight: weight.sqrt() * leaf, residual, noise.weight)
        return mean_square(residual) + (2 * trace - noise.total) / count(y)


def total_variance(variance: Tree, y: Tree) -> Tensor:
    """Return the variance of all real numbers of each image's measurements together, shape (B,)."""
    leaves = zip(tree_leaves(variance), tree_leaves(y), strict=True)
    return torch.stack([real_parts(leaf) * per_leaf.flatten(1).sum(1) for per_leaf, leaf in leaves]).sum(0)
