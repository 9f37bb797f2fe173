"""Structural similarity, against scikit-image and closed forms."""

import numpy as np
import pytest
import skimage.metrics
import torch

from wellposed.core.errors import ShapeError
from wellposed.metrics import ssim


def pair(*size, dtype=torch.float64, seed=0):
    """Make a smooth image and a noisy copy of it."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, generator=generator, dtype=dtype).cumsum(-1).cumsum(-2)
    x = (x - x.min()) / (x.max() - x.min())
    return x + 0.05 * torch.randn(size, generator=generator, dtype=dtype), x


def by_scikit_image(x_hat, x, data_range):
    return [
        skimage.metrics.structural_similarity(
            truth.numpy(),
            test.numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=data_range,
            channel_axis=0,
        )
        for truth, test in zip(x, x_hat, strict=True)
    ]


@pytest.mark.parametrize(
    "size",
    [(2, 1, 32, 32), (2, 3, 24, 24), (1, 1, 11, 40), (2, 3, 37, 18), (2, 1, 13, 12, 15), (1, 2, 11, 14, 12)],
    ids=["grey", "colour", "as wide as the window", "oblong", "volume", "volume with channels"],
)
@pytest.mark.parametrize("data_range", [1.0, 0.3, 255.0])
def test_agreement_with_scikit_image(size, data_range):
    x_hat, x = pair(*size)
    np.testing.assert_allclose(
        ssim(x_hat, x, data_range=data_range), by_scikit_image(x_hat, x, data_range), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_single_precision_loses_nothing_to_a_high_level(offset):
    """Variances are taken around the mean of the image, so that they are not differences of large numbers."""
    x_hat, x = (image.float() + offset for image in pair(2, 1, 40, 40))
    truth = by_scikit_image(x_hat.double(), x.double(), 1.0)
    np.testing.assert_allclose(ssim(x_hat, x, data_range=1.0), truth, rtol=0, atol=1e-5)


def test_constant_images_have_only_luminance():
    x_hat, x = (torch.full((1, 1, 16, 16), level, dtype=torch.float64) for level in (0.6, 0.2))
    for data_range in (1.0, 10.0):
        c1 = (0.01 * data_range) ** 2
        value = ssim(x_hat, x, data_range=data_range).item()
        assert value == pytest.approx((2 * 0.12 + c1) / (0.36 + 0.04 + c1), rel=1e-12)


def test_identical_images_have_one_and_others_less():
    x_hat, x = pair(2, 3, 20, 20)
    torch.testing.assert_close(ssim(x, x, data_range=1.0), torch.ones(2, dtype=torch.float64))
    assert (ssim(x_hat, x, data_range=1.0) < 0.99).all()


@pytest.mark.parametrize(("amplitude", "data_range"), [(0.1, 1.0), (0.02, 1.0), (0.1, 0.5)])
def test_an_inverted_chessboard_has_only_negative_structure(amplitude, data_range):
    """Its local means are the level, its covariance is minus its variance, which is the squared amplitude."""
    i = torch.arange(16, dtype=torch.float64)
    chessboard = amplitude * torch.cos(torch.pi * (i[:, None] + i)).view(1, 1, 16, 16)
    c2 = (0.03 * data_range) ** 2
    value = ssim(0.5 - chessboard, 0.5 + chessboard, data_range=data_range).item()
    assert value == pytest.approx((c2 - 2 * amplitude**2) / (c2 + 2 * amplitude**2), rel=1e-6)


def test_symmetry():
    x_hat, x = pair(2, 1, 20, 20)
    torch.testing.assert_close(ssim(x_hat, x, data_range=1.0), ssim(x, x_hat, data_range=1.0))


def test_flips_and_transposition_change_nothing():
    x_hat, x = pair(2, 1, 20, 16)
    value = ssim(x_hat, x, data_range=1.0)
    torch.testing.assert_close(ssim(x_hat.flip(-1), x.flip(-1), data_range=1.0), value)
    torch.testing.assert_close(ssim(x_hat.mT, x.mT, data_range=1.0), value)


def test_scale_goes_with_the_data_range():
    x_hat, x = pair(2, 1, 20, 20)
    torch.testing.assert_close(ssim(255 * x_hat, 255 * x, data_range=255.0), ssim(x_hat, x, data_range=1.0))


def test_complex_images_are_compared_by_magnitude():
    x_hat, x = (image.abs() for image in pair(2, 1, 20, 20))
    phase = torch.exp(1j * torch.linspace(0, 6, 20, dtype=torch.float64))
    torch.testing.assert_close(ssim(x_hat * phase, x / phase, data_range=1.0), ssim(x_hat, x, data_range=1.0))


@pytest.mark.parametrize("size", [(1, 1, 10, 20), (1, 1, 20, 10), (1, 1, 10, 20, 20)], ids=str)
def test_images_smaller_than_the_window_are_refused(size):
    with pytest.raises(ShapeError, match="at least 11 pixels"):
        ssim(torch.zeros(size), torch.zeros(size), data_range=1.0)


def test_autocast_changes_nothing():
    x_hat, x = torch.rand(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = ssim(x_hat, x, data_range=1.0)
    assert torch.equal(lowered, ssim(x_hat, x, data_range=1.0))
