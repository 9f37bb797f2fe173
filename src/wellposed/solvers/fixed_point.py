"""Fixed points, x = T(x): the problem, and trees of images as rows of real numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.solvers.system import LinearMap

__all__ = ["FixedPoint"]


@dataclass(frozen=True)
class FixedPoint:
    r"""The problem :math:`x = T(x)`, one for each image of the batch.

    Parameters
    ----------
    map : callable
        The map T, linear or not, on trees of tensors of shape (B, ...); it treats the images of a batch independently.
    """

    map: LinearMap


def as_rows(tree: Tree) -> Tensor:
    """Return each image as one row of real numbers, shape (B, n)."""
    leaves = tree_leaves(tree)
    return torch.cat([(real_view(leaf) if leaf.is_complex() else leaf).flatten(1) for leaf in leaves], dim=1)


def as_tree(rows: Tensor, like: Tree) -> Tree:
    """Return rows in the shapes and precisions of a tree; the inverse of `as_rows`."""
    sizes = [leaf[0].numel() * (2 if leaf.is_complex() else 1) for leaf in tree_leaves(like)]
    parts = iter(rows.split(sizes, dim=1))

    def shaped(leaf: Tensor) -> Tensor:
        part = next(parts)
        if leaf.is_complex():
            return torch.view_as_complex(part.reshape(*leaf.shape, 2)).to(leaf.dtype)
        return part.reshape(leaf.shape).to(leaf.dtype)

    return tree_map(shaped, like)
