"""Poisson, PoissonGaussian and LogPoisson, against sums over the probabilities of scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from wellposed.core.errors import ArgumentError
from wellposed.noise import LogPoisson, Poisson, PoissonGaussian

ENOUGH = 1e-3
COUNT = 20_000


def draw(noise, level, seed=0):
    clean = torch.full((1, 1, COUNT), level, dtype=torch.float64)
    return noise(clean, generator=torch.Generator().manual_seed(seed)).flatten().numpy()


def assert_counts_are_poisson(counts, rate):
    """Chi-square over the counts that are expected at least ten times, the tails lumped together."""
    np.testing.assert_allclose(counts, counts.round(), atol=1e-5)
    values = np.arange(int(rate + 10 * math.sqrt(rate) + 10))
    expected = stats.poisson.pmf(values, rate) * COUNT
    frequent = expected >= 10
    observed = np.array([(counts.round() == value).sum() for value in values])[frequent]
    expected = expected[frequent]
    rest = COUNT - expected.sum()
    if rest >= 1:
        observed, expected = np.append(observed, COUNT - observed.sum()), np.append(expected, rest)
    else:
        expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > ENOUGH


@pytest.mark.parametrize(("gain", "level"), [(1.0, 3.0), (0.25, 0.8), (0.02, 0.5), (5.0, 2.0)])
def test_poisson_counts(gain, level):
    gain = float(torch.tensor(gain))
    assert_counts_are_poisson(draw(Poisson(gain), level) / gain, level / gain)


def test_poisson_moments_are_closed_forms():
    clean = torch.tensor([[0.0, 0.5, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(Poisson(0.25).mean(clean), clean)
    torch.testing.assert_close(Poisson(0.25).variance(clean), 0.25 * clean)
    torch.testing.assert_close(PoissonGaussian(0.25, 0.5).mean(clean), clean)
    torch.testing.assert_close(PoissonGaussian(0.25, 0.5).variance(clean), 0.25 * clean + 0.25)


@pytest.mark.parametrize(("gain", "sigma", "level"), [(0.5, 0.25, 1.0), (1.0, 0.5, 4.0), (0.25, 1.0, 0.5)])
def test_poisson_gaussian_distribution(gain, sigma, level):
    counts = np.arange(60)
    weights = stats.poisson.pmf(counts, level / gain)

    def cdf(y):
        return (weights * stats.norm.cdf(np.asarray(y)[:, None], gain * counts, sigma)).sum(1)

    assert stats.kstest(draw(PoissonGaussian(gain, sigma), level), cdf).pvalue > ENOUGH


@pytest.mark.parametrize("make", [Poisson, lambda gain, **kw: PoissonGaussian(gain, 0.0, **kw)], ids=["Poisson", "PG"])
def test_negative_measurements_are_refused_or_clipped(make):
    clean = torch.tensor([[-0.5, 100.0]])
    for verb in ("__call__", "mean", "variance"):
        with pytest.raises(ArgumentError, match=r"got a minimum of -0\.5.*clip=True"):
            getattr(make(0.1), verb)(clean)
    clipping = make(0.1, clip=True)
    y = clipping(clean, generator=torch.Generator().manual_seed(0))
    assert y[0, 0] == 0
    assert abs(y[0, 1] - 100) < 20
    assert torch.equal(clipping.mean(clean), torch.tensor([[0.0, 100.0]]))
    torch.testing.assert_close(clipping.variance(clean), torch.tensor([[0.0, 10.0]]))


def test_clip_survives_with_params():
    assert Poisson(0.1, clip=True).with_params(gain=0.2).clip


def test_nan_measurements_are_refused():
    with pytest.raises(ArgumentError, match="nan"):
        Poisson(0.1, clip=True)(torch.tensor([[torch.nan]]))


def summed_moments(rate, photons, attenuation, min_count):
    """Sum the probabilities of every count within 40 standard deviations."""
    low = max(0, int(rate - 40 * math.sqrt(rate) - 40))
    counts = np.arange(low, int(rate + 40 * math.sqrt(rate) + 200))
    weights = stats.poisson.pmf(counts, rate)
    y = -np.log(np.maximum(counts, min_count) / photons) / attenuation
    mean = (weights * y).sum()
    return mean, (weights * (y - mean) ** 2).sum()


@pytest.mark.parametrize("rate", [1e-3, 0.3, 2.0, 15.0, 59.9, 60.1, 90.0, 1e3, 1e5])
@pytest.mark.parametrize(("attenuation", "min_count"), [(1.0, 0.1), (0.05, 0.5), (3.0, 1.0)])
def test_log_poisson_moments_are_exact(rate, attenuation, min_count):
    photons, attenuation = 1e5, float(torch.tensor(attenuation))
    noise = LogPoisson(photons, attenuation, min_count=min_count)
    clean = torch.tensor([[math.log(photons / rate) / attenuation]], dtype=torch.float64)
    mean, variance = summed_moments(rate, photons, attenuation, min_count)
    assert noise.mean(clean).item() == pytest.approx(mean, rel=1e-9)
    assert noise.variance(clean).item() == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize(("photons", "attenuation", "level"), [(20.0, 1.5, 1.0), (200.0, 0.2, 0.5), (1.0, 1.0, 2.0)])
def test_log_poisson_counts(photons, attenuation, level):
    attenuation = float(torch.tensor(attenuation))
    y = draw(LogPoisson(photons, attenuation), level)
    counts = photons * np.exp(-attenuation * y)
    counts[np.isclose(counts, 0.1)] = 0
    assert_counts_are_poisson(counts, photons * math.exp(-attenuation * level))


@pytest.mark.parametrize("min_count", [0.1, 1.0])
def test_log_poisson_is_finite_where_no_photon_arrives(min_count):
    """S7: no infinity at low counts; what stands there is the logarithm of min_count."""
    noise = LogPoisson(photons=100.0, attenuation=2.0, min_count=min_count)
    y = noise(torch.full((1, 1, 50, 50), 40.0, dtype=torch.float64))
    torch.testing.assert_close(y, torch.full_like(y, math.log(100 / min_count) / 2))


@pytest.mark.parametrize("min_count", [0.0, -1.0, 1.5])
def test_log_poisson_min_count_out_of_bounds(min_count):
    with pytest.raises(ArgumentError, match="0 < min_count <= 1"):
        LogPoisson(10.0, 1.0, min_count=min_count)


def test_log_poisson_refuses_infinitely_many_photons():
    with pytest.raises(ArgumentError, match="minimum of -1000"):
        LogPoisson(10.0, 1.0)(torch.tensor([[-1000.0]]))


def test_more_photons_than_can_be_counted_are_refused():
    """They would come back negative."""
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    assert Poisson(1e-17)(x).min() > 0.99
    with pytest.raises(ArgumentError, match="photons are too many to count"):
        Poisson(1e-30)(x)
