"""The discrete gradient against NumPy, and its Laplacian."""

import math

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
from wellposed.operators import FiniteDifferences


@pytest.mark.parametrize("space", [(4, 5), (1, 3), (2, 2), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_equals_the_differences_of_numpy(space, dtype):
    image = random_tensor(2, 3, *space, dtype=dtype)
    gradient = FiniteDifferences((3, *space))(image)
    assert gradient.shape == (2, len(space), 3, *space)
    for axis in range(len(space)):
        last = np.take(image.numpy(), [-1], axis=axis + 2)
        expected = np.diff(image.numpy(), axis=axis + 2, append=last)
        torch.testing.assert_close(gradient[:, axis], torch.from_numpy(expected), rtol=0, atol=0)


def test_gram_is_the_neumann_laplacian():
    line = torch.tensor([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]]) - torch.diag(torch.tensor([1.0, 0, 1]))
    expected = torch.kron(torch.eye(3), line) + torch.kron(line, torch.eye(3))
    torch.testing.assert_close(FiniteDifferences((1, 3, 3)).gram.to_matrix()[0], expected)


def test_images_without_space_are_refused():
    with pytest.raises(ShapeError, match=r"channels and space, got \(4,\)"):
        FiniteDifferences((4,))


@pytest.mark.parametrize("space", [(6, 9), (1, 4), (2, 3, 5)], ids=str)
def test_norm_is_the_closed_form(space):
    expected = math.sqrt(sum(4 * math.cos(math.pi / (2 * size)) ** 2 for size in space))
    assert FiniteDifferences((2, *space)).norm().item() == pytest.approx(expected, rel=1e-6)
    assert expected < 2 * math.sqrt(len(space))
