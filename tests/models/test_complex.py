"""Complex images through real denoisers: as two images, or as two channels."""

import pytest
import torch

from tests.models.denoiser_cases import CASES
from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, ShapeError
from wellposed.models import ComplexDenoiser

IMAGE = random_tensor(2, 1, 5, 6, dtype=torch.complex128)
LEVELS = torch.tensor([0.1, 0.7], dtype=torch.float64)


def test_parts_are_images_with_the_noise_level_of_their_image():
    denoiser = CASES["DRUNet"].make()
    expected = torch.complex(denoiser(IMAGE.real, LEVELS), denoiser(IMAGE.imag, LEVELS))
    torch.testing.assert_close(ComplexDenoiser(denoiser)(IMAGE, LEVELS), expected)
    assert not torch.allclose(ComplexDenoiser(denoiser)(IMAGE, LEVELS.flip(0)), expected)


def test_parts_are_channels_where_the_denoiser_has_twice_as_many():
    denoiser = CASES["DRUNet"].make(channels=2)
    parts = denoiser(torch.cat([IMAGE.real, IMAGE.imag], dim=1), LEVELS)
    torch.testing.assert_close(ComplexDenoiser(denoiser)(IMAGE, LEVELS), torch.complex(parts[:, :1], parts[:, 1:]))


def test_single_precision_stays_single():
    denoiser = CASES["DnCNN"].make(dtype=torch.float32)
    assert ComplexDenoiser(denoiser)(IMAGE.to(torch.complex64)).dtype == torch.complex64


def test_a_function_is_a_denoiser_of_any_number_of_channels():
    halved = ComplexDenoiser(lambda x, sigma: x / 2 + sigma)(IMAGE.expand(2, 4, 5, 6), 0.5)
    torch.testing.assert_close(halved, IMAGE.expand(2, 4, 5, 6) / 2 + 0.5 + 0.5j)


def test_images_that_do_not_fit_raise():
    denoiser = CASES["DnCNN"].make(channels=3)
    with pytest.raises(DTypeError, match="expects complex images"):
        ComplexDenoiser(denoiser)(IMAGE.real)
    with pytest.raises(ShapeError, match=r"a denoiser of 3 real channels .*got \(2, 1, 5, 6\)"):
        ComplexDenoiser(denoiser)(IMAGE)
