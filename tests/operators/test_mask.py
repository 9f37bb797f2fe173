"""Masks of any weight, one pixel at a time, by hand."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
from wellposed.noise import Gaussian
from wellposed.operators import Mask
from wellposed.physics import Physics

WEIGHTS = torch.tensor([[[[2.0, 0.0, -0.5], [1.0, -3.0, 0.0]]]], dtype=torch.float64)


def test_mask_multiplies_and_its_pinv_divides_where_it_can():
    """L12: weights of either sign, complex images, and zeros that stay zero without a threshold."""
    image = random_tensor(2, 3, 2, 3, dtype=torch.complex128)
    A = Mask(WEIGHTS)
    y = A(image)
    torch.testing.assert_close(y, WEIGHTS * image)
    torch.testing.assert_close(A.pinv(y), torch.where(WEIGHTS == 0, 0, image))
    assert A.norm().item() == 3
    tiny = Mask(1e-12 * WEIGHTS)
    torch.testing.assert_close(tiny.pinv(tiny(image)), torch.where(WEIGHTS == 0, 0, image))


def test_gradients_of_the_pinv_are_finite_where_nothing_was_measured():
    mask, y = WEIGHTS.clone().requires_grad_(), random_tensor(1, 1, 2, 3)
    Mask(mask).pinv(y).sum().backward()
    torch.testing.assert_close(mask.grad, torch.where(WEIGHTS == 0, 0, -y / WEIGHTS.square()))


def test_mask_weighs_once_when_measured_without_noise():
    """S3: weights of one half give halves, not quarters."""
    physics = Physics(Mask(torch.full((1, 1, 2, 2), 0.5)), Gaussian(0.0))
    assert torch.equal(physics(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 0.5))


def test_mask_prox_is_the_weighted_mean_of_each_pixel():
    z, y = random_tensor(1, 1, 2, 3), random_tensor(1, 1, 2, 3, seed=1)
    got = Mask(WEIGHTS).prox(z, y, 3.0)
    for i in range(2):
        for j in range(3):
            m = WEIGHTS[0, 0, i, j]
            assert got[0, 0, i, j].item() == pytest.approx(
                ((z[0, 0, i, j] + 3 * m * y[0, 0, i, j]) / (1 + 3 * m**2)).item()
            )


def test_mask_knows_its_image_shape():
    assert Mask(torch.ones(1, 1, 4, 5)).image_shape == (None, 4, 5)
    assert Mask(torch.ones(2, 3, 4, 5)).image_shape == (3, 4, 5)
    assert Mask(torch.ones(1, 1, 2, 4, 5), (1, 2, 4, 5)).measurement_shape == (1, 2, 4, 5)
    assert Mask(torch.tensor([[[[True, False]]]])).mask.dtype == torch.get_default_dtype()


@pytest.mark.parametrize(
    ("mask", "image_shape"),
    [
        (torch.ones(4, 5), None),
        (torch.ones(1, 1, 4, 5, dtype=torch.complex64), None),
        (torch.ones(1, 1, 4, 5), (1, 4, 6)),
        (torch.ones(1, 2, 4, 5), (3, 4, 5)),
        (torch.ones(0, 1, 4, 5), None),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, image_shape):
    with pytest.raises(ShapeError, match=r"^Mask "):
        Mask(mask, image_shape)
