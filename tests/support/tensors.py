"""Random images and measurements of an operator, and trees of tensors as flat vectors for dense algebra."""

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.shapes import Field
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.operators import LinearOperator


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return normal_like(torch.empty(shape, dtype=dtype), seeded(seed))


def random_like(tree: Tree, seed: int = 0, *, make_complex: bool = False) -> Tree:
    generator = seeded(seed)

    def draw(leaf: Tensor) -> Tensor:
        return normal_like(leaf.to(leaf.dtype.to_complex()) if make_complex else leaf, generator)

    return tree_map(draw, tree)


def random_image(operator: LinearOperator, batch: int | None = None, seed: int = 0, field: Field = "any") -> Tree:
    return random_like(operator.zero_image(batch), seed, make_complex=field == "complex")


def random_measurement(operator: LinearOperator, batch: int | None = None, seed: int = 1, field: Field = "any") -> Tree:
    return random_like(operator.zero_measurement(batch), seed, make_complex=field == "complex")


def flat(tree: Tree) -> Tensor:
    """Return one vector per image, shape (B, n), as `to_matrix` orders it."""
    return torch.cat([leaf.flatten(1) for leaf in tree_leaves(tree)], dim=1)


def times(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each vector (B, n) by its matrix (B or 1, m, n)."""
    return (matrix.to(vectors.dtype.to_complex() if matrix.is_complex() else vectors.dtype) @ vectors[..., None])[
        ..., 0
    ]


def of_leaves(function: Callable[[Tree], Tree], tree: Tree) -> Callable[..., tuple[Tensor, ...]]:
    """Rewrite a function of trees as a function of the leaves, for gradcheck."""

    def flattened(*leaves: Tensor) -> tuple[Tensor, ...]:
        rest = iter(leaves)
        return tuple(tree_leaves(function(tree_map(lambda _: next(rest), tree))))

    return flattened


def assert_same(one: Tree, other: Tree, *, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


def differ(one: Tree, other: Tree) -> bool:
    return bool((flat(one) - flat(other)).abs().max() > 1e-6)
