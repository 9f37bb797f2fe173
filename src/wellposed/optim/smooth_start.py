"""A first guess for iterative reconstruction: the smooth image that explains the measurements."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.tree import inner, norm, per_image
from wellposed.operators import FiniteDifferences
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.solvers import CG, solve

__all__ = ["smooth_start"]


@torch.no_grad()
def smooth_start(data: LeastSquares, *, smoothness: float = 0.3, steps: int = 40) -> Tensor:
    r"""Minimise :math:`\|A x - y\|^2 + \mu \|A\|^2 \|D x\|^2` roughly, starting from the constant image that fits best.

    What the operator does not see, such as missing pixels or the margin that a valid blur loses, is filled smoothly,
    where iterations that start from zero or from the adjoint would leave it dark for long.

    Parameters
    ----------
    data : LeastSquares
        The operator A and the measurements y.
    smoothness : float
        The weight mu.
    steps : int
        The most steps of conjugate gradients.

    Returns
    -------
    Tensor, shape (B, *image_shape)
    """
    back = data.backprojection
    roughness = FiniteDifferences(tuple(back.shape[1:])).gram
    weight = per_image(smoothness * data.operator_norm.square(), back)
    solution = solve(
        lambda x: data.normal(x) + weight * roughness(x),
        back,
        CG(max_steps=steps, tolerance=1e-3),
        x0=_best_constant(data),
        differentiate="none",
        throw=False,
    )
    return solution.state.x


def _best_constant(data: LeastSquares) -> Tensor:
    """Return the constant image c that minimises ||A c - y||, zero where A does not see constants."""
    ones = torch.ones_like(data.backprojection)
    seen = data.operator(ones)
    energy = norm(seen).square()
    level = torch.where(energy > 0, inner(seen, data.y) / torch.where(energy > 0, energy, 1), 0)
    return per_image(level, ones) * ones
