"""Implicit differentiation: attach an answer to the graph of the equation that it solves, to second order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from wellposed.core.errors import DTypeError, ShapeError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.solvers.driver import Solution
from wellposed.solvers.system import LinearMap, add

__all__ = ["Differentiate"]

Differentiate: TypeAlias = Literal["implicit", "unrolled", "none"]
"""How gradients go through a solve: by the implicit function theorem, through the steps, or not at all."""


def check_differentiate(differentiate: str) -> None:
    """Raise `UnknownNameError` unless `differentiate` is one of the three ways."""
    check_name("way to differentiate", differentiate, ("implicit", "unrolled", "none"))


def check_floating(data: Tree) -> None:
    """Raise `DTypeError` unless every tensor of a tree holds floating-point numbers."""
    for leaf in tree_leaves(data):
        if not (leaf.is_floating_point() or leaf.is_complex()):
            raise DTypeError(f"Solvers expect floating-point data, got {leaf.dtype}: convert with .float().")


def detached(tree: Tree) -> Tree:
    """Cut a tree off its graph."""
    return tree_map(torch.Tensor.detach, tree)


def without_graph(solution: Solution) -> Solution:
    """Cut the value of a solution off its graph and off the tangents of forward mode."""
    return replace(solution, value=detached(solution.value))


def requires_grad(tree: Tree) -> bool:
    """Tell whether a gradient can flow into a tree, or a tangent of forward mode comes with it."""
    return any(leaf.requires_grad or unpack_dual(leaf).tangent is not None for leaf in tree_leaves(tree))


class FirstLook:
    """A linear map that is watched on its first call, for whether it keeps shapes and lets gradients flow.

    The answer costs no application of the map beyond those that the solver needs anyway.
    """

    def __init__(self, function: LinearMap, *, watch: bool, square: bool) -> None:
        self._function, self._watch, self._square = function, watch, square
        self.called = self.differentiable = False

    def __call__(self, x: Tree) -> Tree:
        if self.called:
            return self._function(x)
        self.called = True
        with torch.set_grad_enabled(self._watch or torch.is_grad_enabled()):
            y = self._function(x)
        if self._square:
            _check_square(x, y)
        self.differentiable = self._watch and requires_grad(y)
        return detached(y) if self._watch else y


def _check_square(x: Tree, y: Tree) -> None:
    before, after = ([tuple(leaf.shape) for leaf in tree_leaves(tree)] for tree in (x, y))
    if before != after:
        raise ShapeError(
            f"This solver needs a square operator, and the operator maps {_listed(before)} to {_listed(after)}: "
            "use LSQR or LSMR with adjoint=..., or least_squares."
        )


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else str(tuple(shapes))


def transposed(name: str, operator: LinearMap, like: Tree) -> LinearMap:
    """Return the adjoint of a linear map, found by automatic differentiation; it carries no gradient to parameters.

    Raises
    ------
    UnsupportedError
        If the map is not made of differentiable operations.
    """
    with torch.enable_grad():
        x = tree_map(lambda leaf: torch.zeros_like(leaf).requires_grad_(), like)
        y = operator(x)
    if not requires_grad(y):
        raise UnsupportedError(
            f"Implicit differentiation needs the adjoint of the {name}, which autograd cannot see through: "
            "pass adjoint=..., or differentiate='none'."
        )

    def adjoint(v: Tree) -> Tree:
        gradients = torch.autograd.grad(tree_leaves(y), tree_leaves(x), tree_leaves(v), retain_graph=True)
        return unflattened(gradients, like)

    return adjoint


def unflattened(leaves: tuple[Tensor, ...], like: Tree) -> Tree:
    """Put tensors into the structure of a tree, in order."""
    rest = iter(leaves)
    return tree_map(lambda _: next(rest), like)


def reattach(x: Tree, residual: LinearMap, inverse: LinearMap, inverse_adjoint: LinearMap) -> Tree:
    r"""Give the solution x of residual(x) = 0 the derivatives that the implicit function theorem says it has.

    For an affine residual(x) = b - A x, two steps of Newton's method with a constant S = inverse of A,

    .. math:: x_1 = x + S\,(b - A x), \qquad x_2 = x_1 + S\,(b - A x_1),

    are exact to first and to second order in everything that b and A depend on, seen or unseen. Their values are known
    (the residual is zero), so nothing is solved before a gradient is asked for. The first step adds nothing to a first
    derivative and is skipped there: a backward pass solves once, with the adjoint.

    Parameters
    ----------
    x : Tree
        The solution, detached.
    residual : callable
        The map x -> b - A x, with its graph to whatever requires a gradient.
    inverse, inverse_adjoint : callable
        The solution maps of A and of its adjoint, without gradients.
    """
    correction = residual(x)
    if not requires_grad(correction):
        return x
    x = add(x, _apply(_VanishingToFirstOrder, inverse, inverse_adjoint, correction))
    return add(x, _apply(_Vanishing, inverse, inverse_adjoint, residual(x)))


def constant_map(forward: LinearMap, adjoint: LinearMap, argument: Tree) -> Tree:
    """Apply a linear map that is differentiable in its argument, to any order, and in nothing else."""
    return _apply(_ConstantMap, forward, adjoint, argument)


def _apply(function: type[torch.autograd.Function], forward: LinearMap, adjoint: LinearMap, argument: Tree) -> Tree:
    return unflattened(function.apply(forward, adjoint, detached(argument), *tree_leaves(argument)), argument)


class _ConstantMap(torch.autograd.Function):
    """A linear map whose derivative is itself and whose transpose is `adjoint`."""

    @staticmethod
    def forward(forward: LinearMap, _adjoint: LinearMap, like: Tree, *leaves: Tensor) -> tuple[Tensor, ...]:
        return tuple(tree_leaves(forward(unflattened(leaves, like))))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: tuple[Tensor, ...]) -> None:
        ctx.forward_map, ctx.adjoint_map, ctx.structure, *_ = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return (None, None, None, *_ConstantMap.apply(ctx.adjoint_map, ctx.forward_map, ctx.structure, *gradients))

    @staticmethod
    def jvp(ctx: Any, _forward: None, _adjoint: None, _like: None, *tangents: Tensor) -> tuple[Tensor, ...]:
        return _ConstantMap.apply(ctx.forward_map, ctx.adjoint_map, ctx.structure, *tangents)


class _Vanishing(_ConstantMap):
    """A linear map applied where its value is known to be zero."""

    @staticmethod
    def forward(_forward: LinearMap, _adjoint: LinearMap, _like: Tree, *leaves: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)


class _VanishingToFirstOrder(_Vanishing):
    """A linear map applied where its first derivative is known to be zero too, so that only its second one costs.

    A pass of first order is one in which no graph is made, on a node through which no graph has been made either.
    """

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _Vanishing.setup_context(ctx, inputs, output)
        ctx.first_order = True

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        ctx.first_order = ctx.first_order and not torch.is_grad_enabled()
        return (None,) * (3 + len(gradients)) if ctx.first_order else _Vanishing.backward(ctx, *gradients)
