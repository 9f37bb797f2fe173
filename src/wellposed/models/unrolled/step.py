"""What a learned step is: the step of an algorithm, with numbers and networks that can be trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from wellposed.core.tree import Tree, per_image
from wellposed.optim import LeastSquares, smooth_start
from wellposed.physics import Physics

__all__ = ["LearnedStep", "Start", "first_image", "in_kind"]

Start: TypeAlias = Literal["adjoint", "smooth", "zero"]
"""Where to start: the adjoint over the squared norm of the operator, `smooth_start`, or zero."""


class LearnedStep(nn.Module, ABC):
    """A step that `Unrolled` repeats and of which `Equilibrium` finds the fixed point.

    Subclasses keep each constructor argument as an attribute of the same name. What they lend to the step of an
    algorithm of `wellposed.optim` are numbers (`Positive`) and networks; untrained numbers are the classical ones.
    """

    stationary: bool = True
    """Whether the same step is taken each time, so that it can have a fixed point."""

    @abstractmethod
    def pose(self, y: Tree, physics: Physics) -> tuple[Any, Any]:
        """Return the problem, which stays the same from step to step, and the first state."""

    @abstractmethod
    def step(self, problem: Any, state: Any, index: int) -> Any:
        """Return the next state; `index` counts the steps from 0."""

    def image(self, problem: Any, state: Any) -> Tensor:  # noqa: ARG002
        """Return the image of a state."""
        return state.x

    def read(self, state: Any) -> Tree:
        """Return what the step maps to itself: the image, and what else it moves.

        Raises
        ------
        UnsupportedError
            If the step depends on more than that and its index, as with momentum that grows.
        """
        return state.x

    def write(self, state: Any, variables: Tree) -> Any:
        """Return the state with these variables."""
        return state._replace(x=variables)


def first_image(data: LeastSquares, start: Start) -> Tensor:
    """Return the image to start from; through a smooth one no gradient goes to the measurements."""
    back = data.backprojection
    if start == "smooth":
        return smooth_start(data)
    if start == "zero":
        return torch.zeros_like(back)
    size = data.operator_norm.square()
    return back / per_image(torch.where(size > 0, size, 1), back)


def in_kind(network: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a network that answers in the precision of its images, also under autocast: the physics stays as it is."""
    return lambda x, *rest: network(x, *rest).to(x.dtype)
