"""Anderson acceleration of the algorithms of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.arguments import check_counts
from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree
from wellposed.optim.admm import ADMM
from wellposed.optim.half_quadratic import HQS
from wellposed.optim.primal_dual import PrimalDual
from wellposed.optim.problem import Guarantee
from wellposed.optim.proximal_gradient import ProximalGradient
from wellposed.optim.tomographic import SIRT
from wellposed.solvers.anderson import check_damping, mixed, remembered
from wellposed.solvers.fixed_point import as_rows, as_tree
from wellposed.solvers.system import choose

__all__ = ["Accelerated", "variables"]

_LARGEST_GROWTH = 2.0


class Variables(NamedTuple):
    """What a step of an algorithm maps to itself: how to read it from a state, and to write it there."""

    read: Callable[[Any], Tree]
    write: Callable[[Any, Tree], Any]


class State(NamedTuple):
    """Image, bookkeeping, the state of the algorithm, and as rows (B, n) its variables and what its step did to them.

    `residual` is how far the last step moved the variables, `plain` where it led. `moves` and `changes`, (B, k, n), are
    how variables and residual changed in the steps that are remembered.
    """

    x: Tensor
    active: Tensor
    failure: Tensor
    inner: Any
    steps: int
    rows: Tensor
    residual: Tensor
    plain: Tensor
    moves: Tensor
    changes: Tensor


@dataclass(frozen=True)
class Accelerated:
    r"""Let an algorithm start each step from the best mixture of its last ones.

    A step of the algorithm is a map T, and its answer a fixed point z = T(z), of the image and of its dual variables
    if it has any. `Anderson` says how z is mixed. Where the mixture moves an image more than twice as far as the step
    before did, that image returns to the plain step and forgets its past.

    Parameters
    ----------
    method : ProximalGradient without acceleration, PrimalDual, ADMM, HQS or SIRT
        It says when an image has settled, and how many steps there are at most.
    memory : int
        How many steps are mixed.
    damping : float
        Above 0 and at most 1.

    Raises
    ------
    ArgumentError
        If a number is out of its bounds.
    UnsupportedError
        If a step of the method is no map of its variables alone.

    References
    ----------
    Mai and Johansson, *Anderson acceleration of proximal gradient methods*, ICML 2020, arXiv:1910.08590. Zhang,
    O'Donoghue, Boyd, *Globally convergent type-I Anderson acceleration for nonsmooth fixed-point iterations*, SIAM J.
    Optim. 30 (2020).

    Examples
    --------
    >>> from wellposed.operators import Mask
    >>> from wellposed.optim import LeastSquares, ProximalGradient, RegularisedProblem
    >>> from wellposed.solvers import run
    >>> data = LeastSquares(Mask(torch.tensor([[[[1.0, 0.1, 0.03]]]])), torch.ones(1, 1, 1, 3))
    >>> method = Accelerated(ProximalGradient(accelerated=False))
    >>> solution = run(method, RegularisedProblem(data), method.init(RegularisedProblem(data), torch.zeros(1, 1, 1, 3)))
    >>> solution.stats["steps"] < 20
    True
    """

    method: Any
    memory: int = 5
    damping: float = 1.0

    def __post_init__(self) -> None:
        check_counts("Accelerated", memory=self.memory)
        check_damping("Accelerated", self.damping)
        variables(self.method)

    @property
    def max_steps(self) -> int:
        """The most steps."""
        return self.method.max_steps

    @property
    def tolerance(self) -> float | None:
        """The relative tolerance, if there is one."""
        return self.method.tolerance

    def init(self, problem: Any, x0: Tensor) -> State:
        """Start from an image."""
        inner = self.method.init(problem, x0)
        rows = as_rows(variables(self.method).read(inner))
        none = rows.new_zeros(len(rows), 0, rows.shape[1])
        endless = torch.full_like(rows, torch.inf)
        return State(inner.x, inner.active, inner.failure, inner, 0, rows, endless, rows, none, none)

    def step(self, problem: Any, state: State) -> State:
        """Take one step of each image that has not settled, and mix."""
        read, write = variables(self.method)
        inner = state.inner._replace(active=state.active, failure=state.failure)
        inner = self.method.step(problem, inner)
        after = read(inner)
        plain = as_rows(after)
        residual = plain - state.rows
        worse = _length(residual) > _LARGEST_GROWTH * _length(state.residual)
        moves, changes = state.moves, state.changes
        if state.steps:
            moves = remembered(moves, state.rows - (state.plain - state.residual), self.memory)
            changes = remembered(changes, residual - state.residual, self.memory)
        moves, changes = (torch.where(worse[:, None, None], 0, past) for past in (moves, changes))
        rows = mixed(state.rows, residual, moves, changes, self.damping)
        rows = torch.where(worse[:, None], state.plain, rows)
        rows = torch.where(inner.active[:, None], rows, plain)
        inner = write(inner, choose(inner.active, as_tree(rows, after), after))
        return State(
            x=inner.x,
            active=inner.active,
            failure=inner.failure,
            inner=inner,
            steps=state.steps + 1,
            rows=rows,
            residual=residual,
            plain=plain,
            moves=moves,
            changes=changes,
        )

    def provably_convergent(self, problem: Any) -> Guarantee:  # noqa: ARG002
        """Tell whether the iterates are proven to converge: not so, as the safeguard is a practical one."""
        return Guarantee(holds=False, reason="Mixtures of steps have no proof: take the method without acceleration.")


def variables(method: Any) -> Variables:
    """Return what a step of a method maps to itself.

    Raises
    ------
    UnsupportedError
        If it depends on more, such as momentum or a schedule.
    """
    if isinstance(method, ProximalGradient) and not (method.accelerated or method.backtracking):
        return Variables(lambda state: state.x, lambda state, z: state._replace(x=z, ahead=z))
    if isinstance(method, (HQS, SIRT)):
        return Variables(lambda state: state.x, lambda state, z: state._replace(x=z))
    if isinstance(method, PrimalDual):
        return Variables(lambda state: (state.x, state.dual), lambda state, z: state._replace(x=z[0], dual=z[1]))
    if isinstance(method, ADMM):
        return Variables(
            lambda state: (state.copies, state.multipliers),
            lambda state, z: state._replace(copies=z[0], multipliers=z[1]),
        )
    raise UnsupportedError(
        f"a step of {type(method).__name__} is no map of its variables alone: take PrimalDual, ADMM, HQS, SIRT or "
        "ProximalGradient(accelerated=False)."
    )


def _length(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)
