"""Multi-operator imaging: what one operator misses, others see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.losses._virtual import Operators, VirtualLoss, exchanged
from wellposed.physics import Physics

__all__ = ["MultiOperatorImaging"]


@final
@dataclass(frozen=True)
class MultiOperatorImaging(VirtualLoss):
    r"""Measure the reconstruction by another operator: its reconstruction shall be the same.

    .. math:: \ell = \tfrac1n \|f(A' \hat x, A') - \hat x\|^2, \qquad \hat x = f(y, A)

    It is added to a loss that keeps the measurements: `MeasurementConsistency()` without noise, `SURE()`, `R2R()` with
    noise. Assumes images whose operators differ and that, together, they see everything: :math:`E[A^T A]` has full
    rank. Two evaluations in training, one at test.

    Parameters
    ----------
    operators : sequence of Operator, or callable, optional
        The other operators, one of which is drawn at each call; or ``operator = operators(count, generator)`` with one
        for each image. None: the images of a batch exchange the parameters of theirs.
    noisy : bool
        Whether :math:`A' \hat x` gets noise of the physics, which to autograd is a constant.

    Raises
    ------
    UnsupportedError
        On a call, if the operators of the batch are one, and there are no others.

    References
    ----------
    Tachella, Chen, Davies, *Unsupervised learning from incomplete measurements for inverse problems*, NeurIPS 2022,
    arXiv:2201.12151.

    Examples
    --------
    >>> import wellposed as wp
    >>> left, right = (wp.operators.Mask(torch.tensor([[[m]]])) for m in ([1.0, 0.0], [0.0, 1.0]))
    >>> def model(y, physics):
    ...     return physics.A_adjoint(y)
    >>> loss = MultiOperatorImaging(operators=(right,))
    >>> y = torch.tensor([[[[2.0, 0.0]]]])
    >>> loss(x_hat=y, y=y, physics=wp.Physics(left), model=model)
    tensor([2.])
    """

    operators: Operators = field(default=None, repr=False)

    def _virtual(self, x_hat: Tensor, physics: Physics, generator: torch.Generator | None) -> tuple[Tensor, Physics]:
        return x_hat, exchanged(type(self).__name__, physics, len(x_hat), self.operators, generator)
