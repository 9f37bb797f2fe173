"""ESPIRiT against the truth of a simulated acquisition, up to phase."""

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.data import birdcage_maps, calibration_size, cartesian_mask, espirit_maps, shepp_logan
from wellposed.operators import CartesianMRI


def acquisition(*, size=(40, 36), coils=5, batch=1, acceleration=1.0, center_fraction=0.5):
    """Return k-space of a phantom with a smooth phase, the maps that made it, and where there is something."""
    image = shepp_logan(size)
    phase = torch.linspace(0, 2, size[1]) + torch.linspace(-1, 1, size[0])[:, None]
    x = torch.polar(image, phase.expand_as(image)).repeat(batch, 1, 1, 1)
    maps = birdcage_maps(coils, size, rotation=0.4 * torch.arange(batch))
    mask = cartesian_mask(
        1, (1, *size), acceleration=acceleration, center_fraction=center_fraction, generator=seeded(0)
    )
    return CartesianMRI(mask, (1, *size), maps)(x), maps, (image > 0.1)[0, 0]


def alignment(estimate, truth):
    """Return |<S, S'>| at each pixel, one for the same maps up to phase."""
    return (estimate.conj() * truth).sum(1).abs()


@pytest.mark.parametrize("acceleration", [1.0, 2.0])
def test_maps_of_a_birdcage_are_found_up_to_phase(acceleration):
    kspace, truth, inside = acquisition(acceleration=acceleration, center_fraction=0.45, batch=2)
    maps = espirit_maps(kspace, crop=0.0)
    found = alignment(maps, truth)[:, inside]
    assert found.mean() > 0.999
    assert found.min() > 0.99


def test_maps_are_of_unit_norm_or_zero_and_the_first_coil_is_positive():
    kspace, _, inside = acquisition()
    maps = espirit_maps(kspace, crop=0.9)
    energy = maps.abs().square().sum(1)[0]
    torch.testing.assert_close(energy, (energy > 0.5).float(), rtol=1e-4, atol=1e-4)
    assert energy[inside].mean() > 0.95
    assert energy.mean() < 1
    assert maps[:, 0].imag.abs().max() < 1e-5
    assert maps[:, 0].real.min() >= 0


def test_a_phase_of_the_image_does_not_change_the_maps():
    kspace, _, _ = acquisition()
    torch.testing.assert_close(espirit_maps(kspace * 1j), espirit_maps(kspace), rtol=1e-3, atol=1e-3)


def test_double_sets_hold_two_directions():
    kspace, truth, inside = acquisition()
    maps = espirit_maps(kspace, n_sets=2, crop=0.0)
    assert maps.shape == (1, 2, 5, 40, 36)
    torch.testing.assert_close(maps[:, 0], espirit_maps(kspace, crop=0.0), rtol=1e-4, atol=1e-4)
    assert alignment(maps[:, 0], maps[:, 1]).max() < 1e-4
    assert alignment(maps[:, 1], truth)[:, inside].max() < 0.2


def test_two_sets_span_both_places_of_an_image_that_is_folded_onto_itself():
    """Every other row of k-space halves the field of view: rows n and n + 32 of the image meet in one."""
    x, truth = shepp_logan((64, 64)) + 0j, birdcage_maps(6, (64, 64))
    kspace = CartesianMRI(torch.ones(1, 1, 1, 1), (1, 64, 64), truth)(x)[:, :, ::2]
    maps = espirit_maps(kspace, n_sets=2, crop=0.0)
    inside = (x.abs() > 0.1)[:, 0]
    both = inside[:, :32] & inside[:, 32:]
    for place in (truth[:, :, :32], truth[:, :, 32:]):
        found = (maps.conj() * place.roll(16, 2).unsqueeze(1)).sum(2).abs().square()
        there = both.roll(16, 1)
        assert found.sum(1)[there].mean() > 0.98
        assert found[:, 0][there].mean() < 0.95


def test_volumes():
    maps = birdcage_maps(3, (10, 12, 8))
    x = torch.ones(1, 1, 10, 12, 8) + 0j
    kspace = CartesianMRI(torch.ones(1, 1, 10, 12, 8), (1, 10, 12, 8), maps)(x)
    assert alignment(espirit_maps(kspace, kernel=3, crop=0.0), maps)[..., 2:-2, 2:-2, 2:-2].min() > 0.99


@pytest.mark.parametrize("calibration", [7, (8, 24), (24, 6)], ids=str)
def test_few_lines_are_enough(calibration):
    """Patches as wide as the region would be too few: with an eigenvalue below one, all would be cropped."""
    kspace, truth, inside = acquisition()
    maps = espirit_maps(kspace, calibration=calibration)
    found = alignment(maps, truth)[:, inside]
    assert (maps.abs().square().sum(1)[:, inside] > 0.5).float().mean() > 0.95
    assert found[found > 0].mean() > 0.99


def test_a_volume_of_few_slices():
    size, depth = (8, 16, 16), torch.linspace(1, 2, 8)[:, None, None]
    maps, x = birdcage_maps(3, size), depth * shepp_logan((16, 16))[:, :, None] + 0j
    kspace = CartesianMRI(torch.ones(1, 1, 1, 1, 1), (1, *size), maps)(x)
    assert alignment(espirit_maps(kspace), maps)[x[:, 0].abs() > 0.1].min() > 0.98


def test_the_calibration_region_is_what_is_fully_sampled():
    kspace = torch.zeros(2, 3, 20, 30) + 0j
    kspace[:, :, 4:, 13:18] = 1
    assert calibration_size(kspace) == (13, 5)
    kspace[1, :, 10, 17] = 0
    assert calibration_size(kspace) == (13, 4)
    assert calibration_size(torch.zeros(1, 1, 4, 4)) == (0, 0)
    assert calibration_size(torch.ones(1, 1, 40, 7), largest=16) == (16, 7)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"calibration": 30}, ArgumentError, "30 x 30, to be fully sampled, and some of it is zero"),
        ({"calibration": 4}, ArgumentError, "region of 4 x 4, smaller than its patches of 6 x 6"),
        ({"calibration": (8, 99)}, ShapeError, r"fits in \(40, 36\), got \(8, 99\)"),
        ({"kspace": torch.ones(1, 2, 8, 8)}, DTypeError, "complex k-space"),
        ({"kspace": torch.ones(2, 8, 8) + 0j}, ShapeError, r"\(B, coils, H, W\)"),
        ({"n_sets": 9}, ArgumentError, "at most 5 sets"),
        ({"crop": 1.5}, ArgumentError, "threshold and crop"),
    ],
)
def test_nonsense_is_refused(arguments, error, sentence):
    kspace, _, _ = acquisition(acceleration=2, center_fraction=0.4)
    given = {"kspace": kspace, **arguments}
    with pytest.raises(error, match=sentence):
        espirit_maps(given.pop("kspace"), **given)
