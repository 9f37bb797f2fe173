"""Broyden's method for fixed points: a secant estimate of the inverse Jacobian, grown by one rank a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.arguments import check_counts
from wellposed.core.precision import in_own_precision
from wellposed.core.tree import Tree
from wellposed.solvers.anderson import relative_error
from wellposed.solvers.fixed_point import FixedPoint, as_rows, as_tree
from wellposed.solvers.system import check_hyperparameters, choose, divide, exceeds, no_failure

__all__ = ["Broyden", "BroydenState"]


class BroydenState(NamedTuple):
    """The point, its residual, both also as rows (B, n), and the k pairs of the inverse Jacobian, (B, k, n)."""

    x: Tree
    rows: Tensor
    residual: Tensor
    left: Tensor
    right: Tensor
    error: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class Broyden:
    r"""Solve x = T(x) by Newton's method with an inverse Jacobian that is estimated from the steps.

    .. math::
        x^+ = x - H f, \qquad H^+ = H + \frac{(\Delta x - H \Delta f)\, \Delta x^T H}{\Delta x^T H \Delta f}

    with f = T(x) - x. H starts at minus the identity, so that the first step is x = T(x), and keeps at most `memory`
    pairs; then it starts afresh. One application of T a step.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||T(x) - x|| <= tolerance * ||T(x)||.
    max_steps : int
    memory : int
        The most pairs of H, each of the size of two images.

    Raises
    ------
    ArgumentError
        If one of them is out of its bounds.

    References
    ----------
    Broyden, *A class of methods for solving nonlinear simultaneous equations*, Math. Comput. 19 (1965),
    doi:10.1090/S0025-5718-1965-0198670-6. Bai, Kolter, Koltun, *Deep equilibrium models*, NeurIPS 2019,
    arXiv:1909.01377.

    Examples
    --------
    >>> from wellposed.solvers import Broyden, FixedPoint, run
    >>> problem = FixedPoint(torch.cos)
    >>> method = Broyden(tolerance=1e-6)
    >>> round(run(method, problem, method.init(problem, torch.zeros(1, 1))).value.item(), 4)
    0.7391
    """

    tolerance: float = 1e-5
    max_steps: int = 100
    memory: int = 20

    def __post_init__(self) -> None:
        check_hyperparameters("Broyden", self.tolerance, self.max_steps)
        check_counts("Broyden", memory=self.memory)

    def init(self, problem: FixedPoint, x0: Tree) -> BroydenState:
        """Start from a point; T is applied to it."""
        rows = as_rows(x0)
        residual = as_rows(problem.map(x0)) - rows
        none = rows.new_zeros(len(rows), 0, rows.shape[1])
        error = relative_error(rows, residual)
        return BroydenState(
            x=x0,
            rows=rows,
            residual=residual,
            left=none,
            right=none,
            error=error,
            active=exceeds(error, torch.full_like(error, self.tolerance)),
            failure=no_failure(error),
        )

    def step(self, problem: FixedPoint, state: BroydenState) -> BroydenState:
        """Take the quasi-Newton step, and learn from it, for each image that has not converged."""
        active = state.active[:, None]
        left, right = state.left, state.right
        if left.shape[1] == self.memory:
            left, right = left[:, :0], right[:, :0]
        move = torch.where(active, -_inverse(left, right, state.residual), 0)
        rows = state.rows + move
        x = choose(state.active, as_tree(rows, state.x), state.x)
        residual = torch.where(active, as_rows(problem.map(x)) - rows, state.residual)
        change = residual - state.residual
        row = _inverse(right, left, move)
        column = divide(move - _inverse(left, right, change), (row * change).sum(1, keepdim=True))
        error = relative_error(rows, residual)
        return BroydenState(
            x=x,
            rows=rows,
            residual=residual,
            left=torch.cat([left, column[:, None]], dim=1),
            right=torch.cat([right, row[:, None]], dim=1),
            error=error,
            active=state.active & exceeds(error, torch.full_like(error, self.tolerance)),
            failure=state.failure,
        )

    def report(self, state: BroydenState) -> dict[str, Any]:
        """Return the relative residual ||T(x) - x|| / ||T(x)|| of each image, shape (B,)."""
        return {"residual": state.error}


@in_own_precision
def _inverse(left: Tensor, right: Tensor, vector: Tensor) -> Tensor:
    """Return H v = -v + sum of left (right . v), each image by itself; with the two swapped it is the transpose."""
    return (left.mT @ (right @ vector[..., None]))[..., 0] - vector
