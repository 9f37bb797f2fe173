"""The mean of each unbiased loss over many draws is the supervised risk, plus the constant that its page states.

A linear and a nonlinear estimator are fixed; the loss minus the true error of each draw has a mean within three
standard errors, and these are small beside the risk, so that a wrong term shows.
"""

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.core.tree import tree_map
from wellposed.losses import R2R, SURE, Neighbor2Neighbor, Noise2Noise, Noise2Self, Noise2Void, Splitting
from wellposed.noise import Gamma, Gaussian, Poisson, PoissonGaussian

DRAWS = 20_000
SHAPE = (1, 4, 4)
X = torch.rand(1, *SHAPE, generator=seeded(), dtype=torch.float64) + 0.5
WEIGHTS = torch.linspace(0.4, 1.3, 16, dtype=torch.float64).view(1, *SHAPE)
MATRIX = torch.eye(16, dtype=torch.float64) + 0.15 * torch.randn(16, 16, generator=seeded(1), dtype=torch.float64)
SPREAD = torch.linspace(0.5, 1.5, DRAWS, dtype=torch.float64)
"""Levels of noise differ from image to image."""


class Estimator(nn.Module):
    """A fixed linear, or bent, map of the back-projected measurements."""

    def __init__(self, bend):
        super().__init__()
        self.bend = bend

    def forward(self, y, physics):
        back = physics.A_adjoint(y)
        matrix = MATRIX[: back[0].numel(), : back[0].numel()].to(back.dtype)
        answer = (back.flatten(1) @ matrix).view_as(back)
        return answer + self.bend * answer.square() if self.bend else answer


estimators = pytest.mark.parametrize("estimator", [Estimator(0), Estimator(0.15)], ids=["linear", "nonlinear"])


def diagonal(noise):
    return wp.Physics(wp.operators.Mask(WEIGHTS), noise)


def measured(physics, x=X):
    clean = physics.operator(x)
    return physics.noise(clean.expand(DRAWS, *clean.shape[1:]), generator=seeded(7))


def risk(x_hat, physics, x=X):
    return (physics.operator(x_hat) - physics.operator(x)).abs().square().flatten(1).mean(1)


def assert_same_mean(loss, truth, precision=0.02):
    gap = loss - truth
    error = gap.std() / len(gap) ** 0.5
    assert error < precision * truth.mean()
    assert gap.mean().abs() < 3 * error


NOISES = {
    "Gaussian": Gaussian(0.4 * SPREAD),
    "Poisson": Poisson(0.02 * SPREAD),
    "PoissonGaussian": PoissonGaussian(0.02, 0.1 * SPREAD),
}


@estimators
@pytest.mark.parametrize("step", [1e-2, None], ids=["difference", "autograd"])
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_sure_is_the_risk(noise, step, estimator):
    physics = diagonal(noise)
    y = measured(physics)
    x_hat = estimator(y, physics)
    loss = SURE(step=step)(x_hat=x_hat, y=y, physics=physics, model=estimator, generator=seeded(3))
    assert_same_mean(loss, risk(x_hat, physics), precision=0.03)


@pytest.mark.parametrize("noise", [Poisson(0.3), PoissonGaussian(0.3, 0.2)], ids=["Poisson", "PoissonGaussian"])
def test_sure_is_exact_for_affine_estimators_however_few_photons_there_are(noise):
    physics, estimator = diagonal(noise), Estimator(0)
    y = measured(physics)
    x_hat = estimator(y, physics) + 0.3
    loss = SURE()(x_hat=x_hat, y=y, physics=physics, model=lambda y, p: estimator(y, p) + 0.3, generator=seeded(3))
    assert_same_mean(loss, risk(x_hat, physics), precision=0.03)


@estimators
def test_sure_of_complex_measurements_counts_both_parts(estimator):
    mask = torch.linspace(0.5, 1, 16, dtype=torch.float64).view(1, *SHAPE)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, SHAPE), Gaussian(0.3))
    x = torch.complex(X, X.flip(-1))
    y = measured(physics, x)
    x_hat = estimator(y, physics)
    loss = SURE()(x_hat=x_hat, y=y, physics=physics, model=estimator, generator=seeded(3))
    assert_same_mean(loss, risk(x_hat, physics, x))


@estimators
def test_sure_of_a_tuple_of_measurements(estimator):
    operator = wp.operators.Stack([wp.operators.Mask(WEIGHTS), wp.operators.Mask(WEIGHTS.flip(-1))])
    physics = wp.Physics(operator, Gaussian(0.3))
    clean = operator(X)
    y = physics.noise(tree_map(lambda leaf: leaf.expand(DRAWS, *SHAPE), clean), generator=seeded(7))
    x_hat = 0.4 * estimator(y, physics)
    loss = SURE()(x_hat=x_hat, y=y, physics=physics, model=lambda y, p: 0.4 * estimator(y, p), generator=seeded(3))
    errors = [(one - other).square().flatten(1).mean(1) for one, other in zip(operator(x_hat), clean, strict=True)]
    assert_same_mean(loss, (errors[0] + errors[1]) / 2)


@estimators
def test_sure_of_coloured_noise(estimator):
    factor = 0.2 * torch.eye(16, dtype=torch.float64) + 0.1 * torch.rand(
        16, 16, generator=seeded(4), dtype=torch.float64
    )
    physics = diagonal(Gaussian(100.0))
    noise = torch.randn(DRAWS, 16, generator=seeded(5), dtype=torch.float64) @ factor.T
    y = physics.operator(X) + noise.view(DRAWS, *SHAPE)

    def covariance(u):
        return (u.flatten(1) @ factor @ factor.T).view_as(u)

    x_hat = estimator(y, physics)
    loss = SURE(covariance=covariance)(x_hat=x_hat, y=y, physics=physics, model=estimator, generator=seeded(3))
    assert_same_mean(loss, risk(x_hat, physics))


def test_the_step_is_relative_to_the_measurements_of_each_image():
    """For f(y) = y^2 the difference quotient is exact up to the step: 2 y + tau w."""
    y = torch.tensor([1.0, 10.0], dtype=torch.float64).view(2, 1, 1, 1).expand(2, 1, 100, 100).contiguous()
    physics = wp.Physics(wp.operators.Identity(), Gaussian(1.0))
    probe = torch.randn(y.shape, generator=seeded(3), dtype=torch.float64)
    value = SURE(step=0.3)(x_hat=y**2, y=y, physics=physics, model=lambda y, _: y**2, generator=seeded(3))
    tau = torch.tensor([0.3, 3.0], dtype=torch.float64).view(2, 1, 1, 1)
    expected = ((y**2 - y).square() + 2 * probe * (2 * y * probe + tau * probe.square()) - 1).flatten(1).mean(1)
    torch.testing.assert_close(value, expected)


RECORRUPTED = {
    "Gaussian": (Gaussian(0.4 * SPREAD), lambda _: (0.4 * SPREAD.view(-1, 1, 1, 1)).square()),
    "Poisson": (Poisson(0.1), lambda clean: 0.1 * clean),
    "Gamma": (Gamma(5.0), lambda clean: clean.square() / 5),
}
recorrupted = pytest.mark.parametrize(("noise", "variance"), RECORRUPTED.values(), ids=RECORRUPTED)


@estimators
@recorrupted
@pytest.mark.parametrize("alpha", [0.2, 0.6])
def test_r2r_is_the_risk_of_what_the_network_sees_plus_the_variance_of_the_target(noise, variance, alpha, estimator):
    physics = diagonal(noise)
    y = measured(physics)
    loss = R2R(alpha)
    model = loss.adapt(estimator)
    x_hat = model(y, physics, generator=seeded(3))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    constant = (variance(physics.operator(X)) / alpha).expand(DRAWS, *SHAPE).flatten(1).mean(1)
    assert_same_mean(value - constant, risk(x_hat, physics), precision=0.08)


@recorrupted
@pytest.mark.parametrize("alpha", [0.2, 0.6])
def test_the_two_parts_are_independent_and_have_the_levels_that_are_said(noise, variance, alpha):
    physics = diagonal(noise)
    y = measured(physics)
    draw = R2R(alpha).draw(y, physics, generator=seeded(3))
    clean = physics.operator(X).expand_as(y)
    said = draw.physics.noise.variance(clean)
    torch.testing.assert_close(said, (variance(clean) / (1 - alpha)).expand_as(said))
    for part, spread in ((draw.y, said), (draw.target, variance(clean) / alpha)):
        assert_mean((part - clean) / spread.sqrt(), 0)
        assert_mean((part - clean).square() / spread, 1)
    one, other = (draw.y - clean) / said.sqrt(), (draw.target - clean) / (variance(clean) / alpha).sqrt()
    for power, against in ((1, 1), (2, 1), (1, 2), (2, 2)):
        left, right = (part**p - (part**p).mean(0) for part, p in ((one, power), (other, against)))
        assert_mean(left * right, 0)


def assert_mean(values, expected):
    """Over the draws, averaged over the pixels."""
    values = values.flatten(1).mean(1)
    assert (values.mean() - expected).abs() < 3 * values.std() / len(values) ** 0.5


def test_thinned_photons_are_two_poisson_variables():
    """Their joint frequencies are the products of the two distributions."""
    gain, alpha, mean = 0.5, 0.4, 1.0
    y = gain * torch.poisson(torch.full((200_000, 1, 1, 1), mean / gain, dtype=torch.float64), generator=seeded())
    draw = R2R(alpha).draw(y, wp.Physics(wp.operators.Identity(), Poisson(gain)), generator=seeded(1))
    seen = (draw.y * (1 - alpha) / gain).round().flatten()
    kept = (draw.target * alpha / gain).round().flatten()
    torch.testing.assert_close(seen * gain, (draw.y * (1 - alpha)).flatten())
    for i in range(3):
        for j in range(3):
            expected = poisson(mean * (1 - alpha) / gain, i) * poisson(mean * alpha / gain, j)
            frequency = ((seen == i) & (kept == j)).double().mean()
            assert abs(frequency - expected) < 3 * (expected * (1 - expected) / 200_000) ** 0.5


def poisson(rate, count):
    return float(torch.distributions.Poisson(rate).log_prob(torch.tensor(float(count))).exp())


@estimators
def test_noise_to_noise_is_the_risk_plus_the_variance(estimator):
    physics = diagonal(wp.noise.Uniform(0.5))
    y = tuple(physics.noise(physics.operator(X).expand(DRAWS, *SHAPE), generator=seeded(i)) for i in (1, 2))
    loss = Noise2Noise()
    model = loss.adapt(estimator)
    x_hat = model(y, physics)
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    constant = physics.noise.variance(physics.operator(X)).mean()
    assert_same_mean(value - constant, risk(x_hat, physics), precision=0.05)


@estimators
@pytest.mark.parametrize("loss", [Noise2Void(fraction=0.3, radius=1), Noise2Self(spacing=2)], ids=["void", "self"])
def test_hidden_pixels_are_foretold_with_the_risk_plus_the_variance(loss, estimator):
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Laplace(0.3))
    y = measured(physics)
    model = loss.adapt(estimator)
    x_hat = model(y, physics, generator=seeded(3))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    weight = loss.draw(y, physics, generator=seeded(3)).weight
    truth = (weight * (x_hat - X).square()).flatten(1).mean(1)
    constant = physics.noise.variance(X).mean() * weight.flatten(1).mean(1)
    assert_same_mean(value - constant, truth, precision=0.08)


@estimators
def test_neighbours_of_an_image_of_squares_are_two_measurements(estimator):
    physics = wp.Physics(wp.operators.Identity(), Poisson(0.1))
    small = X[..., :2, :2]
    x = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    y = measured(physics, x)
    loss = Neighbor2Neighbor(regularisation=0)
    model = loss.adapt(estimator)
    x_hat = model(y, physics, generator=seeded(3))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    constant = physics.noise.variance(small).mean()
    assert_same_mean(value - constant, risk(x_hat, physics, small), precision=0.06)


@estimators
def test_splitting_is_the_risk_in_what_is_kept_back_plus_its_variance(estimator):
    physics = diagonal(PoissonGaussian(0.05, 0.2))
    y = measured(physics)
    loss = Splitting(ratio=0.6, compare="kept back")
    model = loss.adapt(estimator)
    x_hat = model(y, physics, generator=seeded(3))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    clean = physics.operator(X)
    back = 1 - loss.draw(y, physics, generator=seeded(3)).physics.operator.mask / WEIGHTS
    truth = (back * (physics.operator(x_hat) - clean).square()).flatten(1).mean(1)
    constant = (back * physics.noise.variance(clean)).flatten(1).mean(1)
    assert_same_mean(value - constant, truth, precision=0.06)


def test_the_weights_of_splitting_make_the_mean_over_the_masks_the_error_in_all_that_is_not_seen():
    """Masks of the operators have probability p, those shown p~; the weighted loss counts what was never measured."""
    sampling = torch.linspace(0.3, 0.9, 16, dtype=torch.float64).view(1, *SHAPE)
    masks = (torch.rand(DRAWS, *SHAPE, generator=seeded(2), dtype=torch.float64) < sampling).double()
    physics = wp.Physics(wp.operators.Mask(masks))
    loss = Splitting(ratio=0.5, compare="kept back", sampling=sampling, density="gaussian")
    y = physics.operator(X.expand(DRAWS, *SHAPE))
    model = loss.adapt(Estimator(0))
    x_hat = model(y, physics, generator=seeded(3))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    seen = loss.draw(y, physics, generator=seeded(3)).physics.operator.mask
    truth = ((1 - seen) * (x_hat - X).square()).flatten(1).mean(1)
    assert_same_mean(value, truth, precision=0.03)
