"""A denoiser in training is told the noise level of the physics, image by image."""

import pytest
import torch

from wellposed.core.errors import UnsupportedError
from wellposed.models import Denoiser, DnCNN
from wellposed.noise import Gaussian, Poisson, PoissonGaussian
from wellposed.operators import Identity, Mask
from wellposed.physics import Physics
from wellposed.training import Denoising


class Told(Denoiser):
    """Returns images that hold the noise level."""

    def _denoise(self, x, sigma):
        return sigma.expand_as(x)


def told(noise, y):
    return Denoising(Told())(y, Physics(Identity(), noise))[:, 0, 0, 0]


def test_the_level_of_gaussian_noise_is_exact():
    y = torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(told(Gaussian(0.1), y), torch.full((3,), 0.1))
    levels = torch.tensor([0.0, 0.1, 0.3])
    torch.testing.assert_close(told(Gaussian(levels), y), levels)


def test_the_level_of_photon_noise_follows_the_brightness():
    y = torch.tensor([0.25, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    torch.testing.assert_close(told(Poisson(0.01), y), torch.tensor([0.05, 0.1]))
    expected = (torch.tensor([0.0025, 0.01]) + 0.04).sqrt()
    torch.testing.assert_close(told(PoissonGaussian(gain=0.01, sigma=0.2), y), expected)


def test_blind_denoisers_are_told_nothing():
    torch.manual_seed(0)
    denoiser = DnCNN(channels=1, depth=3, width=4)
    y = torch.rand(1, 1, 6, 6)
    assert torch.equal(Denoising(denoiser)(y, Physics(Identity(), Gaussian(0.1))), denoiser(y))


def test_other_measurements_are_refused():
    physics = Physics(Mask(torch.ones(1, 1, 4, 4), (1, 4, 4)), Gaussian(0.1))
    with pytest.raises(UnsupportedError, match=r"Told is a denoiser and learns from noisy images, not .* of Mask"):
        Denoising(Told())(torch.ones(1, 1, 4, 4), physics)
