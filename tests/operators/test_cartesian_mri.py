"""The centred orthonormal Fourier transform against NumPy, in even and odd sizes."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, ShapeError
from wellposed.operators import CartesianMRI

every_space = pytest.mark.parametrize("space", [(4, 6), (5, 7), (5, 4), (1, 3), (3, 4, 5), (2, 5, 3)], ids=str)


def centred_dft_matrix(size):
    """Write out exp(-2 pi i k n / N) / sqrt(N) with k and n counted from the middle, size // 2."""
    index = np.arange(size) - size // 2
    return torch.from_numpy(np.exp(-2j * np.pi * np.outer(index, index) / size) / np.sqrt(size))


@every_space
def test_equals_the_shifted_transform_of_numpy(space):
    image = random_tensor(2, 3, *space, dtype=torch.complex128)
    mask = random_tensor(1, 1, *space, seed=1)
    axes = tuple(range(2, 2 + len(space)))
    shifted = np.fft.ifftshift(image.numpy(), axes)
    expected = np.fft.fftshift(np.fft.fftn(shifted, axes=axes, norm="ortho"), axes) * mask.numpy()
    torch.testing.assert_close(CartesianMRI(mask, (3, *space))(image), torch.from_numpy(expected))


@pytest.mark.parametrize("space", [(4, 6), (5, 7), (5, 4)], ids=str)
def test_equals_the_sum_that_defines_it(space):
    """A real, even image centred at half its size has a real spectrum: the phase of the centre is right."""
    image = random_tensor(1, 1, *space, dtype=torch.complex128)
    rows, columns = (centred_dft_matrix(size) for size in space)
    expected = rows @ image @ columns.mT
    torch.testing.assert_close(CartesianMRI(torch.ones(1, 1, *space).double(), (1, *space))(image), expected)


@every_space
def test_dc_is_in_the_middle(space):
    A = CartesianMRI(torch.ones(1, 1, *space), (1, *space))
    k_space = A(torch.ones(1, 1, *space, dtype=torch.complex64))
    middle = tuple(size // 2 for size in space)
    assert k_space[(0, 0, *middle)].real.item() == pytest.approx(np.sqrt(np.prod(space)), rel=1e-5)
    assert k_space.abs().sum().item() == pytest.approx(np.sqrt(np.prod(space)), rel=1e-4)


def test_full_sampling_is_unitary():
    image = random_tensor(2, 1, 5, 6, dtype=torch.complex128)
    A = CartesianMRI(torch.ones(1, 1, 5, 6).double(), (1, 5, 6))
    torch.testing.assert_close(A.adjoint(A(image)), image)
    torch.testing.assert_close(A.pinv(A(image)), image)
    assert A.norm().item() == 1


def test_a_row_of_the_mask_repeats():
    row = torch.tensor([1.0, 0.0, 1.0, 1.0]).view(1, 1, 1, 4)
    image = random_tensor(1, 1, 3, 4, dtype=torch.complex64)
    repeated = CartesianMRI(row.expand(1, 1, 3, 4), (1, 3, 4))
    torch.testing.assert_close(CartesianMRI(row, (1, 3, 4))(image), repeated(image))
    assert repeated(image)[..., 1].abs().max() == 0


def test_pinv_undoes_weights_and_leaves_gaps():
    """L12: weights of any sign and size."""
    mask = torch.tensor([2.0, 0.0, -1e-9, 0.5], dtype=torch.float64).view(1, 1, 1, 4)
    image = random_tensor(1, 1, 3, 4, dtype=torch.complex128)
    A, sampled = CartesianMRI(mask, (1, 3, 4)), CartesianMRI((mask != 0).double(), (1, 3, 4))
    torch.testing.assert_close(A.pinv(A(image)), sampled.gram(image))


def test_real_images_are_refused():
    A = CartesianMRI(torch.ones(1, 1, 4, 4), (1, 4, 4))
    with pytest.raises(DTypeError, match=r"CartesianMRI expects complex images, got torch.float32: convert"):
        A(torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize(
    "mask",
    [torch.ones(4, 4), torch.ones(1, 1, 4, 5), torch.ones(1, 1, 4, 4, dtype=torch.complex64), torch.ones(1, 2, 4, 4)],
)
def test_masks_that_do_not_fit_are_refused(mask):
    with pytest.raises(ShapeError, match=r"^CartesianMRI expects a real mask"):
        CartesianMRI(mask, (1, 4, 4))
