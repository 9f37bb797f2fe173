"""Losses that compare with the truth: closed forms, and gradients."""

import pytest
import torch

import wellposed as wp
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.losses import L1, L2, SSIM
from wellposed.metrics import ssim

PHYSICS = wp.Physics(wp.operators.Identity())


def value(loss, x_hat, x):
    return loss(x_hat=x_hat, y=x_hat, physics=PHYSICS, model=None, x=x)


def random_pair(size=12, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shape = (2, 1, size, size)
    return torch.rand(shape, generator=generator, dtype=dtype), torch.rand(shape, generator=generator, dtype=dtype)


def test_absolute_and_squared_error_of_each_image():
    x = torch.zeros(2, 1, 1, 2)
    x_hat = torch.tensor([[3.0, -1.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    assert value(L1(), x_hat, x).tolist() == [2.0, 1.0]
    assert value(L2(), x_hat, x).tolist() == [5.0, 2.0]


def test_the_modulus_counts_for_complex_images():
    x = torch.zeros(1, 1, 1, 1, dtype=torch.complex64)
    x_hat = torch.full_like(x, 3 + 4j)
    assert value(L1(), x_hat, x).tolist() == [5.0]
    assert value(L2(), x_hat, x).tolist() == [25.0]


def test_dissimilarity_is_one_minus_the_metric_and_depends_on_the_range():
    x_hat, x = random_pair()
    torch.testing.assert_close(value(SSIM(), x_hat, x), 1 - ssim(x_hat, x, data_range=1.0))
    torch.testing.assert_close(value(SSIM(data_range=4.0), x_hat, x), 1 - ssim(x_hat, x, data_range=4.0))


@pytest.mark.parametrize("loss", [L1(), L2(), SSIM()], ids=str)
def test_gradients_are_those_of_finite_differences(loss):
    x_hat, x = random_pair()
    assert torch.autograd.gradcheck(lambda image: value(loss, image, x), x_hat.requires_grad_())


@pytest.mark.parametrize("loss", [L1(), L2(), SSIM()], ids=str)
def test_without_the_truth_there_is_one_sentence(loss):
    with pytest.raises(ArgumentError, match=f"^{type(loss).__name__} compares with the true image, and there is none"):
        value(loss, torch.zeros(1, 1, 12, 12), None)


def test_nothing_is_broadcast():
    with pytest.raises(ShapeError):
        value(L1(), torch.zeros(2, 1, 2, 2), torch.zeros(1, 1, 2, 2))
