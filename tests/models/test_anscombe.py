"""The Anscombe wrapper: its transform makes the noise of known strength, its inverse has no bias."""

import numpy as np
import pytest
import torch
from scipy import stats

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.models import Anscombe
from wellposed.models.anscombe import _photons


class Spy(torch.nn.Module):
    """Keeps what it is shown, and returns the mean of each image, as the best denoiser of constant images does."""

    def forward(self, x, sigma):
        self.x, self.sigma = x, sigma
        return x.mean(dim=(2, 3), keepdim=True).expand(x.shape)


@pytest.mark.parametrize("sigma", [0.0, 1.5], ids=["Poisson", "Poisson-Gaussian"])
@pytest.mark.parametrize("mean", [1.0, 4.0, 30.0])
def test_the_inverse_undoes_the_expectation(mean, sigma):
    """E[f(z)] by summing over all counts, and over the normal distribution by Gauss-Hermite quadrature."""
    counts = np.arange(400)
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    z = counts[:, None] + sigma * nodes
    transformed = 2 * np.sqrt(np.maximum(z + 3 / 8 + sigma**2, 0)) @ (weights / weights.sum())
    expectation = torch.tensor(stats.poisson(mean).pmf(counts) @ transformed)
    unbiased = _photons(expectation, torch.tensor(sigma, dtype=torch.float64)).item()
    algebraic = expectation.item() ** 2 / 4 - 3 / 8 - sigma**2
    assert abs(unbiased - mean) <= 0.035
    assert abs(algebraic - mean) >= 0.15


@pytest.mark.parametrize(("gain", "sigma"), [(0.02, 0.0), (0.05, 0.1), (1e-4, 0.02)])
@pytest.mark.parametrize("level", [0.3, 0.9])
def test_the_denoiser_sees_the_noise_that_it_is_told(gain, sigma, level):
    noise = wp.noise.PoissonGaussian(gain, sigma)
    y = noise(torch.full((1, 1, 200, 200), level, dtype=torch.float64), generator=seeded())
    spy = Spy()
    recovered = Anscombe(spy)(y, gain, sigma)
    assert spy.x.std().item() == pytest.approx(spy.sigma.item(), rel=0.04)
    assert recovered.mean().item() == pytest.approx(y.mean().item(), abs=0.001 + 0.02 * gain)


def test_zero_is_shown_as_zero_and_the_peak_as_one():
    spy = Spy()
    y = torch.tensor([0.0, 5.0]).view(1, 1, 1, 2)
    Anscombe(spy, peak=5.0)(y, gain=0.3, sigma=0.2)
    torch.testing.assert_close(spy.x, torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))


def test_a_perfect_denoiser_of_a_bright_image_gives_it_back():
    """What is left is the correction of a quarter of a photon for the mean of the root."""
    y = random_tensor(2, 3, 8, 8).abs() + 1
    restored = Anscombe(lambda x, _: x)(y, gain=1e-4)
    torch.testing.assert_close(restored, y + 1e-4 / 4, rtol=0, atol=1e-6)


@pytest.mark.parametrize("argument", ["gain", "sigma"])
def test_levels_run_along_the_batch(argument):
    y = random_tensor(2, 1, 2, 2).abs()
    values = torch.tensor([0.1, 0.4], dtype=torch.float64)
    other = {"gain": 0.2, "sigma": 0.3}
    spy = Spy()
    together = Anscombe(spy)(y, **{**other, argument: values})
    assert spy.sigma.shape == (2, 1, 1, 1)
    for i in range(2):
        alone = Anscombe(Spy())(y[i : i + 1], **{**other, argument: float(values[i])})
        torch.testing.assert_close(together[i : i + 1], alone)
    as_map = Anscombe(Spy())(y, **{**other, argument: values.view(2, 1, 1, 1).expand(2, 1, 2, 2)})
    torch.testing.assert_close(as_map, together)


def test_dark_and_negative_pixels_become_zero_and_gradients_stay_finite():
    y = torch.tensor([-1.0, 0.0, 0.01, 0.5], dtype=torch.float64).view(1, 1, 2, 2).requires_grad_()
    restored = Anscombe(lambda x, _: x)(y, gain=0.1)
    assert restored.min() >= 0
    assert restored.flatten()[:2].max() <= 1e-15
    restored.sum().backward()
    assert torch.isfinite(y.grad).all()
    assert y.grad.flatten()[3] > 0


def test_what_makes_no_sense_raises():
    y = torch.ones(1, 1, 4, 4)
    with pytest.raises(ArgumentError, match="peak above zero"):
        Anscombe(Spy(), peak=0)
    with pytest.raises(ArgumentError, match="gain above zero, the value of one photon, got 0"):
        Anscombe(Spy())(y, gain=0)
    with pytest.raises(ArgumentError, match="sigma >= 0"):
        Anscombe(Spy())(y, gain=0.1, sigma=-1)
    with pytest.raises(ShapeError, match="expects gain to be"):
        Anscombe(Spy())(y, gain=torch.ones(3))
    with pytest.raises(DTypeError, match="expects real images"):
        Anscombe(Spy())(y + 0j, gain=0.1)
