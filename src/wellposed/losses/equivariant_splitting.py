"""Equivariant splitting: part of the measurements, as if a moved image had been measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree
from wellposed.losses._residuals import one_tensor
from wellposed.losses.drawn_input import Draw
from wellposed.losses.splitting import SplittingLoss
from wellposed.operators import Compose, FromFunctions, LinearOperator
from wellposed.physics import Physics
from wellposed.transforms import Motion, Shift, Transform

__all__ = ["EquivariantSplitting"]


@final
@dataclass(frozen=True)
class EquivariantSplitting(SplittingLoss):
    r"""Split the measurements, and tell the network that it sees a moved image.

    .. math:: \ell = \tfrac1m \|A T_g f(S y, S A T_g) - y\|^2, \qquad g \in G \text{ at random}

    :math:`y = A x = (A T_g)(T_g^{-1} x)`: where moved images are as likely as images, one operator does for many,
    :math:`A T_g`, and the minimiser is the supervised one if they see everything. Only a network that uses its
    operator can tell them apart. As in `Splitting`, what the network sees must be free of noise, unless only what is
    kept back is compared. One evaluation in training; at test the mean over `draws` splits and motions, or one with
    all measurements as they are.

    Parameters
    ----------
    transform : Transform
        An exact one, so that the adjoint of a motion is its inverse; whole-pixel shifts by default.
    ratio, pattern, density, centre, compare, sampling, draws
        As in `Splitting`.

    Raises
    ------
    ArgumentError
        If the transform interpolates, or a number is out of its range; on a call, if the network was not adapted.
    UnknownNameError
        If there is no such pattern, density or choice.
    UnsupportedError
        On a call, if the measurements cannot be split, or the operator is not linear.

    References
    ----------
    Sechaud, Scanvic, Barthelemy, Abry, Tachella, *Equivariant splitting: self-supervised learning from incomplete
    data*, 2025, arXiv:2510.00929.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.ones(1, 1, 8, 8)))
    >>> loss = EquivariantSplitting(wp.transforms.Rotate())
    >>> model = loss.adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4)))
    >>> y = torch.rand(2, 1, 8, 8)
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model).shape
    torch.Size([2])
    """

    transform: Transform = field(default_factory=Shift)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.transform.exact:
            raise ArgumentError(
                f"EquivariantSplitting needs motions that interpolate nothing, and {type(self.transform).__name__} "
                "does: use Shift, Rotate or Reflect."
            )

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw a split and a motion."""
        drawn = super().draw(y, physics, generator=generator)
        image = physics.A_adjoint(one_tensor("EquivariantSplitting", y))
        motion = self.transform.draw(image, generator=generator)
        operator = Compose(drawn.physics.linear_operator, moving(motion, image))
        return drawn._replace(physics=Physics(operator, physics.noise), motion=motion)


def moving(motion: Motion, like: Tensor) -> LinearOperator:
    """Return an exact motion as a linear operator on images of this shape."""
    shape = tuple(like.shape[1:])
    return FromFunctions(motion, motion.inverse(), shape, shape).to(like.device, like.real.dtype)
