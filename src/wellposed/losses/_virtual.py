"""Measure a reconstruction again, by another operator or after a motion, and reconstruct it once more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, tree_map
from wellposed.losses.base import Loss, Reconstructor, Sum, Weighted
from wellposed.metrics import mse
from wellposed.noise import Poisson, PoissonGaussian
from wellposed.operators import Operator
from wellposed.physics import Physics

Operators: TypeAlias = Sequence[Operator] | Callable[[int, torch.Generator | None], Operator] | None
"""Other operators: some, or a function of the number of images and a generator; None: those of the batch."""


@dataclass(frozen=True)
class VirtualLoss(Loss):
    r"""How far the reconstruction of virtual measurements is from the image that they were made of.

    .. math:: \ell = \tfrac1n \|f(A' x', A') - x'\|^2

    Subclasses make :math:`x'` of the reconstruction and :math:`A'` of the physics in `_virtual`.

    Parameters
    ----------
    noisy : bool
        Whether :math:`A' x'` gets noise of the physics, which to autograd is a constant.
    """

    noisy: bool = field(default=True, kw_only=True)

    @abstractmethod
    def _virtual(self, x_hat: Tensor, physics: Physics, generator: torch.Generator | None) -> tuple[Tensor, Physics]:
        """Return the image, and the physics by which it is measured."""

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
        image, other = self._virtual(x_hat, physics, generator)
        clean = other.operator(image)
        measured = with_noise(clean, other, generator) if self.noisy else clean
        return mse(model(measured, other), image)


def virtual_losses(loss: Loss) -> tuple[VirtualLoss, ...]:
    """Return those parts of a loss that speak of what the operator does not see, without their weights.

    Examples
    --------
    >>> import wellposed as wp
    >>> loss = wp.losses.SURE() + 0.1 * wp.losses.EquivariantImaging(wp.transforms.Shift())
    >>> [type(part).__name__ for part in virtual_losses(loss)]
    ['EquivariantImaging']
    """
    if isinstance(loss, Sum):
        return tuple(part for term in loss.losses for part in virtual_losses(term))
    if isinstance(loss, Weighted):
        return virtual_losses(loss.loss)
    return (loss,) if isinstance(loss, VirtualLoss) else ()


def exchanged(
    owner: str, physics: Physics, count: int, others: Operators, generator: torch.Generator | None
) -> Physics:
    """Return the physics with another operator, drawn at random."""
    if callable(others):
        return Physics(others(count, generator), physics.noise)
    if others is not None:
        return Physics(others[_whole(len(others), generator)], physics.noise)
    operator = physics.operator
    own = {name: value for name, value in operator.params.items() if value.ndim and len(value) == count > 1}
    if not own:
        raise UnsupportedError(
            f"{owner} exchanges the operators of a batch, and these {count} images have one in common: "
            "give it others with operators=, or use EquivariantImaging."
        )
    turn = 1 + _whole(count - 1, generator)
    return Physics(operator.with_params(**{name: value.roll(turn, 0) for name, value in own.items()}), physics.noise)


def _whole(below: int, generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(below, (), generator=generator, device=device))


def with_noise(clean: Tree, physics: Physics, generator: torch.Generator | None) -> Tree:
    """Add noise that is a constant to autograd; negative intensities count no photons."""
    counts = isinstance(physics.noise, (Poisson, PoissonGaussian))
    mean = tree_map(lambda leaf: leaf.detach().clamp_min(0) if counts else leaf.detach(), clean)
    noisy = physics.noise(mean, generator=generator)
    return tree_map(lambda leaf, draw, around: leaf + (draw - around), clean, noisy, mean)
