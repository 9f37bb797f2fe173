"""Mixing channels: numbers by hand, and the pseudo-inverse of matrices that are wide, tall, or of rank one."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, ShapeError
from wellposed.operators import SpectralResponse

LUMINANCE = torch.tensor([[[0.299, 0.587, 0.114]]], dtype=torch.float64)


def test_luminance_of_a_pixel():
    A = SpectralResponse(LUMINANCE)
    x = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64).view(1, 3, 1, 1)
    assert A(x).item() == pytest.approx(0.299 + 0.2935 + 0.0285)
    assert A.norm().item() == pytest.approx((0.299**2 + 0.587**2 + 0.114**2) ** 0.5)
    assert A.measurement_shape == (1, None, None)


def test_flat_grey_goes_back_as_grey():
    """The image of least norm whose mean is y is grey; the prox pulls the mean towards y and leaves the colour."""
    A = SpectralResponse(torch.full((1, 1, 3), 1 / 3, dtype=torch.float64), (3, 2, 2))
    y = random_tensor(1, 1, 2, 2)
    torch.testing.assert_close(A.pinv(y), y.expand(1, 3, 2, 2))
    z = random_tensor(1, 3, 2, 2, seed=1)
    mean = z.mean(1, keepdim=True)
    torch.testing.assert_close(A.prox(z, y, 6.0), z + 6.0 / (3 + 6.0) * (y - mean))


def test_a_matrix_per_image_and_complex_images():
    response = random_tensor(2, 4, 3)
    x = random_tensor(2, 3, 2, 5, dtype=torch.complex128)
    y = SpectralResponse(response)(x)
    torch.testing.assert_close(y, torch.einsum("bmc,bchw->bmhw", response.to(x.dtype), x))
    torch.testing.assert_close(SpectralResponse(response).pinv(y), x)


def test_a_trainable_response():
    response = torch.nn.Parameter(LUMINANCE.clone())
    SpectralResponse(response)(torch.ones(1, 3, 2, 2, dtype=torch.float64)).sum().backward()
    torch.testing.assert_close(response.grad, torch.full_like(LUMINANCE, 4.0))


def test_what_does_not_fit_is_told():
    with pytest.raises(DTypeError, match="SpectralResponse expects response to be"):
        SpectralResponse([[1.0]])
    with pytest.raises(ShapeError, match=r"real matrices of shape \(B or 1, m, C\)"):
        SpectralResponse(torch.ones(1, 3))
    with pytest.raises(ShapeError, match="real matrices"):
        SpectralResponse(torch.ones(1, 1, 3, dtype=torch.complex64))
    with pytest.raises(ShapeError, match="a response for 3 channels, and images of shape"):
        SpectralResponse(LUMINANCE, (4, 8, 8))
