"""A linear system and the per-image vector algebra that every Krylov method is written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree, norm, per_image, tree_leaves, tree_map

__all__ = ["LinearMap", "LinearSolver", "LinearSystem"]

LinearMap: TypeAlias = "Callable[[Tree], Tree]"


@dataclass(frozen=True)
class LinearSystem:
    """The problem A x = b, or min ||A x - b||, one for each image of the batch.

    Parameters
    ----------
    operator : callable
        The linear map A; it treats the images of a batch independently.
    b : Tree, tensors of shape (B, ...)
        The right-hand side.
    adjoint : callable, optional
        The adjoint of A, where the method needs it.
    preconditioner : callable, optional
        A linear map close to the inverse of A.
    """

    operator: LinearMap
    b: Tree
    adjoint: LinearMap | None = None
    preconditioner: LinearMap | None = None

    def precondition(self, residual: Tree) -> Tree:
        """Apply the preconditioner, or nothing."""
        return residual if self.preconditioner is None else self.preconditioner(residual)

    def residual(self, x: Tree) -> Tree:
        """Return b - A x."""
        return subtract(self.b, self.operator(x))

    def start(self, x0: Tree | None) -> tuple[Tree, Tree]:
        """Return the first x and its residual; a zero right-hand side is solved at once, whatever the start."""
        zero = tree_map(torch.zeros_like, self.b)
        if x0 is None:
            return zero, self.b
        x = choose(norm(self.b) == 0, zero, x0)
        return x, self.residual(x)


class LinearSolver(Protocol):
    """What `solve` and `least_squares` take: `CG`, `MINRES`, `BiCGStab`, `GMRES`, `LSQR`, `LSMR`, or one like them."""

    needs_self_adjoint: ClassVar[bool]
    needs_adjoint: ClassVar[bool]

    @property
    def max_steps(self) -> int:
        """The most steps."""

    @property
    def tolerance(self) -> float:
        """The relative tolerance."""

    def init(self, system: LinearSystem, x0: Tree | None = None) -> Any:
        """Return the first state."""

    def step(self, system: LinearSystem, state: Any) -> Any:
        """Return the next state."""


def add(u: Tree, v: Tree) -> Tree:
    """Return u + v."""
    return tree_map(torch.add, u, v)


def subtract(u: Tree, v: Tree) -> Tree:
    """Return u - v."""
    return tree_map(torch.sub, u, v)


def scale(weight: Tensor, u: Tree) -> Tree:
    """Multiply each image by its weight, shape (B,)."""
    return tree_map(lambda leaf: per_image(weight, leaf) * leaf, u)


def add_scaled(u: Tree, weight: Tensor, v: Tree) -> Tree:
    """Return u + weight v with a weight for each image, shape (B,)."""
    return tree_map(lambda a, b: torch.addcmul(a, per_image(weight, b), b), u, v)


def choose(mask: Tensor, u: Tree, v: Tree) -> Tree:
    """Take the images of u where the mask, shape (B,), is true, and those of v elsewhere."""
    return tree_map(lambda a, b: torch.where(per_image(mask, a), a, b), u, v)


def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide, giving 0 (and gradients of 0) where the denominator is 0."""
    empty = denominator == 0
    return torch.where(empty, 0, numerator / torch.where(empty, 1, denominator))


def normalised(u: Tree) -> tuple[Tensor, Tree]:
    """Return the norm of each image, shape (B,), and the images divided by it; those of norm 0 stay 0."""
    size = norm(u)
    return size, scale(divide(torch.ones_like(size), size), u)


def exceeds(value: Tensor, limit: Tensor) -> Tensor:
    """Tell where value > limit or value is not finite, so that a NaN or an infinity is not taken for success."""
    return ~((value <= limit) & torch.isfinite(value))


def eps_of(u: Tree) -> float:
    """Return the unit of rounding of the coarsest tensor of a tree."""
    return max(torch.finfo(leaf.dtype).eps for leaf in tree_leaves(u))


def no_failure(like: Tensor) -> Tensor:
    """Return codes of no failure for as many images as `like`, shape (B,)."""
    return torch.zeros(like.shape, dtype=torch.int64, device=like.device)


def check_hyperparameters(name: str, tolerance: float, max_steps: int) -> None:
    """Raise `ArgumentError` unless tolerance >= 0 and max_steps >= 0."""
    if not tolerance >= 0:
        raise ArgumentError(f"{name} expects a tolerance of at least 0, got {tolerance}.")
    if max_steps < 0:
        raise ArgumentError(f"{name} expects max_steps of at least 0, got {max_steps}.")
