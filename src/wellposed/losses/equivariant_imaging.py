"""Equivariant imaging: moved images are images too, and the operator sees them in another way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import norm
from wellposed.losses._virtual import Operators, VirtualLoss, exchanged
from wellposed.operators import LinearOperator
from wellposed.physics import Physics
from wellposed.transforms import Transform

__all__ = ["EquivariantImaging", "MultiOperatorEquivariantImaging", "unlikeness"]

_COMMUTE = 1e-4
_MOTIONS = 3


@final
@dataclass(frozen=True)
class EquivariantImaging(VirtualLoss):
    r"""Move the reconstruction and measure it again: its reconstruction shall be the moved one.

    .. math:: \ell = \tfrac1n \|f(A T_g \hat x) - T_g \hat x\|^2, \qquad \hat x = f(y), \quad g \in G \text{ at random}

    It is added to a loss that keeps the measurements: `MeasurementConsistency()` without noise; with noise the robust
    form `SURE() + EquivariantImaging(transform)`. Assumes that moved images are as likely as images, and that the
    operator does not commute with the motions, so that :math:`A T_g` see what A misses: :math:`E[T_g^T A^T A T_g]` has
    full rank. Where :math:`A^T A` commutes with a motion there is nothing to learn, and a warning says so; each kind
    of operator is looked at once. Two evaluations in training, one at test.

    Parameters
    ----------
    transform : Transform
    noisy : bool
        Whether :math:`A T_g \hat x` gets noise of the physics, which to autograd is a constant.

    References
    ----------
    Chen, Tachella, Davies, *Equivariant imaging: learning beyond the range space*, ICCV 2021, arXiv:2103.14756.
    Chen, Tachella, Davies, *Robust equivariant imaging: a fully unsupervised framework for learning to image from noisy
    and partial measurements*, CVPR 2022, arXiv:2111.12855.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.tensor([[[[1.0, 1.0, 0.0]]]])))
    >>> loss = EquivariantImaging(wp.transforms.Shift())
    >>> y = torch.tensor([[[[2.0, 0.0, 0.0]]]])
    >>> def model(y, physics):
    ...     return physics.A_adjoint(y)
    >>> value = loss(x_hat=y, y=y, physics=physics, model=model, generator=torch.Generator().manual_seed(1))
    >>> value.item() in (0.0, 4 / 3)
    True
    """

    transform: Transform
    _seen: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def _virtual(self, x_hat: Tensor, physics: Physics, generator: torch.Generator | None) -> tuple[Tensor, Physics]:
        kind = type(physics.operator).__name__
        if kind not in self._seen:
            self._seen.add(kind)
            _warn_where_nothing_is_learnt(self.transform, physics, x_hat)
        return self.transform(x_hat, generator=generator), physics


@final
@dataclass(frozen=True)
class MultiOperatorEquivariantImaging(VirtualLoss):
    r"""Move the reconstruction and measure it by another operator: its reconstruction shall be the moved one.

    .. math:: \ell = \tfrac1n \|f(A' T_g \hat x, A') - T_g \hat x\|^2, \qquad \hat x = f(y, A)

    `EquivariantImaging` and `MultiOperatorImaging` in one: the motions and the other operators together see what A
    misses. Two evaluations in training, one at test.

    Parameters
    ----------
    transform : Transform
    operators : sequence of Operator, or callable, optional
        As in `MultiOperatorImaging`.
    noisy : bool

    Raises
    ------
    UnsupportedError
        On a call, if the operators of the batch are one, and there are no others.

    References
    ----------
    Tachella, Chen, Davies, *Sensing theorems for unsupervised learning in linear inverse problems*, J. Machine Learning
    Research 24 (2023), arXiv:2203.12513.

    Examples
    --------
    >>> import wellposed as wp
    >>> left, right = (wp.operators.Mask(torch.tensor([[[m]]])) for m in ([1.0, 0.0], [0.0, 1.0]))
    >>> def model(y, physics):
    ...     return physics.A_adjoint(y)
    >>> loss = MultiOperatorEquivariantImaging(wp.transforms.Permute(of="channels"), operators=(right,))
    >>> y = torch.tensor([[[[2.0, 0.0]]]])
    >>> loss(x_hat=y, y=y, physics=wp.Physics(left), model=model)
    tensor([2.])
    """

    transform: Transform
    operators: Operators = field(default=None, repr=False)

    def _virtual(self, x_hat: Tensor, physics: Physics, generator: torch.Generator | None) -> tuple[Tensor, Physics]:
        other = exchanged(type(self).__name__, physics, len(x_hat), self.operators, generator)
        return self.transform(x_hat, generator=generator), other


def _warn_where_nothing_is_learnt(transform: Transform, physics: Physics, like: Tensor) -> None:
    operator = physics.operator
    if isinstance(operator, LinearOperator) and unlikeness(transform, operator, like) <= _COMMUTE:
        warnings.warn(
            f"{type(operator).__name__} commutes with {type(transform).__name__}: equivariant imaging learns nothing "
            "about its null space; choose other motions.",
            stacklevel=4,
        )


@torch.no_grad()
def unlikeness(transform: Transform, operator: LinearOperator, like: Tensor) -> float:
    r"""Return how differently an operator sees moved images, :math:`\|N T_g x - T_g N x\| / \|N x\|, N = A^T A`.

    It is the largest over some motions of random images like `like`, with randomness of its own.
    """
    generator = torch.Generator().manual_seed(0)
    image = normal_like(like, generator)
    again = operator.gram(image)
    motions = [transform.draw(image, generator=generator) for _ in range(_MOTIONS)]
    gaps = [norm(operator.gram(motion(image)) - motion(again)).max() for motion in motions]
    return float(torch.stack(gaps).max() / norm(again).max().clamp_min(torch.finfo(like.real.dtype).tiny))
