"""The CT tasks: their geometry, their noise, and Hounsfield units."""

import math

import pytest
import torch

from wellposed.core.errors import ArgumentError
from wellposed.data import (
    FixedLogPoisson,
    attenuation_to_hounsfield,
    get_task,
    hounsfield_to_attenuation,
    hounsfield_to_unit,
    shepp_logan,
    unit_to_hounsfield,
)
from wellposed.noise import LogPoisson
from wellposed.operators import ParallelBeam2D


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("name", "views"), [("ct-10", 10), ("ct-51", 51), ("ct-51-poisson", 51), ("ldct-180", 180)])
def test_views_over_half_a_turn_and_lengths_in_widths_of_the_image(name, views):
    y, physics = get_task(name).sample(torch.ones(2, 1, 24, 32), generator=seeded(0))
    beam = physics.operator
    assert type(beam) is ParallelBeam2D
    assert y.shape == (2, 1, views, 40)
    torch.testing.assert_close(beam.angles[0], torch.arange(views) * math.pi / views)
    assert physics.operator(torch.ones(2, 1, 24, 32))[0, 0, 0].max().item() == pytest.approx(24 / 32)


def test_low_dose_noise_is_30_decibels_below_each_sinogram():
    x = torch.cat([shepp_logan((64, 64)), 0.1 * shepp_logan((64, 64))])
    y, physics = get_task("ldct-180").sample(x, generator=seeded(0))
    clean = physics.operator(x)
    ratio = 20 * torch.log10(clean.flatten(1).norm(dim=1) / (y - clean).flatten(1).norm(dim=1))
    torch.testing.assert_close(ratio, torch.full((2,), 30.0), rtol=0, atol=0.2)
    assert physics.noise.sigma.shape == (2,)


def test_photon_noise_grows_behind_the_object():
    """The variance of the logarithm is one over the expected counts, over the attenuation squared."""
    x = torch.full((1, 1, 48, 48), 0.6)
    y, physics = get_task("ct-51-poisson").sample(x, generator=seeded(0))
    assert isinstance(physics.noise, LogPoisson)
    clean = physics.operator(x)
    expected = (1e5 * torch.exp(-7 * clean)).rsqrt() / 7
    scaled = (y - clean) / expected
    assert abs(scaled.std() - 1) < 0.02
    assert FixedLogPoisson(10.0, 2.0)(x, seeded(0)).photons == 10


def test_colours_become_grey():
    assert get_task("ct-10").fit(torch.rand(1, 3, 16, 16)).shape == (1, 1, 16, 16)


def test_hounsfield_units_there_and_back():
    hounsfield = torch.tensor([-1000.0, -500.0, 0.0, 1500.0])
    attenuation = hounsfield_to_attenuation(hounsfield, water=0.02)
    torch.testing.assert_close(attenuation, torch.tensor([0.0, 0.01, 0.02, 0.05]))
    torch.testing.assert_close(attenuation_to_hounsfield(attenuation, water=0.02), hounsfield)
    assert hounsfield_to_attenuation(torch.tensor(-1024.0)) == 0
    window = (-200.0, 600.0)
    unit = hounsfield_to_unit(torch.tensor([-300.0, 0.0, 700.0]), window=window)
    torch.testing.assert_close(unit, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(unit_to_hounsfield(unit, window=window), torch.tensor([-200.0, 0.0, 600.0]))
    assert unit_to_hounsfield(torch.tensor(0.5)) == -200


def test_units_that_make_no_sense():
    with pytest.raises(ArgumentError, match="goes up, from low to high"):
        hounsfield_to_unit(torch.zeros(1), window=(1.0, 1.0))
    with pytest.raises(ArgumentError, match="attenuation of water"):
        attenuation_to_hounsfield(torch.zeros(1), water=0.0)
