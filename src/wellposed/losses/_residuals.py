"""Mean squares over the numbers of each image's measurements."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map


def difference(one: Tree, other: Tree) -> Tree:
    return tree_map(lambda a, b: a - b, one, other)


def count(tree: Tree) -> int:
    """Return how many numbers, real or complex, one image of a batch has."""
    return sum(leaf[0].numel() for leaf in tree_leaves(tree))


def mean_square(residual: Tree) -> Tensor:
    """Return the mean squared modulus, shape (B,)."""
    return norm(residual).square() / count(residual)


def one_tensor(owner: str, y: Tree) -> Tensor:
    """Return measurements that are a single tensor.

    Raises
    ------
    UnsupportedError
        If they are a tuple.
    """
    if isinstance(y, Tensor):
        return y
    raise UnsupportedError(f"{owner} is for measurements that are one tensor, and these are a tuple of {len(y)}.")
