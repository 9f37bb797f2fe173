"""Damped and undamped least squares by any of the solvers, and the derivatives of the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.solvers.cg import CG
from wellposed.solvers.differentiate import (
    Differentiate,
    FirstLook,
    check_differentiate,
    check_floating,
    detached,
    reattach,
    requires_grad,
    without_graph,
)
from wellposed.solvers.driver import Solution, run
from wellposed.solvers.pseudo_inverse import minimise
from wellposed.solvers.solve import solve
from wellposed.solvers.system import LinearMap, LinearSolver, LinearSystem, add, scale, subtract

__all__ = ["least_squares"]

_CG = CG()


def least_squares(
    operator: LinearMap,
    adjoint: LinearMap,
    y: Tree,
    *,
    z: Tree | None = None,
    gamma: float | Tensor | None = None,
    solver: LinearSolver = _CG,
    x0: Tree | None = None,
    gram: LinearMap | None = None,
    differentiate: Differentiate = "implicit",
    check_every: int = 1,
    throw: bool = True,
) -> Solution:
    r"""Minimise the squared misfit, and with `gamma` the distance to z, for each image of a batch.

    .. math:: \min_x \|A x - y\|^2 + \tfrac{1}{\gamma} \|x - z\|^2

    `CG`, `MINRES`, `BiCGStab` and `GMRES` solve the normal equations (A^H A + 1/gamma) x = A^H y + z/gamma; `LSQR` and
    `LSMR` work on A stacked on the identity over sqrt(gamma), and never form A^H A. Norms of tuples are Euclidean.

    Parameters
    ----------
    operator, adjoint : callable
        The linear map A and its exact adjoint; A may have any shape and rank.
    y : Tree, tensors of shape (B, ...)
        The data.
    z : Tree, optional
        Where the answer should lie near; zero if not given.
    gamma : float or Tensor of shape (B,), optional
        The weight of the data, positive, in units of 1 / ||A||^2. Without it the misfit alone is minimised: of all
        minimisers the answer is the one nearest to z; if z is not given, that of least norm.
    solver : CG, MINRES, BiCGStab, GMRES, LSQR or LSMR
        The method and its settings.
    x0 : Tree, optional
        Where to start; z if not given. Without gamma the minimisers of a rank-deficient A differ by what A cannot see,
        and the answer keeps that part of its start: give either z, or x0 in its place.
    gram : callable, optional
        The map A^H A, where it is cheaper than A followed by its adjoint; `LSQR` and `LSMR` do not use it.
    differentiate : {"implicit", "unrolled", "none"}
        How gradients flow, as in `solve`: in y, z, gamma and all that the maps depend on. "implicit" is exact to second
        order; without gamma to first order in what the maps depend on, for a constant rank, and a second derivative
        in that raises.
    check_every : int
        Ask whether all images are done every so many steps.
    throw : bool
        Raise if an image failed. False hands the solution over whatever its status.

    Returns
    -------
    Solution

    Raises
    ------
    SolverError
        If an image failed and `throw` is true.
    ArgumentError
        If gamma is not positive, or both z and x0 are given without gamma.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import least_squares
    >>> def total(x): return x.sum(1, keepdim=True)
    >>> def adjoint(y): return y.expand(-1, 2)
    >>> y, z = torch.tensor([[3.0]]), torch.tensor([[1.0, 0.0]])
    >>> least_squares(total, adjoint, y).value
    tensor([[1.5000, 1.5000]])
    >>> least_squares(total, adjoint, y, z=z).value
    tensor([[2., 1.]])
    >>> least_squares(total, adjoint, y, z=z, gamma=0.5).value
    tensor([[1.5000, 0.5000]])
    """
    check_differentiate(differentiate)
    check_floating(y)
    if gamma is None:
        if z is not None and x0 is not None:
            raise ArgumentError(
                "Without gamma the answer keeps what A cannot see of its start: give least_squares z or x0, not both."
            )
        return minimise(
            operator,
            adjoint,
            y,
            solver,
            x0=x0 if z is None else z,
            gram=gram,
            differentiate=differentiate,
            check_every=check_every,
            throw=throw,
        )
    weight = _weight(gamma, y)
    if solver.needs_adjoint:
        return _stacked(
            operator,
            adjoint,
            y,
            z=tree_map(torch.zeros_like, adjoint(y)) if z is None else z,
            weight=weight,
            solver=solver,
            x0=z if x0 is None else x0,
            differentiate=differentiate,
            check_every=check_every,
            throw=throw,
        )
    normal = _DampedNormal(operator, adjoint, gram, weight)
    right = adjoint(y) if z is None else add(adjoint(y), scale(weight, z))
    return solve(
        normal,
        right,
        solver,
        adjoint=normal,
        x0=z if x0 is None else x0,
        differentiate=differentiate,
        check_every=check_every,
        throw=throw,
    )


@dataclass(frozen=True)
class _DampedNormal:
    """The map A^H A + weight."""

    tags: ClassVar[frozenset[str]] = frozenset({"self_adjoint"})

    operator: LinearMap
    adjoint: LinearMap
    gram: LinearMap | None
    weight: Tensor

    def __call__(self, x: Tree) -> Tree:
        image = self.adjoint(self.operator(x)) if self.gram is None else self.gram(x)
        return add(image, scale(self.weight, x))


def _weight(gamma: float | Tensor, y: Tree) -> Tensor:
    """Return 1 / gamma in the precision of the data."""
    leaf = tree_leaves(y)[0]
    gamma = torch.as_tensor(gamma, dtype=leaf.real.dtype, device=leaf.device)
    if not bool((gamma > 0).all()):
        raise ArgumentError(f"least_squares expects a positive gamma, got {gamma.detach().min().item():g}.")
    return 1 / gamma


def _stacked(
    operator: LinearMap,
    adjoint: LinearMap,
    y: Tree,
    *,
    z: Tree,
    weight: Tensor,
    solver: LinearSolver,
    x0: Tree | None,
    differentiate: Differentiate,
    check_every: int,
    throw: bool,
) -> Solution:
    """Solve min || [A; sqrt(weight)] x - [y; sqrt(weight) z] ||."""
    root = weight.sqrt()

    def stack(x: Tree) -> Tree:
        return operator(x), scale(root, x)

    def stack_adjoint(pair: Tree) -> Tree:
        return add(adjoint(pair[0]), scale(root, pair[1]))

    def finish(forward: LinearMap, right: Tree, backward: LinearMap, start: Tree | None = None) -> Solution:
        system = LinearSystem(forward, right, backward)
        return run(solver, system, solver.init(system, start), check_every=check_every, throw=throw)

    right: Tree = (y, scale(root, z))
    if differentiate == "unrolled":
        return finish(stack, right, stack_adjoint, x0)
    watch = differentiate == "implicit" and torch.is_grad_enabled()
    looks = [FirstLook(function, watch=watch, square=False) for function in (stack, stack_adjoint)]
    with torch.no_grad():
        start = None if x0 is None else detached(x0)
        solution = without_graph(finish(looks[0], detached(right), looks[1], start))
    if not watch or not (requires_grad(right) or any(look.differentiable for look in looks)):
        return solution

    def residual(x: Tree) -> Tree:
        return add(adjoint(subtract(y, operator(x))), scale(weight, subtract(z, x)))

    def inverse(x: Tree) -> Tree:
        with torch.no_grad():
            right = (tree_map(torch.zeros_like, y), scale(1 / root, x))
            return detached(finish(stack, right, stack_adjoint).value)

    return replace(solution, value=reattach(solution.value, residual, inverse, inverse))
