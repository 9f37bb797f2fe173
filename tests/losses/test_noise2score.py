"""The score that is learnt is that of dense algebra, and Tweedie's formulas give the image where its score is known."""

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.losses import Noise2Score, adapted_for_test
from wellposed.noise import Gamma, Gaussian, Laplace, Poisson


class Score(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, y, _physics):
        return self.function(y)


def denoise(score, y, noise):
    return adapted_for_test(Noise2Score(), Score(score))(y, wp.Physics(wp.operators.Identity(), noise))


def test_the_linear_minimiser_is_the_score_of_a_gaussian():
    """y ~ N(0, v) and y + a u: the best slope is -E[a^2] / (v E[a^2] + E[a^4]), the moments of a being known."""
    variance, spread = 0.5, 0.6
    y = variance**0.5 * torch.randn(40_000, 1, 2, 2, generator=seeded(), dtype=torch.float64)
    physics, loss = wp.Physics(wp.operators.Identity()), Noise2Score(spread)

    def value(slope):
        model = loss.adapt(Score(lambda y: slope * y))
        x_hat = model(y, physics, generator=seeded(1))
        return loss(x_hat=x_hat, y=y, physics=physics, model=model).mean()

    low, middle, high = value(-1), value(0), value(1)
    best = (low - high) / (2 * (low + high - 2 * middle))
    logarithm = torch.log(torch.tensor(10.0))
    second, fourth = (spread**k * (1 - 10.0**-k) / (k * logarithm) for k in (2, 4))
    assert float(best) == pytest.approx(float(-second / (variance * second + fourth)), rel=0.02)
    assert float(middle) == pytest.approx(1, rel=0.01)


def test_of_a_gaussian_image_it_is_the_posterior_mean():
    sigma = torch.tensor([0.3, 0.6], dtype=torch.float64)
    y = torch.randn(2, 1, 3, 3, generator=seeded(), dtype=torch.float64)
    total = (0.8 + sigma.square()).view(2, 1, 1, 1)
    torch.testing.assert_close(denoise(lambda y: -(y - 1) / total, y, Gaussian(sigma)), 1 + 0.8 / total * (y - 1))


def test_of_a_known_speckled_image_it_is_the_image():
    """p(y) ~ y^(L - 1) exp(-L y / x)."""
    looks, x = 4.0, 1.7
    y = x * torch.rand(1, 1, 4, 4, generator=seeded(), dtype=torch.float64) + 0.1
    score = (looks - 1) / y - looks / x
    torch.testing.assert_close(denoise(lambda _: score, y, Gamma(looks)), torch.full_like(y, x))


def test_of_a_known_image_in_photons_it_is_the_image_nearly():
    """p(y) ~ (x / g)^z / z!, continued to the numbers between."""
    gain, x = 0.1, 1.7
    counts = torch.arange(3.0, 40.0, dtype=torch.float64).view(1, 1, 1, -1)
    score = (torch.log(torch.tensor(x / gain)) - torch.special.digamma(counts + 1)) / gain
    restored = denoise(lambda _: score, gain * counts, Poisson(gain))
    torch.testing.assert_close(restored, torch.full_like(counts, x), rtol=5e-3, atol=0)


def test_what_makes_no_sense_is_refused():
    for make in (lambda: Noise2Score(spread=0), lambda: Noise2Score(draws=2)):
        with pytest.raises(ArgumentError, match="Noise2Score"):
            make()
    with pytest.raises(UnsupportedError, match="Laplace"):
        denoise(lambda y: y, torch.ones(1, 1, 2, 2), Laplace(0.1))
