"""What data fidelities and priors have in common: a value, a gradient and a proximal step, for each image by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.core.tree import Tree, per_image, tree_leaves

__all__ = ["Functional"]


class Functional(ABC):
    """A function of images or of measurements, with one value for each image of the batch.

    A subclass implements `value`, and of `gradient`, `lipschitz` and `prox` what it has; `has` tells which. Weights and
    step sizes are numbers or tensors of shape (B,) or (1,).
    """

    convex: bool = True
    """Whether it is convex, on which proofs of convergence rest."""

    @abstractmethod
    def value(self, x: Any) -> Tensor:
        """Return the value for each image, shape (B,)."""

    def gradient(self, x: Any) -> Any:  # noqa: ARG002
        """Return the gradient, shaped like x.

        Raises
        ------
        UnsupportedError
            If there is none.
        """
        raise UnsupportedError(
            f"{type(self).__name__} has no gradient: take a method with a proximal step for it, such as PrimalDual."
        )

    def lipschitz(self) -> Tensor:
        r"""Return L with :math:`g(x + h) \le g(x) + \langle \nabla g(x), h \rangle + \tfrac L2 \|h\|^2`, (1,) or (B,).

        It is infinite where no number will do: such functions need backtracking.

        Raises
        ------
        UnsupportedError
            If there is no gradient.
        """
        raise UnsupportedError(f"{type(self).__name__} has no gradient, and so no Lipschitz constant of it.")

    def prox(self, z: Any, gamma: float | Tensor) -> Any:  # noqa: ARG002
        """Return the minimiser of gamma g(x) + 1/2 ||x - z||^2 over x, shaped like z.

        Raises
        ------
        UnsupportedError
            If there is no formula for it.
        """
        raise UnsupportedError(
            f"{type(self).__name__} has no proximal step: take a method that uses its gradient, such as "
            "ProximalGradient, or that splits it from its operator, such as PrimalDual."
        )

    def conjugate_prox(self, u: Any, sigma: float | Tensor, weight: float | Tensor = 1.0) -> Any:
        r"""Return the proximal step of size sigma of the convex conjugate of weight times this.

        .. math:: \mathrm{prox}_{\sigma (w g)^*}(u) = u - \sigma\, \mathrm{prox}_{w g / \sigma}(u / \sigma)

        References
        ----------
        Moreau, *Proximite et dualite dans un espace hilbertien*, Bull. Soc. Math. France 93 (1965).
        """
        size = step_like(sigma, u)
        flat = size.flatten()
        ratio = step_like(weight, u).flatten() / flat
        return u - size * self.prox(u / size, ratio)

    def has(self, name: str) -> bool:
        """Tell whether "gradient" or "prox" can be asked for."""
        return getattr(type(self), name) is not getattr(Functional, name)


def step_like(value: float | Tensor, like: Tree) -> Tensor:
    """Return a number, or one per image, in the precision and place of images, and in a shape that multiplies them.

    Raises
    ------
    ArgumentError
        If it is a number that is not positive.
    ShapeError
        If it is neither a number nor one per image.
    """
    leaf = tree_leaves(like)[0]
    if not isinstance(value, Tensor) and not value >= 0:
        raise ArgumentError(f"a step size or weight must not be negative, got {value}.")
    size = torch.as_tensor(value, dtype=real_dtype(leaf.dtype), device=leaf.device)
    if size.ndim > 1 or (size.ndim == 1 and len(size) not in (1, len(leaf))):
        raise ShapeError(f"a step size or weight is a number or of shape ({len(leaf)},), got {tuple(size.shape)}.")
    return per_image(size.reshape(-1), leaf)


def sum_per_image(x: Tensor) -> Tensor:
    """Return the sum over each image, shape (B,)."""
    return x.flatten(1).sum(1)
