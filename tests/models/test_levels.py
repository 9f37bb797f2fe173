"""Noise levels of every shape become one that broadcasts, and images of any size become multiples."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.models.base import level_map, pad_to_multiple, with_map


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_levels_take_the_precision_of_the_images(dtype):
    x = torch.ones(2, 3, 4, 5, dtype=dtype)
    for value in (2, 0.1, torch.tensor(0.1), torch.tensor([1, 2]), np.float64(0.1), torch.ones(1, 1, 4, 1)):
        assert level_map("Test", "sigma", value, x).dtype == dtype
    assert level_map("Test", "sigma", 0.1, x.to(dtype.to_complex())).dtype == dtype


def test_levels_run_along_the_batch():
    """Batch, height and width of one size, where a level along the wrong axis would go unnoticed."""
    x = torch.zeros(3, 1, 3, 3)
    joined = with_map(x, level_map("Test", "sigma", torch.tensor([1.0, 2.0, 3.0]), x))
    expected = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1).expand(3, 3, 3)
    assert torch.equal(joined[:, 1], expected)
    assert torch.equal(joined[:, :1], x)


def test_gradients_reach_the_level():
    x = torch.ones(2, 1, 4, 5)
    sigma = torch.tensor([0.1, 0.2], requires_grad=True)
    with_map(x, level_map("Test", "sigma", sigma, x)).sum().backward()
    assert torch.equal(sigma.grad, torch.tensor([20.0, 20.0]))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (1, 2), (16, 3)])
def test_padding_repeats_the_last_row_and_column(height, width):
    x = random_tensor(2, 3, height, width)
    bottom, right = -height % 8, -width % 8
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, bottom), (0, right)), mode="edge")
    assert np.array_equal(pad_to_multiple(x, 8).numpy(), expected)
