"""Noise levels of tasks: fixed, or uniform over their range and one per image."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError
from wellposed.data import FixedGaussian, RandomGaussian, RandomPoissonGaussian, uniform_per_image
from wellposed.noise import Gaussian, PoissonGaussian

N = 20000
IMAGES = torch.zeros(1, 1, 1, 1).expand(N, 1, 1, 1)


def check_uniform(values, low, high):
    """Range, mean and variance of the uniform distribution, within four standard errors."""
    spread = high - low
    assert values.shape == (len(values),)
    assert low <= values.min() < low + 0.01 * spread
    assert high - 0.01 * spread < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 4 * spread / math.sqrt(12 * len(values))
    assert abs(values.var() / (spread**2 / 12) - 1) < 4 * math.sqrt(0.8 / len(values))


def test_a_fixed_level_is_that_level():
    noise = FixedGaussian(0.3)(IMAGES, seeded())
    assert type(noise) is Gaussian
    assert noise.sigma == torch.tensor(0.3)
    assert noise.sigma.shape == ()


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.2), (0.5, 0.6)])
def test_random_levels_are_uniform(low, high):
    noise = RandomGaussian(low, high)(IMAGES, seeded())
    assert type(noise) is Gaussian
    check_uniform(noise.sigma, low, high)
    check_uniform(uniform_per_image(IMAGES, low, high, seeded(4)), low, high)


def test_photon_noise_is_on_some_images_and_independent_of_the_read_out():
    noise = RandomPoissonGaussian(sigma=(0.001, 0.2), gain=(0.01, 1.0), photons=0.25)(IMAGES, seeded())
    assert type(noise) is PoissonGaussian
    has_photons = noise.gain > 1e-7
    assert abs(has_photons.float().mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / N)
    check_uniform(noise.sigma, 0.001, 0.2)
    check_uniform(noise.gain[has_photons], 0.01, 1.0)
    correlation = torch.corrcoef(torch.stack([noise.sigma, noise.gain, has_photons.float()]))
    assert correlation[0, 1:].abs().max() < 4 / math.sqrt(N)


def test_images_without_photon_noise_have_the_variance_of_the_read_out():
    noise = RandomPoissonGaussian(sigma=(0.01, 0.01), gain=(0.1, 1.0), photons=0.0)(torch.zeros(2, 1, 1, 1), seeded())
    clean = torch.ones(2, 1, 100, 100)
    y = noise(clean, generator=seeded(1))
    assert abs((y - clean).std() / 0.01 - 1) < 4 / math.sqrt(2 * y.numel())


def test_all_images_have_photon_noise_where_that_is_certain():
    noise = RandomPoissonGaussian(sigma=(0.0, 0.1), gain=(0.2, 0.4), photons=1.0)(IMAGES, seeded())
    check_uniform(noise.gain, 0.2, 0.4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RandomGaussian(0.2, 0.1), "0 <= low <= high, got 0.2 and 0.1"),
        (lambda: RandomGaussian(-0.1, 0.1), "got -0.1 and 0.1"),
        (lambda: RandomGaussian(0.1, math.inf), "got 0.1 and inf"),
        (lambda: RandomPoissonGaussian((0.1, 0.0), (0.1, 1)), "sigma from low to high"),
        (lambda: RandomPoissonGaussian((0.0, 0.1), (1, 0.1)), "gain from low to high"),
        (lambda: RandomPoissonGaussian((0.0, 0.1), (0.0, 0.1)), "a gain above zero"),
        (lambda: RandomPoissonGaussian((0.0, 0.1), (0.1, 0.1), photons=1.5), r"photons in \[0, 1\], got 0.1 and 1.5"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        make()
