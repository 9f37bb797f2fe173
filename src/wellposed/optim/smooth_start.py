"""A first guess for iterative reconstruction: the smooth image that explains the measurements."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from wellposed.core.tree import Tree, inner, norm, per_image
from wellposed.operators import FiniteDifferences, LinearOperator
from wellposed.solvers import CG, solve

__all__ = ["smooth_start"]


@torch.no_grad()
def smooth_start(y: Tree, operator: LinearOperator, *, smoothness: float = 0.3, steps: int = 40) -> Tensor:
    r"""Minimise :math:`\|A x - y\|^2 + \mu \|A\|^2 \|D x\|^2` roughly, starting from the constant image that fits best.

    What the operator does not see, such as missing pixels or the margin that a valid blur loses, is filled smoothly,
    where iterations that start from zero or from the adjoint would leave it dark for long.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    operator : LinearOperator
    smoothness : float
        The weight mu.
    steps : int
        The most steps of conjugate gradients.

    Returns
    -------
    Tensor, shape (B, *image_shape)
    """
    back = cast("Tensor", operator.adjoint(y))
    constant = _best_constant(y, operator, like=back)
    gradient = FiniteDifferences(tuple(back.shape[1:]))
    weight = per_image(smoothness * operator.norm().square(), back)
    solution = solve(
        lambda x: operator.gram(x) + weight * gradient.gram(x),
        back,
        CG(max_steps=steps, tolerance=1e-3),
        x0=constant,
        differentiate="none",
        throw=False,
    )
    return cast("Tensor", solution.value)


def _best_constant(y: Tree, operator: LinearOperator, *, like: Tensor) -> Tensor:
    """Return the constant image c that minimises ||A c - y||, zero where A does not see constants."""
    ones = torch.ones_like(like)
    seen = operator(ones)
    energy = norm(seen).square()
    level = torch.where(energy > 0, inner(seen, y) / torch.where(energy > 0, energy, 1), 0)
    return per_image(level, ones) * ones
