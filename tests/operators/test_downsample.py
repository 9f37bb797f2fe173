"""Decimation against blur and stride, block means, the formula of Keys, and the stored outputs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from torch.nn import functional

from tests.support.reference import field, needs_reference, stored
from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, ShapeError, UnknownNameError
from wellposed.operators import Blur, Downsample
from wellposed.operators.filters import FILTERS, antialiasing_filter

every_factor = pytest.mark.parametrize("factor", [2, 3, 4, 8])
every_filter = pytest.mark.parametrize("name", FILTERS)


@every_factor
@every_filter
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_is_a_circular_blur_and_a_stride(factor, name, dtype):
    """The filters of the larger factors are wider than the image here, and wrap around it."""
    image = random_tensor(2, 3, 2 * factor, 3 * factor, dtype=dtype)
    taps = antialiasing_filter(name, factor).double()
    A = Downsample(factor, (3, 2 * factor, 3 * factor), name).double()
    expected = torch.zeros(2, 3, 2, 3, dtype=dtype)
    for (i, j), weight in zip(_positions(taps), taps.flatten(), strict=True):
        shift = (i - taps.shape[2] // 2, j - taps.shape[3] // 2)
        expected += weight * image.roll(shift, dims=(2, 3))[..., ::factor, ::factor]
    torch.testing.assert_close(A(image), expected, rtol=1e-5, atol=1e-6)


def _positions(taps):
    return [(i, j) for i in range(taps.shape[2]) for j in range(taps.shape[3])]


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("taps", [(1, 1), (2, 2), (3, 5), (5, 4), (1, 6)], ids=str)
def test_any_filter_equals_blur_then_stride(factor, taps):
    kernel, image = random_tensor(2, 2, *taps), random_tensor(2, 2, 12, 6, seed=1)
    A, B = Downsample(factor, (2, 12, 6), kernel), Blur(kernel, (2, 12, 6), padding="circular")
    torch.testing.assert_close(A(image), B(image)[..., ::factor, ::factor], rtol=1e-10, atol=1e-10)
    coarse = random_tensor(2, 2, 12 // factor, 6 // factor, seed=2)
    spread = torch.zeros_like(image)
    spread[..., ::factor, ::factor] = coarse
    torch.testing.assert_close(A.adjoint(coarse), B.adjoint(spread), rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    factor=st.integers(2, 5),
    coarse=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    taps=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_any_filter_of_any_image(factor, coarse, taps):
    """Also filters that are wider than the image, which wrap around it more than once."""
    height, width = (factor * size for size in coarse)
    kernel, image = random_tensor(1, 1, *taps), random_tensor(1, 1, height, width, seed=1)
    A = Downsample(factor, (1, height, width), kernel)
    wrapped = torch.zeros(1, 1, height, width, dtype=torch.float64)
    for i, j in _positions(kernel):
        wrapped[0, 0, (i - taps[0] // 2) % height, (j - taps[1] // 2) % width] += kernel[0, 0, i, j]
    product = torch.fft.fft2(wrapped) * torch.fft.fft2(image)
    expected = torch.fft.ifft2(product).real[..., ::factor, ::factor]
    torch.testing.assert_close(A(image), expected, rtol=1e-10, atol=1e-10)
    assert A.adjoint_error() < 1e-12
    torch.testing.assert_close(A.norm(), torch.linalg.matrix_norm(A.to_matrix(), ord=2), rtol=1e-10, atol=1e-10)


@every_factor
def test_box_is_the_mean_of_each_block(factor):
    image = random_tensor(2, 3, 2 * factor, 3 * factor)
    A = Downsample(factor, (3, 2 * factor, 3 * factor), "box").double()
    torch.testing.assert_close(A(image), functional.avg_pool2d(image, factor), rtol=1e-6, atol=1e-6)


@every_factor
@every_filter
def test_constants_are_kept(factor, name):
    A = Downsample(factor, (1, 8 * factor, 8 * factor), name)
    torch.testing.assert_close(A(torch.ones(1, 1, 8 * factor, 8 * factor)), torch.ones(1, 1, 8, 8))


def test_bicubic_taps_are_those_of_keys():
    """(1981), a = -1/2, at distances 1/4, 3/4, 5/4, 7/4 of an output pixel."""
    half = [111 / 128, 29 / 128, -9 / 128, -3 / 128]
    expected = torch.tensor(half[::-1] + half, dtype=torch.float64)
    taps = antialiasing_filter("bicubic", 2)[0, 0].double()
    torch.testing.assert_close(taps, torch.outer(expected, expected) / expected.sum() ** 2, rtol=1e-6, atol=1e-8)
    assert expected.sum() == 2


def test_bilinear_taps_are_a_triangle():
    taps = antialiasing_filter("bilinear", 4)[0, 0].sum(0).double()
    expected = torch.tensor([1, 3, 5, 7, 7, 5, 3, 1], dtype=torch.float64) / 32
    torch.testing.assert_close(taps, expected, rtol=1e-6, atol=1e-8)


def test_gaussian_taps_have_half_an_output_pixel_as_deviation():
    taps = antialiasing_filter("gaussian", 4)[0, 0].sum(0)
    ratio = taps[0] / taps[7]
    assert ratio.item() == pytest.approx(math.exp(-2 * (7.5**2 - 0.5**2) / 16), rel=1e-4)
    assert taps.shape == (16,)


@every_factor
def test_sinc_taps_are_those_of_the_window_method_of_kaiser(factor):
    """The cutoff is half the coarse sampling rate, the transition that of Karras et al.; here with SciPy's formulas."""
    expected = signal.firwin(4 * factor, 1 / factor, width=2 * (2 - math.sqrt(2)) / factor)
    taps = antialiasing_filter("sinc", factor)[0, 0].sum(0).double()
    torch.testing.assert_close(taps, torch.from_numpy(expected), rtol=1e-5, atol=1e-7)


@every_factor
def test_sinc_filter_passes_what_the_coarse_grid_holds_and_stops_the_rest(factor):
    """At a quarter of the coarse sampling rate it has passed almost all, at the sampling rate almost nothing."""
    taps = antialiasing_filter("sinc", factor)[0, 0].sum(0).double()
    position = torch.arange(len(taps)) - (len(taps) - 1) / 2

    def response(cycles_per_coarse_pixel):
        return (taps * torch.cos(2 * math.pi * cycles_per_coarse_pixel * position / factor)).sum().item()

    assert response(0.0) == pytest.approx(1, abs=1e-6)
    assert response(0.1) == pytest.approx(1, abs=0.05)
    assert response(0.5) == pytest.approx(0.5, abs=0.05)
    assert abs(response(1.0)) < 0.02


def test_an_even_filter_is_centred_half_a_pixel_after_the_pixel_that_is_kept():
    """Two equal taps give the mean of pixels 2 i and 2 i + 1, which is the ramp at 2 i + 1/2."""
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    A = Downsample(2, (1, 8, 8), antialiasing_filter("box", 2))
    torch.testing.assert_close(A(ramp)[0, 0, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))


def test_an_explicit_filter_is_kept_as_it_is():
    kernel = random_tensor(3, 1, 3, 4)
    assert Downsample(2, (1, 8, 8), kernel).filter is kernel


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((1, (1, 8, 8)), ArgumentError, "whole number of at least 2, got 1"),
        ((3, (1, 8, 9)), ShapeError, "height and width are multiples of 3"),
        ((2, (8, 8)), ShapeError, r"images \(C, H, W\)"),
        ((2, (3, 8, 8), torch.ones(1, 2, 3, 3)), ShapeError, "real filter of shape"),
        ((2, (1, 8, 8), "bicubik"), UnknownNameError, "did you mean 'bicubic'"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        Downsample(*arguments)


@needs_reference
@pytest.mark.parametrize("name", ["bicubic_x2", "bicubic_x4", "bilinear_x2", "bilinear_x4"])
def test_equals_the_stored_output(name):
    reference = stored()
    kind, factor = name.split("_x")
    A = Downsample(int(factor), (3, 64, 80), kind)
    _close_to_stored(A.filter, reference[f"downsample_{name}.filter"])
    _close_to_stored(A(field(3, 64, 80)), reference[f"downsample_{name}.A"])


@needs_reference
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_sinc_equals_the_stored_filter_and_output(factor):
    reference = stored()
    A = Downsample(factor, (3, 64, 80), "sinc")
    _close_to_stored(A.filter, reference[f"sinc_x{factor}.filter"])
    if factor == 2:
        _close_to_stored(A(field(3, 64, 80)), reference["sinc_x2.down"])


def _close_to_stored(got, expected):
    assert got.shape == expected.shape
    assert (got - expected).norm() <= 1e-5 * expected.norm()
