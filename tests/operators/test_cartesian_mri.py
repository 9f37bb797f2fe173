"""The centred orthonormal Fourier transform against NumPy, in even and odd sizes."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.data import cartesian_mask
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
def test_parseval(space):
    x, z = (random_tensor(2, 3, *space, seed=seed, dtype=torch.complex128) for seed in (0, 1))
    A = CartesianMRI(torch.ones(1, 1, *space).double(), (3, *space))
    torch.testing.assert_close((A(x).conj() * A(z)).flatten(1).sum(1), (x.conj() * z).flatten(1).sum(1))


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


def coil_maps(*shape, seed=3):
    return random_tensor(*shape, seed=seed, dtype=torch.complex128)


class TestCoils:
    """Against the formula, written out with shifts and sums."""

    @pytest.mark.parametrize("space", [(4, 6), (5, 7), (3, 4, 5)], ids=str)
    @pytest.mark.parametrize("sets", [1, 2])
    def test_equals_the_formula(self, space, sets):
        axes = tuple(range(-len(space), 0))
        maps, x = coil_maps(2, sets, 3, *space), random_tensor(2, sets, *space, dtype=torch.complex128)
        mask = random_tensor(1, 1, *space, seed=1)
        seen = np.fft.ifftshift((maps * x.unsqueeze(2)).sum(1).numpy(), axes)
        expected = np.fft.fftshift(np.fft.fftn(seen, axes=axes, norm="ortho"), axes) * mask.numpy()
        A = CartesianMRI(mask, (sets, *space), maps if sets > 1 else maps[:, 0])
        torch.testing.assert_close(A(x), torch.from_numpy(expected))
        assert A.measurement_shape == (3, *space)

    def test_maps_without_batch_are_for_all_images(self):
        maps, x = coil_maps(3, 4, 5), random_tensor(2, 1, 4, 5, dtype=torch.complex128)
        mask = torch.ones(1, 1, 1, 5).double()
        torch.testing.assert_close(
            CartesianMRI(mask, (1, 4, 5), maps)(x), CartesianMRI(mask, (1, 4, 5), maps[None].repeat(2, 1, 1, 1))(x)
        )

    @pytest.mark.parametrize("sets", [1, 2])
    def test_norm_is_known_where_the_mask_is_constant(self, sets):
        maps = coil_maps(1, sets, 3, 4, 5)
        A = CartesianMRI(torch.full((1, 1, 4, 5), 0.7).double(), (sets, 4, 5), maps)
        expected = torch.linalg.matrix_norm(A.to_matrix(), ord=2)
        torch.testing.assert_close(A.norm(), expected, rtol=1e-12, atol=0)

    @pytest.mark.parametrize("shape", [(1, 1, 4, 5), (1, 1, 1, 5), (1, 1, 4, 1), (1, 1, 1, 1)], ids=str)
    def test_gram_leaves_out_axes_along_which_the_mask_is_constant(self, shape):
        """Whether the mask has one column there or equal ones."""
        mask, x = random_tensor(*shape, seed=1), random_tensor(1, 1, 4, 5, dtype=torch.complex128)
        for given in (mask, mask.expand(1, 1, 4, 5).clone()):
            A = CartesianMRI(given, (1, 4, 5), coil_maps(1, 3, 4, 5))
            torch.testing.assert_close(A.gram(x), A.adjoint(A(x)))

    def test_a_prox_of_many_coils_is_the_solution_of_the_normal_equations(self):
        A = CartesianMRI(random_tensor(1, 1, 1, 5, seed=1), (1, 4, 5), coil_maps(1, 3, 4, 5))
        y, z = (random_tensor(1, n, 4, 5, seed=n, dtype=torch.complex128) for n in (3, 1))
        matrix = A.to_matrix()[0]
        system = 0.8 * matrix.mH @ matrix + torch.eye(20)
        expected = torch.linalg.solve(system, 0.8 * matrix.mH @ y.flatten() + z.flatten())
        torch.testing.assert_close(A.prox(z, y, 0.8).flatten(), expected, rtol=1e-5, atol=1e-5)

    def test_normalised_maps_and_full_sampling_keep_the_energy(self):
        """Parseval for many coils: sum_l |S_l|^2 = 1."""
        maps = coil_maps(1, 3, 5, 6)
        A = CartesianMRI(torch.ones(1, 1, 1, 1).double(), (1, 5, 6), maps / maps.norm(dim=1, keepdim=True))
        x = random_tensor(2, 1, 5, 6, dtype=torch.complex128)
        torch.testing.assert_close(A(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))

    def test_frames_share_the_maps_and_have_masks_of_their_own(self):
        maps, x = coil_maps(1, 3, 4, 5), random_tensor(2, 1, 6, 4, 5, dtype=torch.complex128)
        mask = random_tensor(1, 1, 6, 1, 5, seed=1)
        y = CartesianMRI(mask, (1, 6, 4, 5), maps, dynamic=True)(x)
        assert y.shape == (2, 3, 6, 4, 5)
        for frame in range(6):
            still = CartesianMRI(mask[:, :, frame], (1, 4, 5), maps)
            torch.testing.assert_close(y[:, :, frame], still(x[:, :, frame]))

    @pytest.mark.parametrize("sets", [1, 2])
    def test_frames_of_volumes_have_a_mask_for_each_image_and_frame(self, sets):
        maps, x = coil_maps(2, sets, 3, 2, 4, 5), random_tensor(2, sets, 6, 2, 4, 5, dtype=torch.complex128)
        mask = random_tensor(2, 1, 6, 2, 1, 5, seed=1)
        maps = maps if sets > 1 else maps[:, 0]
        A = CartesianMRI(mask, (sets, 6, 2, 4, 5), maps, dynamic=True)
        y = A(x)
        assert y.shape == A.zero_measurement().shape == (2, 3, 6, 2, 4, 5)
        for image in range(2):
            for frame in range(6):
                still = CartesianMRI(mask[image, None, :, frame], (sets, 2, 4, 5), maps[image, None])
                torch.testing.assert_close(y[image, None, :, frame], still(x[image, None, :, frame]))

    @pytest.mark.parametrize(
        ("maps", "error", "sentence"),
        [
            (torch.ones(3, 4, 6) + 0j, ShapeError, r"coil_maps of shape \(coils, 4, 5\).*got \(3, 4, 6\)"),
            (torch.ones(1, 2, 3, 4, 5) + 0j, ShapeError, "has 2 sets of coil_maps.* for images of 1 channels"),
            (torch.ones(3, 4, 5), DTypeError, "expects complex coil_maps, got torch.float32"),
            (np.ones((3, 4, 5)), DTypeError, "coil_maps to be a torch.Tensor, got ndarray"),
        ],
        ids=["size", "sets", "real", "NumPy"],
    )
    def test_maps_that_do_not_fit_are_refused(self, maps, error, sentence):
        with pytest.raises(error, match=sentence):
            CartesianMRI(torch.ones(1, 1, 4, 5), (1, 4, 5), maps)

    def test_measurements_of_another_number_of_coils_are_refused(self):
        A = CartesianMRI(torch.ones(1, 1, 4, 5).double(), (1, 4, 5), coil_maps(3, 4, 5))
        with pytest.raises(ShapeError, match=r"measurements of shape \(B, 3, 4, 5\), got \(1, 2, 4, 5\)"):
            A.adjoint(torch.ones(1, 2, 4, 5, dtype=torch.complex128))


@pytest.mark.parametrize("mask", [torch.zeros(1, 1, 4, 4), torch.eye(2).view(2, 1, 1, 2) * torch.tensor([1, 0])])
def test_masks_that_sample_nothing_are_refused(mask):
    with pytest.raises(ArgumentError, match="CartesianMRI has a mask that samples nothing"):
        CartesianMRI(mask, (1, 4, mask.shape[-1]))


def test_frames_need_an_axis():
    with pytest.raises(ShapeError, match=r"\(C, T, H, W\) or \(C, T, D, H, W\), as it is dynamic; got \(1, 4, 4\)"):
        CartesianMRI(torch.ones(1, 1, 4, 4), (1, 4, 4), dynamic=True)


def test_frames_without_coils_have_closed_forms():
    """One mask for each image and frame, drawn by a generator for single images."""
    drawn = cartesian_mask(6, (1, 4, 8), acceleration=2, center_fraction=0.25, generator=seeded())
    mask = drawn.view(2, 3, 1, 4, 8).transpose(1, 2).double()
    A = CartesianMRI(mask, (1, 3, 4, 8), dynamic=True)
    x, z = (random_tensor(2, 1, 3, 4, 8, seed=seed, dtype=torch.complex128) for seed in (0, 1))
    assert all(A.has_closed_form(name) for name in ("gram", "norm", "pinv", "prox"))
    assert A.norm().tolist() == [1.0, 1.0]
    for frame in range(3):
        still = CartesianMRI(mask[:, :, frame], (1, 4, 8))
        torch.testing.assert_close(A.pinv(A(x))[:, :, frame], still.gram(x[:, :, frame]))
        expected = still.prox(z[:, :, frame], still(x[:, :, frame]), 0.7)
        torch.testing.assert_close(A.prox(z, A(x), 0.7)[:, :, frame], expected)
