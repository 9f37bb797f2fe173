"""The noise that returns to the image, against its expectation."""

import pytest
import torch

from wellposed import Physics
from wellposed.noise import Gaussian, NoNoise, Poisson
from wellposed.operators import Blur, CartesianMRI, Identity, Mask, Stack
from wellposed.optim import noise_levels


def backprojected_noise(y, physics):
    return noise_levels(y, physics).image


def test_denoising_returns_sigma_of_each_image():
    level = backprojected_noise(torch.zeros(2, 3, 64, 64), Physics(Identity(), Gaussian(torch.tensor([0.1, 0.3]))))
    torch.testing.assert_close(level, torch.tensor([0.1, 0.3]), rtol=0.02, atol=0)


def test_the_level_of_the_measurements_does_not_depend_on_the_operator():
    y = torch.zeros(1, 1, 64, 64)
    for operator in (Identity(), 5 * Identity(), Mask(torch.zeros(1, 1, 64, 64))):
        assert noise_levels(y, Physics(operator, Gaussian(0.2))).measurements.item() == pytest.approx(0.2, rel=0.05)


def test_complex_noise_is_that_of_one_part():
    y = torch.zeros(1, 1, 64, 64, dtype=torch.complex64)
    levels = noise_levels(y, Physics(CartesianMRI(torch.ones(1, 1, 64, 64), (1, 64, 64)), Gaussian(0.2)))
    assert levels.measurements.item() == pytest.approx(0.2, rel=0.05)
    assert levels.image.item() == pytest.approx(0.2, rel=0.05)


def test_a_mask_keeps_the_root_of_its_share():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., ::4] = 1
    level = backprojected_noise(torch.zeros(1, 1, 64, 64), Physics(Mask(mask), Gaussian(0.2)))
    assert level.item() == pytest.approx(0.1, rel=0.05)


def test_a_blur_returns_the_norm_of_its_kernel():
    kernel = torch.ones(1, 1, 3, 3) / 9
    level = backprojected_noise(
        torch.zeros(1, 1, 128, 128), Physics(Blur(kernel, (1, 128, 128), padding="circular"), Gaussian(0.3))
    )
    assert level.item() == pytest.approx(0.1, rel=0.05)


def test_poisson_noise_is_read_off_the_measurements():
    y = torch.full((1, 1, 64, 64), 0.25)
    assert backprojected_noise(y, Physics(Identity(), Poisson(0.04))).item() == pytest.approx(0.1, rel=0.05)
    assert backprojected_noise(4 * y, Physics(Identity(), Poisson(0.04))).item() == pytest.approx(0.2, rel=0.05)


def test_no_noise_is_zero_and_tuples_add_up():
    assert backprojected_noise(torch.ones(1, 1, 8, 8), Physics(Identity(), NoNoise())).item() == 0
    stack = Stack((Identity((1, 64, 64)), Identity((1, 64, 64))))
    y = (torch.zeros(1, 1, 64, 64),) * 2
    assert backprojected_noise(y, Physics(stack, Gaussian(0.1))).item() == pytest.approx(0.1 * 2**0.5, rel=0.05)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    noise_levels(torch.zeros(1, 1, 8, 8), Physics(Identity(), Gaussian(0.1)))
    assert torch.equal(before, torch.random.get_rng_state())
