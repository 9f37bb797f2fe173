"""What both maps of a linear operator must do before anything can be measured of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.operators import LinearOperator

__all__ = ["error_text", "map_problem", "random_like"]

Map: TypeAlias = Callable[[Tree], Tree]

_NONLINEAR = 1e-3


def map_problem(operator: LinearOperator, seed: int) -> str | None:
    """Return what is wrong with the forward map or with the adjoint of an operator, in its precision, or None.

    Each takes a tree of the shapes that the operator declares to one of the others, in the same precision; it leaves
    its argument as it was, and is linear: :math:`A(u + 2 v) = A u + 2 A v`, to within far more than rounding.
    """
    maps: tuple[tuple[str, Map, Callable[[], Tree], Callable[[], Tree]], ...] = (
        ("the forward map", operator, operator.zero_image, operator.zero_measurement),
        ("the adjoint", operator.adjoint, operator.zero_measurement, operator.zero_image),
    )
    for title, function, source, target in maps:
        try:
            problem = _problem(function, source(), target(), torch.Generator().manual_seed(seed))
        except (Exception, SystemExit) as error:  # noqa: BLE001
            problem = f"raised {error_text(error)}"
        if problem is not None:
            return f"{title} {problem}"
    return None


def random_like(tree: Tree, generator: torch.Generator) -> Tree:
    """Return a tree of standard normal numbers like another."""
    return tree_map(lambda leaf: normal_like(leaf, generator), tree)


def error_text(error: BaseException) -> str:
    """Return the type of an error and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).splitlines() or ['without a message'])[0]}"


def _problem(function: Map, source: Tree, target: Tree, generator: torch.Generator) -> str | None:
    u, v = random_like(source, generator), random_like(source, generator)
    before = tree_map(torch.clone, u)
    of_u = function(u)
    for problem in _mismatches(of_u, target):
        return f"returned {problem}."
    if not all(torch.equal(*leaves) for leaves in zip(tree_leaves(u), tree_leaves(before), strict=True)):
        return "changed its argument: compute without in-place operations such as x.mul_(2)."
    of_v = function(v)
    of_both = function(tree_map(lambda a, b: a + 2 * b, u, v))
    deviation = norm(tree_map(lambda both, a, b: both - a - 2 * b, of_both, of_u, of_v))
    if bool((deviation > _NONLINEAR * (norm(of_u) + 2 * norm(of_v))).any()):
        return "is not linear, or not the same at every call: A(u + 2 v) is not A(u) + 2 A(v)."
    return None


def _mismatches(got: object, expected: Tree) -> Iterator[str]:
    if isinstance(expected, tuple):
        if not isinstance(got, tuple) or len(got) != len(expected):
            yield f"{_kind(got)} instead of a tuple of {len(expected)} tensors"
            return
        for part, expected_part in zip(got, expected, strict=True):
            yield from _mismatches(part, expected_part)
    elif not isinstance(got, Tensor):
        yield f"{_kind(got)} instead of a tensor"
    elif got.shape != expected.shape:
        yield f"the shape {tuple(got.shape)} instead of {tuple(expected.shape)}"
    elif _without_complex(got.dtype) != real_dtype(expected.dtype):
        yield f"{got.dtype} for an argument in {real_dtype(expected.dtype)}"


def _without_complex(dtype: torch.dtype) -> torch.dtype:
    return real_dtype(dtype) if dtype.is_complex else dtype


def _kind(value: object) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"an object of type {type(value).__name__}"
