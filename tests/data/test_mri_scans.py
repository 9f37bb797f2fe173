"""From a scan to measurements and their physics."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import FormatError, ShapeError
from wellposed.data import (
    MRIScan,
    birdcage_maps,
    kspace_noise,
    radial_trajectory,
    scan_measurements,
    shepp_logan,
)
from wellposed.operators import CartesianMRI, NonCartesianMRI


def test_noise_is_found_at_the_edge():
    y = CartesianMRI(torch.ones(1, 1, 64, 64), (1, 64, 64), birdcage_maps(4, (64, 64)))(shepp_logan((64, 64)) + 0j)
    noisy = y + 0.3 * random_tensor(1, 4, 64, 64, dtype=torch.complex64)
    assert kspace_noise(noisy).item() == pytest.approx(0.3, rel=0.05)
    halved = noisy * (torch.arange(64) % 2 == 0)
    assert kspace_noise(halved).item() == pytest.approx(0.3, rel=0.08)


def test_maps_are_estimated_where_they_are_missing():
    maps, x = birdcage_maps(4, (32, 32)), shepp_logan((32, 32)) + 0j
    y = CartesianMRI(torch.ones(1, 1, 32, 32), (1, 32, 32), maps)(x)
    scaled, physics = scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 32)))
    assert physics.operator.coil_maps.shape == (1, 4, 32, 32)
    image = physics.operator.adjoint(scaled).abs()
    assert torch.corrcoef(torch.stack([image.flatten(), x.abs().flatten()]))[0, 1] > 0.95
    known, _ = scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 32), coil_maps=maps))
    torch.testing.assert_close(known / y, torch.full_like(y, float(1 / x.abs().max())), rtol=1e-3, atol=1e-3)


def test_too_little_calibration_is_said():
    y = torch.ones(2, 3, 16, 12) * (torch.arange(12) % 2 == 0) + 0j
    with pytest.raises(FormatError, match="only the middle 16 x 1 of its k-space"):
        scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 12)))


def test_noise_of_volumes_and_of_spokes_is_found_at_their_edges():
    noise = 0.2 * random_tensor(1, 2, 16, 16, 16, dtype=torch.complex64)
    noise[..., 4:12, 4:12, 4:12] += 50
    assert kspace_noise(noise).item() == pytest.approx(0.2, rel=0.05)
    with pytest.raises(ShapeError, match=r"kspace_noise expects k-space .*got \(4, 4\)"):
        kspace_noise(torch.ones(4, 4) + 0j)
    k, maps = radial_trajectory(80, 64), birdcage_maps(3, (32, 32))
    y = NonCartesianMRI(k, (1, 32, 32), maps)(shepp_logan((32, 32)) + 0j)
    noisy = torch.cat([y, 2 * y]) + 0.5 * random_tensor(2, 3, 80, 64, seed=1, dtype=torch.complex64)
    scan = MRIScan(noisy, torch.ones(1, 1, 1, 1), coil_maps=maps, trajectory=k, image_size=(32, 32))
    scaled, physics = scan_measurements(scan)
    unit = (scaled / noisy).abs().mean((1, 2, 3))
    torch.testing.assert_close(physics.noise.sigma / unit, torch.full((2,), 0.5), rtol=0.05, atol=0)


def test_off_the_grid_the_unit_is_that_of_gridding():
    """Density compensation makes the gridded image that of the phantom, up to ringing."""
    k, maps, x = radial_trajectory(80, 64), birdcage_maps(3, (32, 32)), shepp_logan((32, 32)) + 0j
    y = NonCartesianMRI(k, (1, 32, 32), maps)(x)
    scan = MRIScan(y, torch.ones(1, 1, 1, 1), coil_maps=maps, trajectory=k, image_size=(32, 32))
    scaled, _ = scan_measurements(scan)
    assert (scaled / y).abs().mean().item() == pytest.approx(1 / x.abs().max().item(), rel=0.2)


def test_maps_that_are_zero_everywhere_are_said():
    with pytest.raises(FormatError, match="ESPIRiT finds none in its k-space: add an array 'coil_maps'"):
        scan_measurements(MRIScan(random_tensor(1, 3, 8, 8, dtype=torch.complex64), torch.ones(1, 1, 1, 8)))
