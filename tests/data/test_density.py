"""Density compensation: with it the adjoint is nearly the inverse."""

import math
import sys

import pytest
import torch
from scipy import spatial

from tests.support.tensors import seeded
from wellposed.core.errors import MissingDependencyError
from wellposed.data import (
    pipe_menon_density,
    radial_trajectory,
    ramp_density,
    random_trajectory,
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


@pytest.mark.parametrize("dimensions", [2, 3])
def test_voronoi_cells_are_those_of_scipy(dimensions):
    """Of inner points, whose cells no helper outside touches, by the hulls of their corners."""
    points = random_trajectory(400, dimensions=dimensions, generator=seeded())
    size = (6, 7, 8)[:dimensions]
    density = voronoi_density(points, size)[0, 0]
    diagram = spatial.Voronoi(points[0].double().numpy())
    inner = (points[0].norm(dim=1) < 1.5).nonzero()[:, 0].tolist()
    assert len(inner) > 20
    for index in inner:
        corners = diagram.vertices[diagram.regions[diagram.point_region[index]]]
        expected = spatial.ConvexHull(corners).volume * math.prod(size) / (2 * math.pi) ** dimensions
        assert density[index].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("density", [pipe_menon_density, voronoi_density], ids=["Pipe and Menon", "Voronoi"])
def test_on_a_grid_in_space_all_inner_samples_count_alike(density):
    axis = (torch.arange(6.0) - 3) * (2 * math.pi / 6)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)[None]
    inner = density(grid, (6, 6, 6))[0, 0, 2:-2, 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.ones(2, 2, 2), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
def test_the_adjoint_of_spokes_in_space_is_nearly_the_inverse(density):
    """Of a smooth ball, which has little beyond the ball of k-space that spokes reach."""
    size, k = (10, 10, 10), radial_trajectory(250, 20, dimensions=3)
    axis = (torch.arange(10.0) - 5) / 2
    x = torch.exp(-(axis[:, None, None].square() + axis[:, None].square() + axis.square()) / 2)[None, None] + 0j
    A, weights = NUFFT(k, (1, *size)), density(k, size)
    assert weights.shape == (1, 1, 250, 20)
    assert (A.adjoint(weights * A(x)) - x).norm() < 0.1 * x.norm()


def test_batches_of_trajectories_have_weights_of_their_own():
    pair = torch.cat([RADIAL, 0.5 * RADIAL])
    both = voronoi_density(pair, SIZE)
    torch.testing.assert_close(both[:1], voronoi_density(RADIAL, SIZE))
    torch.testing.assert_close(both[1], both[0] / 4, rtol=1e-3, atol=1e-5)


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    with pytest.raises(MissingDependencyError, match=r"scipy is not installed: pip install 'wellposed\[mri\]'"):
        voronoi_density(torch.zeros(1, 9, 2), (8, 8))
