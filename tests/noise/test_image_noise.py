"""Gamma, Rician and SaltPepper: noise that depends on the image."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.noise import Gamma, Rician, SaltPepper

ENOUGH = 1e-3


def draw(noise, level, count=20_000, seed=0):
    clean = torch.full((1, 1, count), level, dtype=torch.float64)
    return noise(clean, generator=torch.Generator().manual_seed(seed)).flatten().numpy()


@pytest.mark.parametrize("looks", [0.5, 1.0, 4.5, 100.0])
def test_gamma_distribution(looks):
    assert stats.kstest(draw(Gamma(looks), 3.0), stats.gamma(looks, scale=3.0 / looks).cdf).pvalue > ENOUGH


def test_gamma_moments_are_closed_forms():
    clean = torch.tensor([[0.0, 0.5, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(Gamma(4.0).mean(clean), clean)
    torch.testing.assert_close(Gamma(4.0).variance(clean), clean.square() / 4)


@pytest.mark.parametrize(("level", "sigma"), [(0.0, 0.5), (0.5, 0.5), (2.0, 0.25), (1.0, 4.0)])
def test_rician_distribution(level, sigma):
    assert stats.kstest(draw(Rician(sigma), level), stats.rice(level / sigma, scale=sigma).cdf).pvalue > ENOUGH


@pytest.mark.parametrize("sigma", [0.25, 1.0, 2.0])
def test_rician_moments_agree_with_scipy(sigma):
    levels = np.array([0.0, 1e-3, 0.1, 0.5, 2.0, 8.0])
    clean = torch.tensor(levels)[None]
    truth = stats.rice(levels / sigma, scale=sigma)
    np.testing.assert_allclose(Rician(sigma).mean(clean)[0], truth.mean(), rtol=1e-12)
    np.testing.assert_allclose(Rician(sigma).variance(clean)[0], truth.var(), rtol=1e-10)


@pytest.mark.parametrize("snr", [50.0, 999.0, 1001.0, 1e5, 1e8])
def test_rician_at_high_ratios_follows_its_series(snr):
    """Mean x + s^2/2x + s^4/8x^3 and variance s^2 - s^4/2x^2, where x^2 + 2 s^2 - mean^2 loses every digit."""
    sigma = 1 / 1024
    clean = torch.tensor([[snr * sigma]], dtype=torch.float64)
    mean = sigma * (snr + 0.5 / snr + 0.125 / snr**3)
    assert Rician(sigma).mean(clean).item() == pytest.approx(mean, rel=1e-9)
    assert Rician(sigma).variance(clean).item() == pytest.approx(sigma**2 * (1 - 0.5 / snr**2), rel=1e-9 + snr**-4)


def test_rician_variance_keeps_its_digits_in_single_precision():
    variance = Rician(1e-3).variance(torch.ones(1, 1))
    assert variance.item() == pytest.approx(1e-6, rel=1e-5)


def test_rician_is_even_in_the_clean_measurement():
    clean = torch.tensor([[0.7]], dtype=torch.float64)
    for verb in (Rician(0.5).mean, Rician(0.5).variance):
        assert torch.equal(verb(clean), verb(-clean))


def test_rician_without_noise_is_the_modulus():
    clean = torch.tensor([[-2.0, 0.0, 3.0]])
    noise = Rician(0.0)
    for y in (noise(clean), noise.mean(clean)):
        assert torch.equal(y, clean.abs())
    assert not noise.variance(clean).any()


def test_rician_floor_is_the_rayleigh_mean():
    assert Rician(2.0).mean(torch.zeros(1, 1)).item() == pytest.approx(2 * math.sqrt(math.pi / 2))


def test_rician_refuses_complex_measurements_with_a_way_out():
    with pytest.raises(DTypeError, match=r"x\.abs\(\)"):
        Rician(0.1)(torch.ones(1, 1, 2, 2, dtype=torch.complex64))


@pytest.mark.parametrize(("salt", "pepper"), [(0.1, 0.3), (0.0, 0.5), (0.5, 0.0), (0.25, 0.75)])
def test_salt_pepper_frequencies(salt, pepper):
    y = draw(SaltPepper(salt, pepper), 0.4)
    observed = np.array([(y == 1).sum(), (y == 0).sum(), (y == 0.4).sum()])
    expected = np.array([salt, pepper, 1 - salt - pepper]) * y.size
    assert observed.sum() == y.size
    assert not observed[expected == 0].any()
    assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > ENOUGH


def test_salt_pepper_moments_are_closed_forms():
    clean = torch.tensor([[0.0, 0.5, 2.0]], dtype=torch.float64)
    noise = SaltPepper(0.25, 0.125)
    mean = 0.25 + 0.625 * clean
    torch.testing.assert_close(noise.mean(clean), mean)
    torch.testing.assert_close(noise.variance(clean), 0.25 + 0.625 * clean.square() - mean.square())


@pytest.mark.parametrize(
    ("salt", "pepper"), [(0.6, 0.5), (torch.tensor([0.1, 0.9]), 0.2), (torch.tensor([0.9]), torch.tensor([0.2]))]
)
def test_probabilities_above_one_are_refused_at_once(salt, pepper):
    with pytest.raises(ArgumentError, match=r"salt \+ pepper <= 1, got a sum of 1\.1"):
        SaltPepper(salt, pepper)


def test_probabilities_of_different_shapes_meet_on_the_measurements():
    """S6: per-image salt against per-pixel pepper."""
    noise = SaltPepper(torch.tensor([0.5, 0.9]), torch.tensor([0.1, 0.2]).view(1, 1, 1, 2))
    clean = torch.zeros(2, 1, 1, 2)
    with pytest.raises(ArgumentError, match=r"sum of 1\.1"):
        noise(clean)
    torch.testing.assert_close(
        noise.with_params(salt=torch.tensor([0.5, 0.7])).mean(clean)[:, 0, 0, 0], torch.tensor([0.5, 0.7])
    )
    with pytest.raises(ShapeError, match="pepper"):
        noise(torch.zeros(2, 1, 1, 3))
