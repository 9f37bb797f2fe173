"""Scores without the truth have the error, in what was kept back, as their mean; and no one sees what that was."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, UnknownNameError, UnsupportedError
from wellposed.losses import hold_out
from wellposed.noise import Gamma, Gaussian, Laplace, Poisson, PoissonGaussian
from wellposed.operators import Compose, Identity, Mask

DRAWS = 4000
X = random_tensor(1, 1, 8, 8).abs() + 0.5
HOLES = (random_tensor(1, 1, 8, 8, seed=3) > -0.7).double()


def measured(operator, noise):
    physics = wp.Physics(operator, noise)
    clean = operator(X.expand(DRAWS, -1, -1, -1))
    return noise(clean, generator=seeded(7)), physics


def smooth(held_out):
    """A fixed reconstruction of what is shown."""
    image = held_out.physics.A_adjoint(held_out.y)
    return 0.5 * image + 0.3 * image.roll(1, -1) + 0.1


def assert_mean(values, truth):
    gap = values - truth
    assert gap.std() / len(gap) ** 0.5 < 0.04 * truth.mean()
    assert gap.mean().abs() < 3 * gap.std() / len(gap) ** 0.5


@pytest.mark.parametrize("noise", [Gaussian(0.3), Poisson(0.1), Gamma(12.0)], ids=["Gaussian", "Poisson", "Gamma"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_recorruption_scores_the_error_in_all_numbers(noise, share):
    y, physics = measured(Identity(), noise)
    held_out = hold_out(y, physics, share=share, generator=seeded(1))
    assert (held_out.scheme, held_out.noise_is_removed) == ("recorruption", True)
    x_hat = smooth(held_out)
    assert_mean(held_out.score(x_hat), (x_hat - X).square().flatten(1).mean(1))


def test_splitting_scores_the_error_in_the_numbers_kept_back_that_were_measured():
    y, physics = measured(Mask(HOLES), PoissonGaussian(0.02, 0.2))
    held_out = hold_out(y, physics, share=0.3, generator=seeded(1))
    assert (held_out.scheme, held_out.noise_is_removed) == ("splitting", True)
    back = HOLES - held_out.physics.operator.mask
    assert float(back.sum() / HOLES.sum() / DRAWS) == pytest.approx(0.3, abs=0.01)
    assert not (held_out.y * back).any()
    x_hat = smooth(held_out)
    truth = (back * (x_hat - X).square()).flatten(1).sum(1) / back.flatten(1).sum(1)
    assert_mean(held_out.score(x_hat), truth)


def test_hidden_pixels_score_the_error_where_they_were_hidden_and_the_noise():
    y, physics = measured(Identity(), Laplace(0.2))
    held_out = hold_out(y, physics, generator=seeded(1))
    assert (held_out.scheme, held_out.noise_is_removed) == ("hidden pixels", False)
    hidden = held_out.y != y
    assert (hidden.sum((1, 2, 3)) == 4).all()
    x_hat = smooth(held_out)
    truth = (hidden * (x_hat - X).square()).flatten(1).sum(1) / 4
    assert_mean(held_out.score(x_hat), truth + physics.noise.variance(X).mean())


@pytest.mark.parametrize(
    ("operator", "noise", "is_known", "scheme"),
    [
        (Identity(), Gaussian(0.1), True, "recorruption"),
        (Identity(), Gaussian(0.1), False, "hidden pixels"),
        (Identity(), Poisson(0.1), True, "hidden pixels"),
        (Identity(), PoissonGaussian(0.1, 0.1), True, "hidden pixels"),
        (Identity(), None, True, "hidden pixels"),
        (Mask(HOLES), None, True, "splitting"),
        (Compose(Mask(HOLES), Mask(HOLES)), Gaussian(0.1), False, "splitting"),
    ],
)
def test_the_scheme_follows_from_what_is_known(operator, noise, is_known, scheme):
    """Photons that are not whole cannot be split."""
    held_out = hold_out(X, wp.Physics(operator, noise), noise_is_known=is_known)
    assert held_out.scheme == scheme
    assert held_out.noise_is_removed is (is_known and noise is not None)


def test_a_tuple_of_measurements_is_refused_in_a_sentence():
    physics = wp.Physics(wp.operators.Stack([Mask(HOLES), Mask(HOLES)]), Gaussian(0.1))
    with pytest.raises(UnsupportedError, match="a tuple of 2"):
        hold_out((X, X), physics)


def test_bad_arguments_are_refused():
    physics = wp.Physics(Identity(), Gaussian(0.1))
    with pytest.raises(UnknownNameError, match="did you mean 'splitting'"):
        hold_out(X, physics, scheme="spliting")
    with pytest.raises(ArgumentError, match="share between 0 and 1"):
        hold_out(X, physics, share=1.0)


def test_the_seed_decides():
    physics = wp.Physics(Mask(HOLES), Gaussian(0.1))
    shown = [hold_out(X, physics, generator=seeded(seed)).y for seed in (1, 1, 2)]
    assert torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2])
