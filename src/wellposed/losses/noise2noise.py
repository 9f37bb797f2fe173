"""Noise to noise: two measurements of each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from wellposed.core.errors import ShapeError
from wellposed.core.tree import Tree
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.physics import Physics

__all__ = ["Noise2Noise"]


@final
@dataclass(frozen=True)
class Noise2Noise(DrawingLoss):
    r"""Show the network one of two independent measurements of an image, and compare with the other.

    .. math:: \ell = \tfrac1m \|A f(y_a) - y_b\|^2, \qquad y = (y_a, y_b)

    Assumes noise of mean zero given x, of any family and level, independent in the two. The mean is the supervised risk
    :math:`\tfrac1m E\|A f(y_a) - A x\|^2` plus the mean variance of :math:`y_b`. One evaluation in training, one at
    test, of one measurement, the first of a pair.

    The measurements given to the adapted network and to the loss are a pair of which each fits the physics.

    Raises
    ------
    ShapeError
        On a call in training, if the measurements are no pair.

    References
    ----------
    Lehtinen, Munkberg, Hasselgren, Laine, Karras, Aittala, Aila, *Noise2Noise: learning image restoration without clean
    data*, ICML 2018, arXiv:1803.04189.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> loss = Noise2Noise()
    >>> model = loss.adapt(wp.models.ArtifactRemoval(torch.nn.Identity()))
    >>> pair = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> loss(x_hat=model(pair, physics), y=pair, physics=physics, model=model)
    tensor([1.])
    """

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:  # noqa: ARG002
        """Return the pair: nothing is random."""
        if not isinstance(y, tuple) or len(y) != 2:
            got = f"{len(y)} of them" if isinstance(y, tuple) else "one"
            raise ShapeError(f"Noise2Noise expects a pair (y_a, y_b) of measurements of each image, got {got}.")
        return Draw(y[0], physics, y[1], physics.operator)

    def whole(self, y: Tree) -> Tree:
        """Return the measurement, or the first of a pair."""
        return y[0] if isinstance(y, tuple) else y
