"""Tuples of tensors behave as the one long vector that they are."""

import pytest
import torch

from tests.support.tensors import flat, random_tensor
from wellposed.core.tree import inner, norm, per_image, tree_leaves, tree_map

TREES = {
    "tensor": lambda seed: random_tensor(3, 2, 4, seed=seed),
    "complex": lambda seed: random_tensor(3, 2, 4, seed=seed, dtype=torch.complex128),
    "tuple": lambda seed: (random_tensor(3, 2, seed=seed), random_tensor(3, 1, 4, seed=seed + 9)),
    "nested": lambda seed: (random_tensor(3, 2, seed=seed), (random_tensor(3, 5, seed=seed + 9),)),
}
every_tree = pytest.mark.parametrize("make", TREES.values(), ids=TREES)


@every_tree
def test_norm_is_euclidean_for_each_image(make):
    """L5: root of the sum of squares over all parts."""
    tree = make(0)
    torch.testing.assert_close(norm(tree), flat(tree).norm(dim=1))
    assert not norm(tree).is_complex()


def test_norm_of_three_and_four_is_five():
    assert norm((torch.full((1, 1), 3.0), torch.full((1, 1), 4.0))).tolist() == [5.0]


@every_tree
def test_inner_product_is_that_of_the_long_vectors(make):
    u, v = make(0), make(1)
    torch.testing.assert_close(inner(u, v), (flat(u).conj() * flat(v)).sum(1))
    torch.testing.assert_close(inner(u, u).real, norm(u).square())


def test_inner_product_is_conjugate_linear_in_the_first():
    u, v = TREES["complex"](0), TREES["complex"](1)
    torch.testing.assert_close(inner(2j * u, v), -2j * inner(u, v))
    torch.testing.assert_close(inner(u, 2j * v), 2j * inner(u, v))


@every_tree
def test_map_and_leaves(make):
    one, two = make(0), make(1)
    total = tree_map(torch.add, one, two)
    expected = [a + b for a, b in zip(tree_leaves(one), tree_leaves(two), strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(tree_leaves(total), expected, strict=True))
    assert type(total) is type(one)


def test_trees_of_different_structure_are_refused():
    with pytest.raises(ValueError, match="zip"):
        tree_map(torch.add, TREES["tuple"](0), TREES["nested"](0)[:1])
    with pytest.raises(ValueError, match="zip"):
        inner(TREES["tuple"](0), TREES["tuple"](0)[:1])


def test_one_number_per_image_multiplies_images():
    images = torch.ones(2, 3, 4, 5)
    scaled = per_image(torch.tensor([2.0, -1.0]), images) * images
    assert (scaled[0].unique().item(), scaled[1].unique().item()) == (2, -1)
    number = torch.tensor(3.0)
    assert per_image(number, images) is number
