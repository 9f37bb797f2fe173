"""What every loss has in common: how it is called, weighted, added, scheduled, and how it may change the network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree
from wellposed.losses.companion import Companion
from wellposed.physics import Physics

__all__ = ["Loss", "Ramp", "Reconstructor", "Sum", "Weighted"]

Reconstructor: TypeAlias = Callable[[Tree, Physics], Tensor]
"""What recovers an image: ``x_hat = model(y, physics)``."""


@dataclass(frozen=True)
class Loss(ABC):
    """How wrong a reconstruction is, one number per image.

    Losses are weighted and added, `0.8 * L1() + 0.2 * SSIM()`. Subclasses are frozen dataclasses that implement
    `__call__`, and `adapt` if the network shall see something else than the measurements themselves.
    """

    @abstractmethod
    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image.

        Parameters
        ----------
        x_hat : Tensor, shape (B, *image_shape)
            What `model` made of `y`.
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
        model : callable
            For losses that ask it again; as `adapt` returned it.
        x : Tensor, shape (B, *image_shape), optional
            The truth; self-supervised losses never touch it.
        generator : torch.Generator, optional
            For losses that draw something; torch's own by default.

        Returns
        -------
        Tensor, shape (B,)
        """

    def at(self, progress: float) -> Loss:  # noqa: ARG002
        """Return the loss as it is when training has come this far, from 0 to 1."""
        return self

    def adapt(self, model: nn.Module) -> nn.Module:
        """Return the network to train: `model` itself, or one around it that splits or corrupts the measurements."""
        return model

    def companions(self) -> tuple[Companion, ...]:
        """Return what the loss learns beside the network; mostly nothing."""
        return ()

    def __add__(self, other: Loss) -> Sum:
        if not isinstance(other, Loss):
            return NotImplemented
        return Sum((*_terms(self), *_terms(other)))

    def __mul__(self, weight: float | Ramp) -> Weighted:
        if not isinstance(weight, (int, float, Ramp)):
            return NotImplemented
        return Weighted(self, weight)

    __rmul__ = __mul__


@final
@dataclass(frozen=True)
class Ramp:
    """A weight that changes linearly while training goes on, and is constant before and after.

    Parameters
    ----------
    first, last : float
        The weight before and after.
    begin, end : float
        When it starts and stops to change: fractions of the training, 0 <= begin < end <= 1.

    Raises
    ------
    ArgumentError
        If the fractions are in another order.

    Examples
    --------
    >>> Ramp(0.0, 2.0, begin=0.5)(0.75)
    1.0
    """

    first: float
    last: float
    begin: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end <= 1:
            raise ArgumentError(f"Ramp expects 0 <= begin < end <= 1, got begin={self.begin} and end={self.end}.")
        _check_weight(self.first)
        _check_weight(self.last)

    def __call__(self, progress: float) -> float:
        """Return the weight when training has come this far, from 0 to 1."""
        way = min(max((progress - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.first + way * (self.last - self.first)


@final
@dataclass(frozen=True)
class Weighted(Loss):
    r"""A loss times a weight, :math:`w\, \ell`; what `0.8 * L1()` makes.

    Parameters
    ----------
    loss : Loss
    weight : float or Ramp
        A ramp counts with its value at the start, unless `at` says how far training has come.

    Raises
    ------
    ArgumentError
        If the weight is negative or not finite.
    """

    loss: Loss
    weight: float | Ramp

    def __post_init__(self) -> None:
        if not isinstance(self.weight, Ramp):
            _check_weight(self.weight)

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the weighted loss of each image, shape (B,)."""
        weight = self.weight(0.0) if isinstance(self.weight, Ramp) else self.weight
        return weight * self.loss(x_hat=x_hat, y=y, physics=physics, model=model, x=x, generator=generator)

    def at(self, progress: float) -> Weighted:
        """Return the loss with the weight that it has when training has come this far."""
        weight = self.weight(progress) if isinstance(self.weight, Ramp) else self.weight
        return Weighted(self.loss.at(progress), weight)

    def adapt(self, model: nn.Module) -> nn.Module:
        """Return the network as the loss wants it."""
        return self.loss.adapt(model)

    def companions(self) -> tuple[Companion, ...]:
        """Return those of the loss."""
        return self.loss.companions()


@final
@dataclass(frozen=True)
class Sum(Loss):
    r"""Several losses, :math:`\sum_i \ell_i`; what `L1() + SSIM()` makes.

    Parameters
    ----------
    losses : tuple of Loss

    Raises
    ------
    ArgumentError
        If there is none.
    """

    losses: tuple[Loss, ...]

    def __post_init__(self) -> None:
        if not self.losses:
            raise ArgumentError("Sum expects one or more losses, got none.")

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the sum of the losses of each image, shape (B,)."""
        first, *rest = (
            loss(x_hat=x_hat, y=y, physics=physics, model=model, x=x, generator=generator) for loss in self.losses
        )
        return sum(rest, start=first)

    def at(self, progress: float) -> Sum:
        """Return the sum of the losses as they are when training has come this far."""
        return Sum(tuple(loss.at(progress) for loss in self.losses))

    def adapt(self, model: nn.Module) -> nn.Module:
        """Return the network as all losses want it: the last one's change is nearest to the measurements."""
        for loss in self.losses:
            model = loss.adapt(model)
        return model

    def companions(self) -> tuple[Companion, ...]:
        """Return those of all losses."""
        return tuple(companion for loss in self.losses for companion in loss.companions())


def _terms(loss: Loss) -> tuple[Loss, ...]:
    return loss.losses if isinstance(loss, Sum) else (loss,)


def _check_weight(weight: float) -> None:
    if not (math.isfinite(weight) and weight >= 0):
        raise ArgumentError(f"a loss expects a finite weight >= 0, got {weight}.")
