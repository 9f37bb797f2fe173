"""Noise upon noise, and a noise model for each part."""

import pytest
import torch

from wellposed.core.errors import ArgumentError, KeywordError, ShapeError, UnsupportedError
from wellposed.noise import (
    Compose,
    Gamma,
    Gaussian,
    Laplace,
    LogPoisson,
    NoNoise,
    PerPart,
    Poisson,
    PoissonGaussian,
    Rician,
    SaltPepper,
    Uniform,
)

CLEAN = torch.tensor([[0.25, 0.5, 2.0]], dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_composition_draws_one_after_the_other():
    """S4: the composition is not the identity, and is what its parts give in turn."""
    first, second = Poisson(0.5), Gaussian(0.25)
    generator = seeded()
    by_hand = second(first(CLEAN, generator=generator), generator=generator)
    y = (second @ first)(CLEAN, generator=seeded())
    assert torch.equal(y, by_hand)
    assert (y != CLEAN).all()


def test_the_right_one_comes_first():
    noise = SaltPepper(1.0, 0.0) @ Gaussian(0.5)
    assert torch.equal(noise(CLEAN), torch.ones_like(CLEAN))
    assert (Gaussian(0.5) @ SaltPepper(1.0, 0.0))(CLEAN, generator=seeded()).ne(1).all()


def test_compositions_are_flat():
    a, b, c = Gaussian(0.1), Poisson(0.1), Uniform(0.1)
    for noise in ((c @ b) @ a, c @ (b @ a)):
        assert list(noise.noises) == [a, b, c]


@pytest.mark.parametrize(
    ("noise", "mean", "variance"),
    [
        (Gaussian(0.5) @ Gaussian(1.0), CLEAN, torch.full_like(CLEAN, 1.25)),
        (Gaussian(0.5) @ Poisson(0.25), CLEAN, 0.25 * CLEAN + 0.25),
        (Poisson(0.25) @ Poisson(0.5), CLEAN, 0.75 * CLEAN),
        (Poisson(0.25) @ Gamma(2.0), CLEAN, 0.25 * CLEAN + CLEAN**2 / 2),
        (PoissonGaussian(0.25, 0.5) @ Gamma(2.0), CLEAN, 0.25 * CLEAN + 0.25 + CLEAN**2 / 2),
        (Gamma(2.0) @ Poisson(0.5), CLEAN, CLEAN**2 / 2 + 0.5 * CLEAN * 1.5),
        (Gamma(2.0) @ Gamma(4.0), CLEAN, ((1 + 1 / 2) * (1 + 1 / 4) - 1) * CLEAN**2),
        (Laplace(0.5) @ NoNoise() @ Uniform(3.0), CLEAN, torch.full_like(CLEAN, 3.5)),
        (
            SaltPepper(0.25, 0.25) @ Gaussian(1.0),
            0.25 + 0.5 * CLEAN,
            0.25 + 0.5 * (CLEAN**2 + 1) - (0.25 + 0.5 * CLEAN) ** 2,
        ),
        (Gaussian(1.0) @ Rician(0.5), Rician(0.5).mean(CLEAN), Rician(0.5).variance(CLEAN) + 1),
    ],
    ids=str,
)
def test_moments_are_those_of_total_expectation_and_variance(noise, mean, variance):
    torch.testing.assert_close(noise.mean(CLEAN), mean)
    torch.testing.assert_close(noise.variance(CLEAN), variance)


def test_a_composition_after_a_model_that_no_flattening_reaches():
    """The parts of a tuple may be compositions, and have something before them."""
    noise = PerPart((Gamma(2.0) @ Gaussian(0.5), NoNoise())) @ Gaussian(1.0)
    first, second = noise.variance((CLEAN, CLEAN))
    torch.testing.assert_close(first, (1 + 1 / 2) * (CLEAN**2 + 1.25) - CLEAN**2)
    torch.testing.assert_close(second, torch.ones_like(CLEAN))


@pytest.mark.parametrize(
    "last",
    [Rician(0.1), LogPoisson(100.0, 1.0), Poisson(0.1, clip=True), PoissonGaussian(0.1, 0.1, clip=True)],
    ids=str,
)
def test_moments_without_closed_form_are_refused(last):
    noise = last @ Gamma(9.0)
    for verb in (noise.mean, noise.variance):
        with pytest.raises(UnsupportedError, match=f"{type(last).__name__} after another noise"):
            verb(CLEAN)
    assert noise(CLEAN).shape == CLEAN.shape


def test_parameters_are_reached_by_name_or_by_place():
    noise = Gaussian(0.5) @ Gaussian(0.25) @ Poisson(0.125)
    changed = noise.with_params(gain=1.0, **{"noises.2.sigma": 2.0})
    torch.testing.assert_close(changed.variance(CLEAN), CLEAN + 0.0625 + 4)
    with pytest.raises(KeywordError, match=r"noises\.1\.sigma"):
        noise.with_params(sigma=1.0)


@pytest.mark.parametrize("combine", [Compose, PerPart])
@pytest.mark.parametrize(("noises", "message"), [((), "none"), ((Gaussian(0.1), 0.1), "float")])
def test_what_is_not_a_noise_model_is_refused(combine, noises, message):
    with pytest.raises(ArgumentError, match=f"{combine.__name__} expects one or more noise models, got {message}"):
        combine(noises)


def test_each_part_has_its_noise():
    noise = PerPart((NoNoise(), Gaussian(0.5)))
    first, second = noise((CLEAN, torch.zeros(1, 5000)), generator=seeded())
    assert torch.equal(first, CLEAN)
    assert abs(second.std().item() - 0.5) < 0.02


def test_nested_parts():
    noise = PerPart((PerPart((NoNoise(), Gaussian(0.5))), Gaussian(2.0)))
    (none, small), large = noise.variance(((CLEAN, CLEAN), CLEAN))
    assert [none[0, 0].item(), small[0, 0].item(), large[0, 0].item()] == [0, 0.25, 4]


@pytest.mark.parametrize("clean", [CLEAN, (CLEAN,), (CLEAN, CLEAN, CLEAN)], ids=["tensor", "one", "three"])
def test_wrong_number_of_parts(clean):
    noise = PerPart((NoNoise(), Gaussian(0.5)))
    for verb in (noise, noise.mean, noise.variance):
        with pytest.raises(ShapeError, match="tuple of 2 parts"):
            verb(clean)
