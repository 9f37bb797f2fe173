"""Anderson acceleration: the next point is the best mixture of the last few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.precision import in_own_precision
from wellposed.core.tree import Tree
from wellposed.solvers.fixed_point import FixedPoint, as_rows, as_tree
from wellposed.solvers.system import check_hyperparameters, choose, divide, exceeds, no_failure

__all__ = ["Anderson", "AndersonState"]

_ROUNDINGS = 10


class AndersonState(NamedTuple):
    """The point, its residual T(x) - x, both also as rows (B, n), and how the last k steps moved them, (B, k, n)."""

    x: Tree
    rows: Tensor
    residual: Tensor
    moves: Tensor
    changes: Tensor
    error: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class Anderson:
    r"""Solve x = T(x) by mixing the last points so that their residuals cancel as well as they can.

    .. math::
        x^+ = x + \beta f - (\Delta X + \beta \Delta F)\,\gamma, \qquad \gamma = \arg\min \|f - \Delta F \gamma\|

    with f = T(x) - x, and the columns of Delta X and Delta F how x and f moved in the last steps. Each image of the
    batch is mixed by itself. On linear maps it is GMRES in other words. One application of T a step.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||T(x) - x|| <= tolerance * ||T(x)||.
    max_steps : int
    memory : int
        How many steps are mixed; 0 iterates x = T(x) plainly.
    damping : float
        The factor beta, above 0 and at most 1.

    Raises
    ------
    ArgumentError
        If one of them is out of its bounds.

    References
    ----------
    Anderson, *Iterative procedures for nonlinear integral equations*, J. ACM 12 (1965), doi:10.1145/321296.321305.
    Walker and Ni, *Anderson acceleration for fixed-point iterations*, SIAM J. Numer. Anal. 49 (2011),
    doi:10.1137/10078356X.

    Examples
    --------
    >>> from wellposed.solvers import Anderson, FixedPoint, run
    >>> problem = FixedPoint(torch.cos)
    >>> method = Anderson(tolerance=1e-6)
    >>> solution = run(method, problem, method.init(problem, torch.zeros(1, 1)))
    >>> round(solution.value.item(), 4), solution.stats["steps"] < 10
    (0.7391, True)
    """

    tolerance: float = 1e-5
    max_steps: int = 100
    memory: int = 5
    damping: float = 1.0

    def __post_init__(self) -> None:
        check_hyperparameters("Anderson", self.tolerance, self.max_steps)
        check_whole("Anderson", "memory", self.memory, least=0)
        check_damping("Anderson", self.damping)

    def init(self, problem: FixedPoint, x0: Tree) -> AndersonState:
        """Start from a point; T is applied to it."""
        rows = as_rows(x0)
        residual = as_rows(problem.map(x0)) - rows
        none = rows.new_zeros(len(rows), 0, rows.shape[1])
        error = relative_error(rows, residual)
        return AndersonState(
            x=x0,
            rows=rows,
            residual=residual,
            moves=none,
            changes=none,
            error=error,
            active=exceeds(error, torch.full_like(error, self.tolerance)),
            failure=no_failure(error),
        )

    def step(self, problem: FixedPoint, state: AndersonState) -> AndersonState:
        """Mix, and apply T, for each image that has not converged."""
        rows = mixed(state.rows, state.residual, state.moves, state.changes, self.damping)
        rows = torch.where(state.active[:, None], rows, state.rows)
        x = choose(state.active, as_tree(rows, state.x), state.x)
        residual = torch.where(state.active[:, None], as_rows(problem.map(x)) - rows, state.residual)
        error = relative_error(rows, residual)
        return AndersonState(
            x=x,
            rows=rows,
            residual=residual,
            moves=remembered(state.moves, rows - state.rows, self.memory),
            changes=remembered(state.changes, residual - state.residual, self.memory),
            error=error,
            active=state.active & exceeds(error, torch.full_like(error, self.tolerance)),
            failure=state.failure,
        )

    def report(self, state: AndersonState) -> dict[str, Any]:
        """Return the relative residual ||T(x) - x|| / ||T(x)|| of each image, shape (B,)."""
        return {"residual": state.error}


@in_own_precision
def mixed(rows: Tensor, residual: Tensor, moves: Tensor, changes: Tensor, damping: float) -> Tensor:
    """Return the next point as rows; columns are normalised, so that the least squares problem has no scale."""
    plain = rows + damping * residual
    if moves.shape[1] == 0:
        return plain
    size = torch.linalg.vector_norm(changes, dim=2)
    columns = changes * divide(torch.ones_like(size), size)[..., None]
    identity = torch.eye(size.shape[1], dtype=rows.dtype, device=rows.device)
    gram = columns @ columns.mT + _ROUNDINGS * torch.finfo(rows.dtype).eps * identity
    right = columns @ residual[..., None]
    weights = divide(torch.linalg.solve_ex(gram, right).result[..., 0], size)
    return plain - (weights[:, None] @ (moves + damping * changes))[:, 0]


def remembered(old: Tensor, new: Tensor, memory: int) -> Tensor:
    """Append a row to each image's history, shape (B, k, n), and forget what is too old."""
    return torch.cat([old, new[:, None]], dim=1)[:, max(0, old.shape[1] + 1 - memory) :]


def relative_error(rows: Tensor, residual: Tensor) -> Tensor:
    """Return ||T(x) - x|| / ||T(x)|| of each image, shape (B,); 0 where both are 0."""
    return divide(torch.linalg.vector_norm(residual, dim=1), torch.linalg.vector_norm(rows + residual, dim=1))


def check_damping(owner: str, damping: float) -> None:
    """Raise `ArgumentError` unless a damping is above 0 and at most 1."""
    if not 0 < damping <= 1:
        raise ArgumentError(f"{owner} expects a damping above 0 and at most 1, got {damping}.")
