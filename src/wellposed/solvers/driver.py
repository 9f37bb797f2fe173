"""The one loop of everything iterative: it counts, looks, stops, records, calls back and resumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, SolverError
from wellposed.core.tree import Tree, tree_leaves

__all__ = ["Method", "Reporting", "Solution", "State", "Status", "run"]


class Status(Enum):
    """How an iteration ended; the value is the sentence that a user reads."""

    converged = "Converged."
    completed = "Ran all its steps, as asked."
    stopped = "Stopped by the callback."
    max_steps = (
        "Stopped at max_steps before reaching the tolerance: raise max_steps, loosen the tolerance, or precondition."
    )
    stagnated = "No further progress is possible in this precision: loosen the tolerance, or use float64."
    breakdown = "The recurrence broke down, a division by zero came next: use GMRES or least_squares, or another x0."
    not_positive = (
        "The operator is not positive definite, there is a direction p with <p, A p> <= 0: "
        "use MINRES, GMRES or least_squares."
    )
    not_self_adjoint = (
        "The operator is not self-adjoint, which this solver needs: use BiCGStab, GMRES or least_squares."
    )
    preconditioner_not_positive = (
        "The preconditioner is not Hermitian positive definite, which this solver needs: change it or leave it out."
    )
    not_finite = "A NaN or an infinity appeared: check the data, the start and the operator."

    @property
    def code(self) -> int:
        """The integer that stands for this status in `State.failure`; `converged`, that is no failure, is 0."""
        return list(Status).index(self)


class State(Protocol):
    """What an iteration carries from step to step: a NamedTuple with at least these fields."""

    @property
    def x(self) -> Tree:
        """The current answer."""

    @property
    def active(self) -> Tensor:
        """The images that still iterate, shape (B,), bool; the others do not change any more."""

    @property
    def failure(self) -> Tensor:
        """The `Status.code` of each image that failed, else 0; shape (B,), int64."""

    @property
    def _replace(self) -> Callable[..., Any]:
        """What makes a copy with some fields changed; every NamedTuple has it."""


StateT = TypeVar("StateT", bound=State)


class Method(Protocol[StateT]):
    """A frozen dataclass of hyper-parameters that knows how to take one step.

    A method whose `tolerance` is missing or None has no other goal than its `max_steps`, and ends as `completed`.
    Its `init` makes the first state; what that takes besides the problem is the method's own affair.
    """

    @property
    def max_steps(self) -> int:
        """The most steps of one call of `run`."""

    def step(self, problem: Any, state: StateT) -> StateT:
        """Return the next state; images that are not active stay as they are."""


@runtime_checkable
class Reporting(Protocol):
    """A method that adds numbers of its own to `Solution.stats`."""

    def report(self, state: Any) -> dict[str, Any]:
        """Return statistics by name."""


@dataclass(frozen=True)
class Solution:
    """The answer of an iteration, and how it came about.

    Parameters
    ----------
    value : Tree
        The answer.
    status : Status
        The worst of the images: a failure if one of them failed.
    stats : dict
        "steps" (int), "converged" ((B,) bool), "statuses" (a tuple of one `Status` per image), "history" (dict of
        tensors of shape (steps, ...), where `record` was given), and what the method reports.
    state : State
        The last state, from which `run` goes on.
    """

    value: Tree
    status: Status
    stats: dict[str, Any]
    state: Any


def run(
    method: Method[StateT],
    problem: Any,
    state: StateT,
    *,
    check_every: int = 1,
    callback: Callable[[int, StateT], bool | None] | None = None,
    record: Mapping[str, Callable[[StateT], Tensor]] | None = None,
    stop: Callable[[StateT, StateT], Tensor] | None = None,
    throw: bool = True,
) -> Solution:
    """Step until every image of the batch has converged or failed, or `max_steps` steps are done.

    Parameters
    ----------
    method : Method
        What takes the steps.
    problem : object
        What the method works on; handed to `method.step` as it is.
    state : State
        The first state, from `method.init(problem, ...)`, or that of an earlier `Solution`, which is then continued
        exactly as if it had never been interrupted; `max_steps` counts the steps of this call.
    check_every : int
        Ask whether all is done, and look for NaN, every so many steps: the accelerator waits only then.
    callback : callable, optional
        Called after each step as `callback(step, state)`, steps counted from 1; stops the iteration by returning True.
    record : dict of callables, optional
        Each is called on the state after each step; the results are stacked in `stats["history"][name]`.
    stop : callable, optional
        Called after each step as `stop(state before, state after)`; the images for which it gives true, shape (B,),
        have converged. `wellposed.optim` has such rules, which combine with `&` and `|`.
    throw : bool
        Raise if an image failed. False hands the solution over whatever its status.

    Raises
    ------
    SolverError
        If an image failed and `throw` is true; the sentence names the images.
    ArgumentError
        If `check_every` is below 1.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import CG, LinearSystem, run
    >>> system = LinearSystem(lambda x: 2 * x, torch.ones(1, 3))
    >>> method = CG()
    >>> run(method, system, method.init(system)).value
    tensor([[0.5000, 0.5000, 0.5000]])
    """
    if check_every < 1:
        raise ArgumentError(f"run expects check_every of at least 1, got {check_every}.")
    history: dict[str, list[Tensor]] = {name: [] for name in record or {}}
    state = _fail_where_not_finite(state)
    steps, stopped = 0, False
    while steps < method.max_steps and not stopped and (steps % check_every or bool(state.active.any())):
        before, state, steps = state, method.step(problem, state), steps + 1
        if stop is not None:
            state = state._replace(active=state.active & ~stop(before, state))
        for name, measure in (record or {}).items():
            history[name].append(measure(state))
        stopped = callback is not None and callback(steps, state) is True
        if steps % check_every == 0:
            state = _fail_where_not_finite(state)
    state = _fail_where_not_finite(state)
    has_goal = stop is not None or getattr(method, "tolerance", None) is not None
    unfinished = Status.stopped if stopped else Status.max_steps if has_goal else Status.completed
    statuses = _statuses(state, unfinished)
    stats: dict[str, Any] = {
        "steps": steps,
        "converged": ~state.active & (state.failure == 0),
        "statuses": statuses,
    }
    if record is not None:
        stats["history"] = {name: torch.stack(values) if values else _empty(state) for name, values in history.items()}
    if isinstance(method, Reporting):
        stats |= method.report(state)
    status = max(statuses, key=lambda status: status.code)
    if throw and status not in _SUCCESSES:
        raise SolverError(_complaint(type(method).__name__, status, statuses))
    return Solution(state.x, status, stats, state)


_SUCCESSES = (Status.converged, Status.completed, Status.stopped)


def _fail_where_not_finite(state: StateT) -> StateT:
    """Stop the images in which a NaN or an infinity has appeared."""
    leaves = tree_leaves(state.x)
    finite = torch.stack([torch.isfinite(leaf.detach()).reshape(len(leaf), -1).all(1) for leaf in leaves]).all(0)
    failure = torch.where(finite | (state.failure != 0), state.failure, Status.not_finite.code)
    return state._replace(active=state.active & finite, failure=failure)


def _statuses(state: State, unfinished: Status) -> tuple[Status, ...]:
    """Return how each image ended."""
    code = torch.where((state.failure == 0) & state.active, unfinished.code, state.failure)
    known = list(Status)
    return tuple(known[index] for index in code.tolist())


def _empty(state: State) -> Tensor:
    return torch.empty(0, len(state.active), device=state.active.device)


def _complaint(name: str, status: Status, statuses: tuple[Status, ...]) -> str:
    images = [index for index, each in enumerate(statuses) if each is status]
    if len(statuses) == 1:
        return f"{name}: {status.value}"
    listed = ", ".join(map(str, images[:8])) + (", ..." if len(images) > 8 else "")
    return f"{name}: {status.value} (image {listed} of a batch of {len(statuses)})"
