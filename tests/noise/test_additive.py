"""Gaussian, Uniform, Laplace and no noise, against the distributions of scipy."""

import pytest
import torch
from scipy import stats

from wellposed.core.errors import ArgumentError
from wellposed.noise import Gaussian, Laplace, NoNoise, Uniform

ENOUGH = 1e-3


def draw(noise, level, count=20_000, seed=0):
    clean = torch.full((1, 1, count), level, dtype=torch.float64)
    return noise(clean, generator=torch.Generator().manual_seed(seed)).flatten().numpy()


@pytest.mark.parametrize(
    ("noise", "truth"),
    [
        (Gaussian(0.3), stats.norm(0.7, 0.3)),
        (Gaussian(2.0), stats.norm(0.7, 2.0)),
        (Uniform(0.2), stats.uniform(0.5, 0.4)),
        (Uniform(1.5), stats.uniform(-0.8, 3.0)),
        (Laplace(0.1), stats.laplace(0.7, 0.1)),
        (Laplace(3.0), stats.laplace(0.7, 3.0)),
    ],
    ids=["gaussian", "wide gaussian", "uniform", "wide uniform", "laplace", "wide laplace"],
)
def test_distribution(noise, truth):
    assert stats.kstest(draw(noise, 0.7), truth.cdf).pvalue > ENOUGH


@pytest.mark.parametrize(
    ("noise", "variance"),
    [(NoNoise(), 0.0), (Gaussian(0.5), 0.25), (Uniform(0.6), 0.12), (Laplace(0.5), 0.5)],
    ids=repr,
)
def test_mean_and_variance_are_closed_forms(noise, variance):
    clean = torch.tensor([[-1.0, 0.0, 2.5]], dtype=torch.float64)
    torch.testing.assert_close(noise.mean(clean), clean)
    torch.testing.assert_close(noise.variance(clean), torch.full_like(clean, variance), rtol=1e-6, atol=0)


def test_no_noise_returns_the_clean_measurements():
    clean = torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(NoNoise()(clean), clean)


@pytest.mark.parametrize("noise", [Gaussian(0.0), Uniform(0.0), Laplace(0.0)], ids=repr)
def test_zero_noise_is_none(noise):
    clean = torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise(clean), clean)


def test_complex_gaussian_has_independent_parts_of_standard_deviation_sigma():
    clean = torch.full((1, 1, 20_000), 1 - 2j, dtype=torch.complex128)
    y = Gaussian(0.3)(clean, generator=torch.Generator().manual_seed(0)).flatten()
    assert stats.kstest(y.real.numpy(), stats.norm(1, 0.3).cdf).pvalue > ENOUGH
    assert stats.kstest(y.imag.numpy(), stats.norm(-2, 0.3).cdf).pvalue > ENOUGH
    assert stats.pearsonr(y.real.numpy(), y.imag.numpy()).pvalue > ENOUGH
    torch.testing.assert_close(Gaussian(0.3).variance(clean)[0, 0, 0].item(), 0.09, rtol=1e-6, atol=0)


def test_per_image_sigma_scales_each_image():
    clean = torch.zeros(2, 1, 100, 100)
    noise = Gaussian(torch.tensor([1e-3, 10.0]))
    spread = noise(clean, generator=torch.Generator().manual_seed(0)).flatten(1).std(1)
    torch.testing.assert_close(spread, torch.tensor([1e-3, 10.0]), rtol=0.03, atol=0)


def test_per_pixel_sigma_scales_each_pixel():
    sigma = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    y = Gaussian(sigma)(torch.zeros(3, 2, 500, 2), generator=torch.Generator().manual_seed(0))
    assert not y[..., 0].any()
    assert abs(y[..., 1].std().item() - 1) < 0.06


def test_a_single_value_serves_every_image():
    clean = torch.zeros(3, 1, 2, 2)
    torch.testing.assert_close(Gaussian(torch.tensor([0.5])).variance(clean), torch.full_like(clean, 0.25))


def test_negative_sigma_is_named_in_the_error():
    with pytest.raises(ArgumentError, match=r"Gaussian expects a finite sigma >= 0, got -0\.5"):
        Gaussian(-0.5)


def test_repr_tells_numbers_and_shapes():
    assert repr(Gaussian(0.05)) == "Gaussian(sigma=0.05)"
    assert repr(Gaussian(torch.ones(3))) == "Gaussian(sigma=Tensor(3,))"
