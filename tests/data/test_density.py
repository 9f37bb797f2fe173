"""Density compensation: with it the adjoint is nearly the inverse."""

import math

import pytest
import torch

from wellposed.core.errors import UnsupportedError
from wellposed.data import (
    pipe_menon_density,
    radial_trajectory,
    ramp_density,
    shepp_logan,
    spiral_trajectory,
    voronoi_density,
)
from wellposed.operators import NUFFT

SIZE = (32, 32)
RADIAL = radial_trajectory(64, 64)
SPIRAL = spiral_trajectory(8, 400, turns=3)
DENSITIES = {"ramp": ramp_density, "Pipe and Menon": pipe_menon_density, "Voronoi": voronoi_density}


def gridding_error(trajectory, density):
    """Return how far the compensated adjoint is from the image without the corners of k-space, relative to that."""
    x = shepp_logan(SIZE) + 0j
    A = NUFFT(trajectory, (1, *SIZE))
    smooth = torch.fft.ifftn(torch.fft.fftn(x, dim=(-2, -1)) * _disc(), dim=(-2, -1))
    return float((A.adjoint(density * A(x)) - smooth).norm() / smooth.norm())


def _disc():
    rows, columns = (torch.fft.fftfreq(length) for length in SIZE)
    return (rows[:, None].square() + columns.square() <= 0.25).float()


@pytest.mark.parametrize("name", DENSITIES)
def test_the_adjoint_of_spokes_is_nearly_the_inverse(name):
    density = DENSITIES[name](RADIAL, SIZE)
    assert density.shape == (1, 1, 64, 64)
    assert gridding_error(RADIAL, density) < 0.12
    assert gridding_error(RADIAL, torch.full_like(density, float(density.mean()))) > 0.5


@pytest.mark.parametrize("name", ["Pipe and Menon", "Voronoi"])
def test_the_adjoint_of_spirals_is_nearly_the_inverse(name):
    assert gridding_error(SPIRAL, DENSITIES[name](SPIRAL, SIZE)) < 0.25


@pytest.mark.parametrize("name", ["Pipe and Menon", "Voronoi"])
def test_on_the_grid_all_inner_samples_count_alike(name):
    axis = (torch.arange(12.0) - 6) * (2 * math.pi / 12)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)[None]
    density = DENSITIES[name](grid, (12, 12))[0, 0, 2:-2, 2:-2]
    torch.testing.assert_close(density, torch.ones(8, 8), rtol=1e-3, atol=1e-3)


def test_ramps_grow_with_the_distance_and_add_up_to_the_disc():
    density = ramp_density(RADIAL, SIZE)[0, 0, 5]
    torch.testing.assert_close(density[33:] / density[33], torch.arange(1.0, 32))
    assert density[32] / density[33] == pytest.approx(0.25, rel=1e-4)
    assert ramp_density(RADIAL, SIZE).sum().item() == pytest.approx(math.pi / 4 * 32 * 32, rel=1e-5)
    volume = ramp_density(radial_trajectory(9, 8, dimensions=3), (8, 8, 8))
    assert volume.sum().item() == pytest.approx(math.pi / 6 * 512, rel=1e-5)
    assert volume[0, 0, 0, 6] / volume[0, 0, 0, 5] == pytest.approx(4, rel=1e-4)


def test_samples_at_one_place_share_its_cell():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[None]
    density = voronoi_density(points, (8, 8))[0, 0]
    assert density[0] == density[1]
    area = 1.0 * 64 / (2 * math.pi) ** 2
    assert density[:2].sum().item() == pytest.approx(area, rel=1e-4)


def test_voronoi_cells_of_volumes_are_refused():
    with pytest.raises(UnsupportedError, match="use pipe_menon_density"):
        voronoi_density(torch.zeros(1, 9, 3), (8, 8, 8))
