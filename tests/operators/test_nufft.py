"""The nonuniform Fourier transform against the sum that defines it."""

import math
import sys

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, DTypeError, MissingDependencyError, ShapeError
from wellposed.operators import NUFFT, CartesianMRI

every_size = pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 5, 6)], ids=str)


def direct_sum(x, trajectory):
    """Return sum_n x_n exp(-i k r_n) / sqrt(N) of images (B, C, *size) at points (1, K, d), by dense algebra."""
    size = x.shape[2:]
    axes = [torch.arange(length, dtype=torch.float64) - length // 2 for length in size]
    positions = torch.cartesian_prod(*axes)
    phase = torch.exp(-1j * (trajectory[0].double() @ positions.mT))
    return x.to(torch.complex128).flatten(2) @ phase.mT / math.sqrt(math.prod(size))


def points(*shape, dtype=torch.float64):
    return 3 * torch.tanh(random_tensor(*shape, seed=5, dtype=dtype))


@every_size
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 2e-6), (torch.float64, 1e-11)], ids=str)
def test_equals_the_sum_that_defines_it(size, dtype, limit):
    k = points(1, 40, len(size), dtype=dtype)
    x = random_tensor(2, 3, *size, dtype=dtype.to_complex())
    expected = direct_sum(x, k)
    got = NUFFT(k, (3, *size))(x)
    assert got.dtype == x.dtype
    assert (got - expected).norm() <= limit * expected.norm()


def test_a_large_image_in_single_precision_is_accurate_to_1e_5():
    """Single precision throughout would be off by more; a loose tolerance asks for just that."""
    k = math.pi * (2 * torch.rand(1, 200, 2, generator=torch.Generator().manual_seed(0)) - 1)
    x = random_tensor(1, 1, 256, 256, dtype=torch.complex64)
    expected = direct_sum(x, k)
    error = (NUFFT(k, (1, 256, 256))(x) - expected).norm() / expected.norm()
    loose = (NUFFT(k, (1, 256, 256), tolerance=1e-3)(x) - expected).norm() / expected.norm()
    assert error < 2e-6
    assert 1e-5 < loose < 1e-3


@every_size
def test_at_the_frequencies_of_the_grid_it_is_the_centred_transform(size):
    axes = [(torch.arange(length, dtype=torch.float64) - length // 2) * (2 * math.pi / length) for length in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)[None]
    x = random_tensor(2, 1, *size, dtype=torch.complex128)
    expected = CartesianMRI(torch.ones(1, 1, *size).double(), (1, *size))(x)
    torch.testing.assert_close(NUFFT(grid, (1, *size))(x), expected, rtol=1e-9, atol=1e-9)


@every_size
def test_gram_by_toeplitz_embedding_is_the_adjoint_of_the_forward(size):
    x = random_tensor(2, 1, *size, dtype=torch.complex64)
    A = NUFFT(points(1, 60, len(size), dtype=torch.float32), (1, *size))
    expected = A.adjoint(A(x))
    assert (A.gram(x) - expected).norm() < 1e-6 * expected.norm()


def test_gradients_in_the_trajectory_are_those_of_the_direct_sum():
    k, x = points(1, 9, 2).requires_grad_(), random_tensor(2, 1, 5, 6, dtype=torch.complex128)
    weights = random_tensor(2, 1, 9, seed=3, dtype=torch.complex128)
    (expected,) = torch.autograd.grad((weights.conj() * direct_sum(x, k)).real.sum(), k)
    (got,) = torch.autograd.grad((weights.conj() * NUFFT(k, (1, 5, 6))(x)).real.sum(), k)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_images_and_trajectories_keep_the_shape_of_shots():
    y = NUFFT(torch.zeros(1, 4, 7, 2), (2, 5, 6))(torch.ones(3, 2, 5, 6) + 0j)
    assert y.shape == (3, 2, 4, 7)
    torch.testing.assert_close(y.real, torch.full(y.shape, math.sqrt(30)))


@pytest.mark.parametrize(
    ("trajectory", "error", "sentence"),
    [
        (torch.full((9, 2), 4.0), ArgumentError, r"in \[-pi, pi\], got one up to 4: multiply by 2 pi if"),
        (torch.full((9, 2), 16.0), ArgumentError, r"2 pi / 32 if in cycles per field of view"),
        (torch.full((9, 2), math.nan), ArgumentError, "finite trajectory"),
        (torch.zeros(9, 3), ShapeError, r"\(K, 2\).*got \(1, 9, 3\)"),
        (torch.zeros(9, 2).half(), DTypeError, "float32 or float64, got torch.float16"),
    ],
    ids=["beyond pi", "field of view", "NaN", "3D", "half"],
)
def test_trajectories_that_cannot_be_are_refused(trajectory, error, sentence):
    with pytest.raises(error, match=sentence):
        NUFFT(trajectory, (1, 32, 32))


def test_a_trajectory_that_ends_at_a_half_is_suspicious():
    with pytest.warns(UserWarning, match=r"ends at 0.5: if it is in cycles per pixel, multiply it by 2 pi"):
        NUFFT(torch.full((3, 2), -0.5), (1, 8, 8))


def test_without_finufft_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "finufft", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wellposed\[mri\]'"):
        NUFFT(torch.zeros(3, 2), (1, 8, 8))(torch.ones(1, 1, 8, 8) + 0j)
