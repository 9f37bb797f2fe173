"""Least squares without damping: the pseudo-inverse applied to data, and its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.solvers.differentiate import (
    Differentiate,
    FirstLook,
    constant_map,
    detached,
    requires_grad,
    unflattened,
    without_graph,
)
from wellposed.solvers.driver import Solution, run
from wellposed.solvers.system import LinearMap, LinearSolver, LinearSystem, add, choose, subtract


def minimise(
    operator: LinearMap,
    adjoint: LinearMap | None,
    y: Tree,
    solver: LinearSolver,
    *,
    x0: Tree | None = None,
    gram: LinearMap | None = None,
    differentiate: Differentiate = "implicit",
    check_every: int = 1,
    throw: bool = True,
) -> Solution:
    r"""Return the minimiser of ||A x - y|| nearest to x0, that is x0 + A^+ (y - A x0), by any solver.

    Its derivative, the rank of A being constant, with r = y - A x and u = (A^H)^+ (x - x_0), is

    .. math::
        dx = (A^H A)^+ \left[A^H (dy - dA\, x) + dA^H r\right] + (I - A^+ A)\left[dA^H u + dx_0\right] .

    The parameters are those of `least_squares`.

    References
    ----------
    Golub and Pereyra, *The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate*, SIAM J. Numer. Anal. 10, 1973, doi:10.1137/0710036.
    """
    if adjoint is None:
        raise UnsupportedError(
            f"{type(solver).__name__} needs the adjoint of the operator: pass adjoint=..., or use BiCGStab or GMRES."
        )

    def finish(system: LinearSystem, start: Tree | None = None) -> Solution:
        return run(solver, system, solver.init(system, start), check_every=check_every, throw=throw)

    plain = _Undamped(operator, adjoint, gram, solver, finish)
    if differentiate == "unrolled":
        return plain.solution(y, x0)
    watch = differentiate == "implicit" and torch.is_grad_enabled()
    looks = [
        FirstLook(function, watch=watch, square=False) for function in (operator, adjoint, gram) if function is not None
    ]
    watched = replace(plain, operator=looks[0], adjoint=looks[1], gram=None if gram is None else looks[2])
    with torch.no_grad():
        start = None if x0 is None else detached(x0)
        solution = without_graph(watched.solution(detached(y), start))
    differentiable_map = any(look.differentiable for look in looks)
    if not watch or not (differentiable_map or requires_grad(y) or (x0 is not None and requires_grad(x0))):
        return solution

    x = solution.value
    image = operator(x) if plain.gram is None else plain.gram(x)
    within = adjoint(subtract(y, image)) if plain.gram is None else subtract(adjoint(y), image)
    moved, beyond = x, tree_map(torch.zeros_like, x)
    if x0 is not None and start is not None:
        moved, beyond = subtract(x, start), subtract(x0, start)
    hidden: list[Tensor] = []
    if differentiable_map:
        with torch.no_grad():
            dual = plain.dual(moved)
        bent = adjoint(dual)
        beyond = add(beyond, bent)
        hidden = [leaf for leaf in (*tree_leaves(image), *tree_leaves(bent)) if leaf.requires_grad]
    count = len(tree_leaves(x))
    leaves = _ConstantRank.apply(plain, hidden, x, *tree_leaves(within), *tree_leaves(beyond))
    return replace(solution, value=add(x, unflattened(leaves[:count], x)))


@dataclass(frozen=True)
class _Undamped:
    """The undamped least-squares problem of A, and its pseudo-inverses, each by runs of one solver."""

    operator: LinearMap
    adjoint: LinearMap
    gram: LinearMap | None
    solver: LinearSolver
    finish: Callable[..., Solution]

    def solution(self, y: Tree, start: Tree | None) -> Solution:
        """Minimise ||A x - y|| from a start, which a right-hand side of zero must not make the solver forget."""
        system = self._system(y)
        if start is None:
            return self.finish(system)
        empty = norm(system.b) == 0
        if not bool(empty.any()):
            return self.finish(system, start)
        zero = tree_map(torch.zeros_like, start)
        shift = choose(empty, start, zero)
        shifted = replace(system, b=system.residual(shift))
        solution = self.finish(shifted, choose(empty, zero, start))
        return replace(solution, value=add(solution.value, shift))

    def dual(self, x: Tree) -> Tree:
        """Apply the pseudo-inverse of the adjoint to an x in the range of the adjoint."""
        if self.solver.needs_adjoint:
            return self.finish(LinearSystem(self.adjoint, x, self.operator)).value
        return self.operator(self.finish(LinearSystem(self.normal, x)).value)

    def split(self, x: Tree) -> tuple[Tree, Tree]:
        """Return (A^H A)^+ x and the part of x in the null space of A."""
        if self.solver.needs_adjoint:
            dual = self.dual(x)
            return self.finish(self._system(dual)).value, subtract(x, self.adjoint(dual))
        seen = self.finish(LinearSystem(self.normal, self.normal(x))).value
        return self.finish(LinearSystem(self.normal, seen)).value, subtract(x, seen)

    def normal(self, x: Tree) -> Tree:
        """Apply A^H A."""
        return self.adjoint(self.operator(x)) if self.gram is None else self.gram(x)

    def _system(self, y: Tree) -> LinearSystem:
        if self.solver.needs_adjoint:
            return LinearSystem(self.operator, y, self.adjoint)
        return LinearSystem(self.normal, self.adjoint(y))


class _ConstantRank(torch.autograd.Function):
    """Map (a, c) to (A^H A)^+ a + (I - A^+ A) c, known to be zero; both maps are self-adjoint."""

    @staticmethod
    def forward(_problem: _Undamped, _hidden: list[Tensor], like: Tree, *leaves: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(leaf) for leaf in leaves[: len(tree_leaves(like))])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: tuple[Tensor, ...]) -> None:
        ctx.problem, ctx.hidden, ctx.structure, *_ = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        gradient = unflattened(gradients, ctx.structure)
        if not torch.is_grad_enabled():
            inverted, unseen = ctx.problem.split(gradient)
        else:
            inverted, unseen = (
                constant_map(partial(_part, ctx.problem, index), partial(_part, ctx.problem, index), gradient)
                for index in range(2)
            )
            if ctx.hidden:
                guard = _FirstOrderOnly.apply(*ctx.hidden)
                inverted, unseen = (tree_map(guard.add, part) for part in (inverted, unseen))
        return (None, None, None, *tree_leaves(inverted), *tree_leaves(unseen))


def _part(problem: _Undamped, index: int, x: Tree) -> Tree:
    return problem.split(x)[index]


class _FirstOrderOnly(torch.autograd.Function):
    """A zero that depends on tensors, and says that its derivative is not known when it is asked for."""

    @staticmethod
    def forward(*tensors: Tensor) -> Tensor:
        return tensors[0].real.new_zeros(())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        ctx.count = len(inputs)

    @staticmethod
    def backward(_ctx: Any, *_gradients: Tensor) -> tuple[Any, ...]:
        raise UnsupportedError(
            "Second derivatives of an undamped least-squares solution in the parameters of its operator are not "
            "available: give least_squares a gamma, or use differentiate='unrolled'."
        )
