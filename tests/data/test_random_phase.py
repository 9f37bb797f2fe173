"""Random phase: the magnitude stays, the phase is band-limited, smooth, and as strong as asked for."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.data import random_phase


def test_the_magnitude_stays_and_channels_share_a_phase():
    x = torch.rand(3, 2, 12, 10, generator=seeded()) + 0.1
    before = x.clone()
    turned = random_phase(x, generator=seeded(1))
    assert torch.equal(x, before)
    torch.testing.assert_close(turned.abs(), x)
    torch.testing.assert_close(turned[:, 0] / x[:, 0], turned[:, 1] / x[:, 1])
    assert not torch.allclose(turned[0, 0] / x[0, 0], turned[1, 0] / x[1, 0])


@pytest.mark.parametrize("std", [0.05, 0.2])
def test_the_varying_part_has_the_root_mean_square_asked_for(std):
    """Against the mean phase of each image, which is not part of the varying one; phases this small do not wrap."""
    turned = random_phase(torch.ones(500, 1, 16, 24, dtype=torch.float64), std=std, generator=seeded())
    phase = (turned * turned.mean((2, 3), keepdim=True).conj()).angle()
    varying = phase - phase.mean((2, 3), keepdim=True)
    assert varying.square().mean().sqrt().item() == pytest.approx(std, rel=0.05)


def test_the_mean_phase_is_uniform():
    angle = random_phase(torch.ones(5000, 1, 2, 2), std=0.0, generator=seeded())[:, 0, 0, 0].angle()
    assert (angle / math.pi).histc(8, -1, 1).sub(625).abs().max() < 4.5 * math.sqrt(625)


@pytest.mark.parametrize("n_modes", [1, 2, 5])
def test_the_phase_is_made_of_few_cosines(n_modes):
    """Its cosine transform, here by a matrix, is zero from n_modes on and not before."""
    size = 16
    turned = random_phase(
        torch.ones(20, 1, size, size, dtype=torch.float64), n_modes=n_modes, std=0.1, generator=seeded()
    )
    phase = (turned[:, 0] / turned[:, 0, :1, :1]).angle()
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    cosines = torch.cos(math.pi * torch.arange(size, dtype=torch.float64)[:, None] * place)
    spectrum = (cosines @ phase @ cosines.T).abs().amax(0)
    assert spectrum[n_modes:].max() < 1e-10
    assert spectrum[:, n_modes:].max() < 1e-10
    assert n_modes == 1 or spectrum[n_modes - 1, 0] > 1e-3


def test_phases_are_seeded_and_keep_the_precision():
    x = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    first = random_phase(x, generator=seeded(3))
    assert first.dtype == torch.complex128
    assert torch.equal(first, random_phase(x, generator=seeded(3)))
    assert not torch.equal(first, random_phase(x, generator=seeded(4)))


def test_what_has_a_phase_or_no_pixels_is_refused():
    with pytest.raises(DTypeError, match="expects real images"):
        random_phase(torch.ones(1, 1, 4, 4, dtype=torch.complex64))
    with pytest.raises(ShapeError, match="random_phase expects images"):
        random_phase(torch.ones(4, 4))
    with pytest.raises(ArgumentError, match="n_modes to be a whole number of at least 1, got 0"):
        random_phase(torch.ones(1, 1, 4, 4), n_modes=0)
