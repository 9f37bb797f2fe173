"""Solve a linear system with any of the solvers, and differentiate the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError, UnsupportedError
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, inner, norm, tree_leaves, tree_map
from wellposed.solvers.cg import CG
from wellposed.solvers.differentiate import (
    Differentiate,
    FirstLook,
    check_differentiate,
    check_floating,
    detached,
    reattach,
    requires_grad,
    transposed,
    without_graph,
)
from wellposed.solvers.driver import Solution, Status, run
from wellposed.solvers.pseudo_inverse import minimise
from wellposed.solvers.system import LinearMap, LinearSolver, LinearSystem, choose, eps_of, subtract

__all__ = ["solve"]

_PROBE_SEED = 0
_FINEST_SYMMETRY = 1e-10


_CG = CG()


def solve(
    operator: LinearMap,
    b: Tree,
    solver: LinearSolver = _CG,
    *,
    adjoint: LinearMap | None = None,
    x0: Tree | None = None,
    preconditioner: LinearMap | None = None,
    differentiate: Differentiate = "implicit",
    check_every: int = 1,
    throw: bool = True,
) -> Solution:
    r"""Solve A x = b for each image of a batch; `LSQR` and `LSMR` solve min ||A x - b|| instead.

    Parameters
    ----------
    operator : callable
        The linear map A, which treats the images of a batch independently. `CG` and `MINRES` need a self-adjoint one:
        they trust an attribute `tags` that contains "self_adjoint", and test any other with two fixed pseudo-random
        images, which costs two applications.
    b : Tree, tensors of shape (B, ...)
        The right-hand side; real or complex. Where it is zero, so is the answer.
    solver : CG, MINRES, BiCGStab, GMRES, LSQR or LSMR
        The method and its settings.
    adjoint : callable, optional
        The adjoint of A. `LSQR` and `LSMR` need it; `BiCGStab` and `GMRES` use it for gradients, and without it have
        autograd transpose A.
    x0 : Tree, optional
        Where to start; zero if not given.
    preconditioner : callable, optional
        A linear map close to the inverse of A: Hermitian positive definite for `CG` and `MINRES`; from the right, and
        for gradients transposed by autograd, for `BiCGStab` and `GMRES`; `LSQR` and `LSMR` take none.
    differentiate : {"implicit", "unrolled", "none"}
        How gradients flow. "implicit" differentiates the equation: exact for the exact solution, to second order, in
        reverse and forward mode, in b and in every tensor that A depends on, A being non-singular. A backward pass
        costs one solve with the adjoint; where nothing needs a gradient it costs nothing. "unrolled" differentiates
        the steps, to any order, and keeps all of them in memory. "none" detaches the answer.
    check_every : int
        Ask whether all images are done every so many steps.
    throw : bool
        Raise if an image failed. False hands the solution over whatever its status.

    Returns
    -------
    Solution
        With "steps" (int), "converged" and "residual" (relative; both of shape (B,)) in its `stats`.

    Raises
    ------
    SolverError
        If an image failed and `throw` is true, an operator that is not self-adjoint for `CG` and `MINRES` included.
    ShapeError
        If the operator does not keep the shape of b, or x0 has another shape, for the solvers of square systems.
    UnsupportedError
        If `LSQR` or `LSMR` miss the adjoint or are given a preconditioner.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import solve
    >>> weight = torch.tensor([[1.0, 2.0, 4.0]], requires_grad=True)
    >>> x = solve(lambda x: weight * x, torch.ones(1, 3)).value
    >>> x.sum().backward()
    >>> weight.grad.round(decimals=4)
    tensor([[-1.0000, -0.2500, -0.0625]])
    """
    check_differentiate(differentiate)
    check_floating(b)
    if solver.needs_adjoint:
        if preconditioner is not None:
            raise UnsupportedError(f"{type(solver).__name__} takes no preconditioner: use least_squares with CG.")
        return minimise(
            operator,
            adjoint,
            b,
            solver,
            x0=None if x0 is None else choose(norm(b) == 0, tree_map(torch.zeros_like, x0), x0),
            differentiate=differentiate,
            check_every=check_every,
            throw=throw,
        )
    _check_start(b, x0)
    finish = partial(run, check_every=check_every, throw=throw)
    watch = differentiate == "implicit" and torch.is_grad_enabled()
    look = FirstLook(operator, watch=watch, square=True)
    if differentiate == "unrolled":
        system = LinearSystem(look, b, adjoint, preconditioner)
        return finish(solver, system, _first_state(operator, system, solver, x0))
    with torch.no_grad():
        system = LinearSystem(look, detached(b), adjoint, preconditioner)
        state = _first_state(operator, system, solver, None if x0 is None else detached(x0))
        solution = without_graph(finish(solver, system, state))
    if watch and not look.called:
        look(solution.value)
    if not watch or not (requires_grad(b) or look.differentiable):
        return solution

    def inverse(residual: Tree) -> Tree:
        return _answer(finish, solver, LinearSystem(operator, residual, preconditioner=preconditioner))

    def inverse_adjoint(gradient: Tree) -> Tree:
        if solver.needs_self_adjoint:
            return inverse(gradient)
        turned = transposed("operator", operator, gradient) if adjoint is None else adjoint
        right = None if preconditioner is None else transposed("preconditioner", preconditioner, gradient)
        return _answer(finish, solver, LinearSystem(turned, gradient, preconditioner=right))

    value = reattach(solution.value, lambda x: subtract(b, operator(x)), inverse, inverse_adjoint)
    return replace(solution, value=value)


def _answer(finish: Callable[..., Solution], solver: LinearSolver, system: LinearSystem) -> Tree:
    with torch.no_grad():
        return detached(finish(solver, system, solver.init(system)).value)


def _first_state(operator: LinearMap, system: LinearSystem, solver: LinearSolver, x0: Tree | None) -> Any:
    """Return the solver's first state, in which images whose operator is not self-adjoint have failed if they must."""
    trusted = not solver.needs_self_adjoint or "self_adjoint" in getattr(operator, "tags", frozenset())
    refused = None if trusted else _is_not_self_adjoint(system)
    state = solver.init(system, x0)
    if refused is None:
        return state
    failure = torch.where(refused, Status.not_self_adjoint.code, state.failure)
    return state._replace(active=state.active & ~refused, failure=failure)


def _is_not_self_adjoint(system: LinearSystem) -> Tensor:
    """Compare <u, A v> with <A u, v> for two fixed pseudo-random images; shape (B,), bool."""
    generator = torch.Generator().manual_seed(_PROBE_SEED)
    with torch.no_grad():
        u, v = (tree_map(lambda leaf: normal_like(leaf, generator), system.b) for _ in range(2))
        image_u, image_v = system.operator(u), system.operator(v)
        mismatch = (inner(u, image_v) - inner(image_u, v)).abs()
        limit = max(100 * eps_of(system.b), _FINEST_SYMMETRY)
        return mismatch > limit * torch.maximum(norm(image_u) * norm(v), norm(u) * norm(image_v))


def _check_start(b: Tree, x0: Tree | None) -> None:
    if x0 is None:
        return
    want, got = ([tuple(leaf.shape) for leaf in tree_leaves(tree)] for tree in (b, x0))
    if want != got:
        raise ShapeError(f"x0 must have the shape of b: expected {want}, got {got}.")
