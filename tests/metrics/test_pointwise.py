"""Mean errors and signal-to-noise ratios, against closed forms and scikit-image."""

import inspect
import math

import numpy as np
import pytest
import skimage.metrics
import torch

from wellposed import metrics
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.metrics import mae, mse, nrmse, psnr, snr, ssim

METRICS = {
    "mse": mse,
    "mae": mae,
    "nrmse": nrmse,
    "snr": snr,
    "psnr": lambda x_hat, x: psnr(x_hat, x, data_range=1.0),
    "ssim": lambda x_hat, x: ssim(x_hat, x, data_range=1.0),
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
both_sizes = pytest.mark.parametrize("size", [(2, 3, 12, 14), (2, 1, 11, 12, 13)], ids=["images", "volumes"])


def pair(*size, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(size, generator=generator, dtype=dtype) for _ in range(2))


def test_every_metric_is_tested_here():
    assert set(METRICS) == set(metrics.__all__)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
@both_sizes
def test_a_constant_offset_has_closed_forms(size, dtype):
    x = torch.full(size, 2.0, dtype=dtype)
    x_hat = x + (0.5 if dtype == torch.float64 else 0.3 + 0.4j)
    decibels = 10 * math.log10(0.25)
    for value, truth in [
        (mse(x_hat, x), 0.25),
        (mae(x_hat, x), 0.5),
        (nrmse(x_hat, x), 0.25),
        (snr(x_hat, x), 20 * math.log10(4)),
        (psnr(x_hat, x, data_range=1.0), -decibels),
        (psnr(x_hat, x, data_range=10.0), 20 - decibels),
    ]:
        torch.testing.assert_close(value, torch.full((2,), truth, dtype=torch.float64))


@both_sizes
def test_agreement_with_scikit_image(size):
    x_hat, x = pair(*size)
    for i in range(size[0]):
        truth, test = x[i].numpy(), x_hat[i].numpy()
        assert mse(x_hat, x)[i].item() == pytest.approx(skimage.metrics.mean_squared_error(truth, test))
        assert nrmse(x_hat, x)[i].item() == pytest.approx(skimage.metrics.normalized_root_mse(truth, test))
        expected = skimage.metrics.peak_signal_noise_ratio(truth, test, data_range=3.0)
        assert psnr(x_hat, x, data_range=3.0)[i].item() == pytest.approx(expected)


def test_complex_metrics_use_the_modulus_of_the_difference():
    real, imaginary = pair(2, 1, 5, 5), pair(2, 1, 5, 5, seed=1)
    x_hat, x = (torch.complex(a, b) for a, b in zip(real, imaginary, strict=True))
    difference, truth = (x_hat - x).numpy(), x.numpy()
    norms = [np.sqrt((np.abs(z) ** 2).sum((1, 2, 3))) for z in (difference, truth)]
    np.testing.assert_allclose(mse(x_hat, x), norms[0] ** 2 / 25)
    np.testing.assert_allclose(mae(x_hat, x), np.abs(difference).mean((1, 2, 3)))
    np.testing.assert_allclose(nrmse(x_hat, x), norms[0] / norms[1])
    np.testing.assert_allclose(snr(x_hat, x), 20 * np.log10(norms[1] / norms[0]))
    np.testing.assert_allclose(psnr(x_hat, x, data_range=2.0), 10 * np.log10(4 * 25 / norms[0] ** 2))


@every_metric
@both_sizes
def test_a_batch_equals_its_items(metric, size):
    """O19: statistics are those of each image, not of the batch."""
    x_hat, x = pair(*size)
    x = x * torch.tensor([1.0, 5.0]).view(2, *[1] * (len(size) - 1))
    alone = torch.cat([metric(x_hat[i : i + 1], x[i : i + 1]) for i in range(2)])
    together = metric(x_hat, x)
    assert together.shape == (2,)
    torch.testing.assert_close(together, alone)
    assert (together[0] - together[1]).abs() > 1e-3


@every_metric
@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 1, 12, 12), (2, 3, 12, 12)), ((1, 1, 12, 12), (2, 1, 12, 12)), ((2, 1, 12, 12), (2, 1, 1, 12, 12))],
    ids=["channels", "batch", "axes"],
)
def test_mismatched_shapes_are_refused(metric, a, b):
    """O19: nothing is broadcast."""
    for left, right in ((a, b), (b, a)):
        with pytest.raises(ShapeError, match="nothing is broadcast"):
            metric(torch.zeros(left), torch.zeros(right))


@every_metric
def test_an_image_without_batch_axis_is_refused(metric):
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        metric(torch.zeros(1, 12, 12), torch.zeros(1, 12, 12))


@every_metric
def test_mismatched_kinds_are_refused(metric):
    real, complex_ = torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 12, 12, dtype=torch.complex64)
    for left, right in ((real, complex_), (complex_, real)):
        with pytest.raises(DTypeError, match="two real or two complex"):
            metric(left, right)


@every_metric
def test_integers_and_arrays_are_refused(metric):
    image = torch.zeros(1, 1, 12, 12)
    with pytest.raises(DTypeError, match="/ 255"):
        metric(image, image.to(torch.uint8))
    with pytest.raises(DTypeError, match=r"torch\.from_numpy"):
        metric(image.numpy(), image)


@every_metric
def test_images_are_not_written_to_and_gradients_flow(metric):
    x_hat, x = pair(2, 1, 12, 12)
    before = x_hat.clone(), x.clone()
    assert torch.autograd.gradcheck(metric, (x_hat.requires_grad_(), x.requires_grad_()), fast_mode=True)
    assert torch.equal(x_hat, before[0])
    assert torch.equal(x, before[1])


@every_metric
def test_precision_of_the_data_is_kept(metric):
    x_hat, x = pair(1, 1, 12, 12)
    value = metric(x_hat.float(), x.float())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), metric(x_hat, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_identical_images(level):
    """O19: the PSNR of identical images is infinite, not 80."""
    x = torch.full((2, 1, 4, 4), level)
    for value in (mse(x, x), mae(x, x), nrmse(x, x)):
        assert torch.equal(value, torch.zeros(2))
    for value in (snr(x, x), psnr(x, x, data_range=1.0)):
        assert torch.equal(value, torch.full((2,), torch.inf))


def test_relative_errors_of_a_zero_image_are_infinite():
    x_hat, x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    assert torch.equal(nrmse(x_hat, x), torch.tensor([0.0, torch.inf]))
    assert torch.equal(snr(x_hat, x), torch.tensor([torch.inf, -torch.inf]))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_relative_metrics_ignore_the_scale(scale):
    x_hat, x = pair(2, 1, 4, 4)
    torch.testing.assert_close(nrmse(scale * x_hat, scale * x), nrmse(x_hat, x))
    torch.testing.assert_close(snr(scale * x_hat, scale * x), snr(x_hat, x))
    torch.testing.assert_close(psnr(scale * x_hat, scale * x, data_range=scale), psnr(x_hat, x, data_range=1.0))


@pytest.mark.parametrize("metric", [psnr, ssim])
class TestDataRange:
    def test_is_required_by_name(self, metric):
        x = torch.zeros(1, 1, 12, 12)
        with pytest.raises(TypeError, match="data_range"):
            metric(x, x)
        assert inspect.signature(metric).parameters["data_range"].kind is inspect.Parameter.KEYWORD_ONLY

    def test_may_differ_between_images(self, metric):
        x_hat, x = pair(2, 3, 12, 12)
        together = metric(x_hat, x, data_range=torch.tensor([1.0, 20.0]))
        alone = [metric(x_hat[i : i + 1], x[i : i + 1], data_range=r) for i, r in enumerate((1.0, 20.0))]
        torch.testing.assert_close(together, torch.cat(alone))

    @pytest.mark.parametrize("data_range", [0, -1.0, math.nan, math.inf, torch.tensor([1.0, 0.0])], ids=str)
    def test_must_be_positive(self, metric, data_range):
        x = torch.zeros(2, 1, 12, 12)
        with pytest.raises(ArgumentError, match="positive data_range"):
            metric(x, x, data_range=data_range)

    @pytest.mark.parametrize("shape", [(3,), (1,), (2, 1)], ids=str)
    def test_must_fit_the_batch(self, metric, shape):
        x = torch.zeros(2, 1, 12, 12)
        with pytest.raises(ShapeError, match=r"one value per image of shape \(2,\)"):
            metric(x, x, data_range=torch.ones(shape))
