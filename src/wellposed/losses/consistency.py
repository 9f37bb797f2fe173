"""The reconstruction, measured again, shall be what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.tree import Tree
from wellposed.losses._residuals import difference, mean_square
from wellposed.losses.base import Loss, Reconstructor
from wellposed.physics import Physics

__all__ = ["MeasurementConsistency"]


@final
@dataclass(frozen=True)
class MeasurementConsistency(Loss):
    r"""Mean squared distance between the measurements and those of the reconstruction.

    .. math:: \ell = \tfrac1m \|A \hat x - y\|^2

    Assumes that there is hardly any noise: with it the network learns to repeat it. Says nothing about the null space
    of A, for which `MultiOperatorImaging` or `EquivariantImaging` is added. One evaluation in training, one at test.

    References
    ----------
    Chen, Tachella, Davies, *Equivariant imaging: learning beyond the range space*, ICCV 2021, arXiv:2103.14756.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.tensor([[[[1.0, 0.0]]]])))
    >>> x_hat, y = torch.tensor([[[[3.0, 7.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    >>> MeasurementConsistency()(x_hat=x_hat, y=y, physics=physics, model=None)
    tensor([2.])
    """

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,  # noqa: ARG002
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        return mean_square(difference(physics.operator(x_hat), y))
