"""Equivariant imaging: moved images are images too, and the operator sees them in another way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm
from wellposed.losses._virtual import Operators, exchanged, return_error
from wellposed.losses.base import Loss, Reconstructor
from wellposed.operators import LinearOperator
from wellposed.physics import Physics
from wellposed.transforms import Transform

__all__ = ["EquivariantImaging", "MultiOperatorEquivariantImaging"]

_COMMUTE = 1e-4
_MOTIONS = 3


@final
@dataclass(frozen=True)
class EquivariantImaging(Loss):
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
    noisy: bool = True
    _seen: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,  # noqa: ARG002
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        if type(physics.operator).__name__ not in self._seen:
            self._seen.add(type(physics.operator).__name__)
            _warn_where_nothing_is_learnt(self.transform, physics, x_hat)
        moved = self.transform(x_hat, generator=generator)
        return return_error(moved, physics, model, noisy=self.noisy, generator=generator)


@final
@dataclass(frozen=True)
class MultiOperatorEquivariantImaging(Loss):
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
    noisy: bool = True

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,  # noqa: ARG002
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        other = exchanged(type(self).__name__, physics, len(x_hat), self.operators, generator)
        moved = self.transform(x_hat, generator=generator)
        return return_error(moved, other, model, noisy=self.noisy, generator=generator)


@torch.no_grad()
def _warn_where_nothing_is_learnt(transform: Transform, physics: Physics, like: Tensor) -> None:
    """Warn if the normal operator commutes with some motions, on random images and with randomness of its own."""
    operator = physics.operator
    if not isinstance(operator, LinearOperator):
        return
    generator = torch.Generator().manual_seed(0)
    image = normal_like(like, generator)
    again = operator.gram(image)
    motions = [transform.draw(image, generator=generator) for _ in range(_MOTIONS)]
    gaps = [norm(operator.gram(motion(image)) - motion(again)).max() for motion in motions]
    if bool(torch.stack(gaps).max() <= _COMMUTE * norm(again).max()):
        warnings.warn(
            f"{type(operator).__name__} commutes with {type(transform).__name__}: equivariant imaging learns nothing "
            "about its null space; choose other motions.",
            stacklevel=3,
        )
