"""Convolution against SciPy, for every border, kernel size, dimension and way of computing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from tests.support.reference import field, needs_reference, stored
from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError, UnknownNameError
from wellposed.operators import Blur
from wellposed.operators._convolve import direct_is_cheaper
from wellposed.operators._spectra import fast_length

NUMPY_BORDERS = {"circular": "wrap", "reflect": "reflect", "replicate": "edge", "zero": "constant"}
SCIPY_BORDERS = {"circular": "wrap", "reflect": "mirror", "replicate": "nearest", "zero": "constant"}
SIZES = [
    ((3, 3), (7, 6)),
    ((2, 4), (6, 5)),
    ((5, 1), (5, 4)),
    ((4, 3), (6, 7)),
    ((1, 1), (3, 4)),
    ((2, 3, 4), (4, 5, 6)),
]

every_method = pytest.mark.parametrize("method", ["fft", "direct"])
every_padding = pytest.mark.parametrize("padding", ["valid", *NUMPY_BORDERS])
every_size = pytest.mark.parametrize(("taps", "space"), SIZES, ids=str)


def expected_blur(image, kernel, padding):
    """Continue the image by whole kernels, convolve, and keep what the centre of the kernel, half its size, reaches."""
    if padding == "valid":
        return signal.convolve(image, kernel, mode="valid", method="direct")
    margin = [(tap // 2 + 1, tap // 2 + 1) for tap in kernel.shape]
    full = signal.convolve(np.pad(image, margin, mode=NUMPY_BORDERS[padding]), kernel, mode="full", method="direct")
    corner = [tap // 2 + before for tap, (before, _) in zip(kernel.shape, margin, strict=True)]
    return full[tuple(slice(first, first + size) for first, size in zip(corner, image.shape, strict=True))]


@every_method
@every_padding
@every_size
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_is_the_convolution_of_scipy(taps, space, padding, method, dtype):
    """O2, for the kernel of one pixel; the kernels have no symmetry, so that a correlation would differ."""
    image, kernel = random_tensor(2, 3, *space, dtype=dtype), random_tensor(2, 3, *taps, seed=1)
    A = Blur(kernel, (3, *space), padding=padding, method=method)
    for i in range(2):
        for c in range(3):
            expected = expected_blur(image[i, c].numpy(), kernel[i, c].numpy(), padding)
            torch.testing.assert_close(A(image)[i, c], torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


@every_method
@pytest.mark.parametrize("padding", NUMPY_BORDERS)
@pytest.mark.parametrize("taps", [(3, 5), (5, 5), (1, 3)], ids=str)
def test_borders_are_those_of_ndimage(taps, padding, method):
    image, kernel = random_tensor(1, 1, 6, 7), random_tensor(1, 1, *taps, seed=1)
    expected = ndimage.convolve(image[0, 0].numpy(), kernel[0, 0].numpy(), mode=SCIPY_BORDERS[padding])
    blurred = Blur(kernel, (1, 6, 7), padding=padding, method=method)(image)
    torch.testing.assert_close(blurred[0, 0], torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


@every_method
@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("taps", [(3, 3), (4, 2)], ids=["odd", "even"])
def test_the_kernel_is_the_image_of_a_point_centred_at_half_its_size(taps, padding, method):
    kernel = random_tensor(1, 1, *taps)
    point = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    point[..., 4, 4] = 1
    image = Blur(kernel, (1, 9, 9), padding=padding, method=method)(point)
    top, left = 4 - taps[0] // 2, 4 - taps[1] // 2
    torch.testing.assert_close(image[..., top : top + taps[0], left : left + taps[1]], kernel)
    assert image.abs().sum() == pytest.approx(kernel.abs().sum().item())


@every_padding
@every_size
def test_both_methods_are_one_operator_and_its_adjoint(taps, space, padding):
    kernel = random_tensor(1, 1, *taps)
    fft, direct = (Blur(kernel, (2, *space), padding=padding, method=method) for method in ("fft", "direct"))
    assert (fft.direct, direct.direct) == (False, True)
    torch.testing.assert_close(fft.to_matrix(), direct.to_matrix(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(fft.H.to_matrix(), direct.to_matrix().mH, rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data(), dimensions=st.sampled_from([2, 3]))
def test_any_kernel_that_fits_any_image(data, dimensions):
    """O2 and beyond: every size from one pixel to that of the image, for every border and both methods."""
    space = data.draw(st.tuples(*[st.integers(2, 5)] * dimensions))
    taps = tuple(data.draw(st.integers(1, size)) for size in space)
    padding = data.draw(st.sampled_from(["valid", *NUMPY_BORDERS]))
    method = data.draw(st.sampled_from(["auto", "fft", "direct"]))
    image, kernel = random_tensor(1, 1, *space), random_tensor(1, 1, *taps, seed=1)
    A = Blur(kernel, (1, *space), padding=padding, method=method)
    expected = expected_blur(image[0, 0].numpy(), kernel[0, 0].numpy(), padding)
    torch.testing.assert_close(A(image)[0, 0], torch.from_numpy(expected), rtol=1e-10, atol=1e-10)
    assert A.adjoint_error() < 1e-12


@every_padding
def test_the_sum_of_the_kernel_is_the_gain_of_a_constant(padding):
    kernel = random_tensor(1, 1, 3, 4).abs()
    constant = torch.full((1, 1, 8, 8), 2.0, dtype=torch.float64)
    blurred = Blur(kernel, (1, 8, 8), padding=padding)(constant)
    expected = torch.full_like(blurred, 2 * kernel.sum().item())
    centre = (..., slice(2, -2), slice(2, -2)) if padding == "zero" else ...
    torch.testing.assert_close(blurred[centre], expected[centre])


def test_the_method_is_chosen_by_the_size_of_the_kernel():
    small, large = (Blur(torch.ones(1, 1, taps, taps), (1, 64, 64)) for taps in (3, 31))
    assert small.direct
    assert not large.direct
    assert direct_is_cheaper((64, 64), (9, 10))
    assert not direct_is_cheaper((64, 64), (10, 10))


def test_fft_lengths_have_small_factors():
    assert [fast_length(size) for size in (1, 7, 11, 97, 101, 256, 257)] == [1, 8, 12, 100, 108, 256, 270]


@pytest.mark.parametrize(
    ("kernel", "image_shape", "padding", "match"),
    [
        ((1, 1, 3), (1, 8, 8), "valid", r"real kernel \(B or 1, C or 1, kH, kW\)"),
        ((1, 1, 3, 3, 3), (1, 8, 8), "valid", "with a depth each in 3D"),
        ((1, 2, 3, 3), (3, 8, 8), "valid", "with 1 or 3 channels"),
        ((1, 1, 9, 3), (1, 8, 8), "valid", "no larger than the image: crop the kernel"),
        ((1, 1, 9, 3), (1, 8, 8), "circular", "no larger than the image"),
        ((1, 1, 16, 3), (1, 8, 8), "reflect", "no larger than the image"),
    ],
)
def test_kernels_that_do_not_fit_are_refused(kernel, image_shape, padding, match):
    with pytest.raises(ShapeError, match=match):
        Blur(torch.ones(kernel), image_shape, padding=padding)


def test_unknown_words_are_refused():
    with pytest.raises(UnknownNameError, match="unknown padding 'reflct'; did you mean 'reflect'"):
        Blur(torch.ones(1, 1, 3, 3), (1, 8, 8), padding="reflct")
    with pytest.raises(UnknownNameError, match="unknown method 'ftt'; did you mean 'fft'"):
        Blur(torch.ones(1, 1, 3, 3), (1, 8, 8), method="ftt")


def test_a_kernel_as_large_as_the_image_fits():
    kernel, image = random_tensor(1, 1, 4, 5), random_tensor(1, 1, 4, 5, seed=1)
    total = Blur(kernel, (1, 4, 5))(image)
    torch.testing.assert_close(total.item(), (kernel.flip(2, 3) * image).sum().item())


@needs_reference
@every_method
@pytest.mark.parametrize("padding", ["circular", "valid"])
def test_equals_the_stored_output(padding, method):
    reference = stored()
    A = Blur(reference["kernel7"], (3, 64, 80), padding=padding, method=method)
    expected = reference[f"blur_{padding}.A"]
    assert (A(field(3, 64, 80)) - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("kernels", [1, 5])
@pytest.mark.parametrize("padding", ["circular", "valid"])
def test_a_batch_too_large_for_the_cache_goes_in_parts(monkeypatch, padding, kernels):
    import wellposed.operators._spectra as module

    A = Blur(random_tensor(kernels, 1, 3, 2, dtype=torch.float64), (2, 6, 5), padding=padding, method="fft")
    x = random_tensor(5, 2, 6, 5, dtype=torch.float64)
    whole = A(x)
    monkeypatch.setattr(module, "_NUMBERS_IN_CACHE", 2 * 2 * 6 * 5)
    torch.testing.assert_close(A(x), whole, rtol=0, atol=1e-15)
