"""The weight of an image is what the formula says, for every noise model and whatever the crop."""

import pytest
import torch

import wellposed as wp
from wellposed.core.errors import UnsupportedError
from wellposed.training import snr_weight


def constant(value, size=4, batch=2, dtype=torch.float64):
    return torch.full((batch, 1, size, size), value, dtype=dtype)


def test_gaussian_noise_per_image():
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(torch.tensor([0.1, 0.4]))).double()
    torch.testing.assert_close(snr_weight(constant(0.2), physics), torch.tensor([2.0, 0.5]).double(), rtol=1e-6, atol=0)


def test_photon_noise_has_the_mean_variance_of_the_measurements():
    """Var = gain y + sigma^2 = 0.25 * 0.2 + 0.05 = 0.1; negative measurements count as no light."""
    physics = wp.Physics(wp.operators.Identity(), wp.noise.PoissonGaussian(0.25, 0.05**0.5)).double()
    y = constant(0.2)
    torch.testing.assert_close(snr_weight(y, physics), torch.full((2,), 0.2 / 0.1**0.5).double())
    y[:, :, :, 2:] = -0.2
    torch.testing.assert_close(snr_weight(y, physics), torch.full((2,), 0.2 / 0.075**0.5).double())


def test_the_adjoint_counts_and_masked_pixels_are_pixels():
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    mask[..., :1] = 1
    physics = wp.Physics(3 * wp.operators.Mask(mask, (1, 4, 4)), wp.noise.Gaussian(0.1)).double()
    torch.testing.assert_close(snr_weight(constant(0.2), physics), torch.full((2,), 3 * 0.2 * 0.5 / 0.1).double())


@pytest.mark.parametrize("size", [4, 16])
def test_the_size_of_the_crop_does_not_matter(size):
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)).double()
    assert snr_weight(constant(0.2, size), physics).tolist() == pytest.approx([2.0, 2.0])


def test_complex_numbers_are_two():
    """|A^H y| per real number is 0.2 / sqrt(2), and so is the noise of a part 0.1."""
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)).double()
    y = torch.complex(constant(0.2), constant(0.0))
    assert snr_weight(y, physics).tolist() == pytest.approx([2 / 2**0.5] * 2)


def test_parts_of_tuples_count_by_their_size():
    operator = wp.operators.Stack((wp.operators.Identity((1, 4, 4)), wp.operators.Downsample(2, (1, 4, 4))))
    noise = wp.noise.PerPart((wp.noise.Gaussian(0.1), wp.noise.Gaussian(0.3)))
    physics = wp.Physics(operator, noise).double()
    y = (constant(0.2), constant(0.0, size=2))
    sigma = ((16 * 0.01 + 4 * 0.09) / 20) ** 0.5
    assert snr_weight(y, physics).tolist() == pytest.approx([0.2 / sigma] * 2)


def test_clean_measurements_have_a_finite_weight():
    assert snr_weight(constant(0.2), wp.Physics(wp.operators.Identity())).tolist() == pytest.approx([200.0, 200.0])


def test_no_gradient_passes():
    y = constant(0.2).requires_grad_()
    assert not snr_weight(y, wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)).double()).requires_grad


def test_noise_without_a_known_variance_is_refused():
    noise = wp.noise.Poisson(0.1, clip=True) @ wp.noise.Gaussian(0.1)
    with pytest.raises(UnsupportedError):
        snr_weight(constant(0.2), wp.Physics(wp.operators.Identity(), noise).double())
