"""Measurements are tensors or (nested) tuples of tensors; here is the one rule for handling both.

The inner product of two tuples is the sum of the inner products of their parts, so that norms are true Euclidean norms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.precision import in_own_precision

__all__ = ["Tree", "inner", "norm", "per_image", "tree_leaves", "tree_map"]

Tree: TypeAlias = Tensor | tuple["Tree", ...]


def tree_map(function: Callable[..., Tensor], *trees: Tree) -> Tree:
    """Apply `function` to the tensors of one or more trees of the same structure."""
    first = trees[0]
    if isinstance(first, tuple):
        return tuple(tree_map(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def tree_leaves(tree: Tree) -> list[Tensor]:
    """Return the tensors of a tree, in order."""
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in tree_leaves(part)]
    return [tree]


@in_own_precision
def inner(u: Tree, v: Tree) -> Tensor:
    """Return the inner product <u, v> = sum conj(u) v of each pair of images, shape (B,); complex if they are."""
    products = [
        torch.linalg.vecdot(a.flatten(1), b.flatten(1)) for a, b in zip(tree_leaves(u), tree_leaves(v), strict=True)
    ]
    return torch.stack(products).sum(0)


def norm(u: Tree) -> Tensor:
    """Return the Euclidean norm of each image, shape (B,), real."""
    return torch.stack([torch.linalg.vector_norm(_real_rows(leaf), dim=1) for leaf in tree_leaves(u)]).norm(dim=0)


def _real_rows(leaf: Tensor) -> Tensor:
    """Return each image as a row of real numbers, whose norms are computed much faster than those of complex ones."""
    return (real_view(leaf) if leaf.is_complex() else leaf).flatten(1)


def per_image(value: Tensor, like: Tensor) -> Tensor:
    """Give a (B,) tensor trailing axes so that it multiplies images; a 0-dim tensor is returned as it is."""
    return value.reshape(-1, *[1] * (like.ndim - 1)) if value.ndim else value
