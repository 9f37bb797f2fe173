"""Sequential sampling: one image, several passes over k-space that may overlap."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
from wellposed.operators import CartesianMRI, SequentialMRI


def test_each_frame_is_the_image_through_its_own_mask():
    mask, x = random_tensor(2, 1, 3, 4, 5), random_tensor(2, 1, 4, 5, seed=1, dtype=torch.complex128)
    y = SequentialMRI(mask, (1, 4, 5))(x)
    for frame in range(3):
        torch.testing.assert_close(y[:, :, frame], CartesianMRI(mask[:, :, frame], (1, 4, 5))(x))


def test_overlapping_frames_add_up_in_the_adjoint():
    """O1: the peer's adjoint lost those (16.0 against 5.33)."""
    A = SequentialMRI(torch.ones(1, 1, 3, 4, 5).double(), (1, 4, 5))
    x = random_tensor(1, 1, 4, 5, dtype=torch.complex128)
    torch.testing.assert_close(A.adjoint(A(x)), 3 * x)
    torch.testing.assert_close(A.pinv(A(x)), x)
    assert A.norm().item() == pytest.approx(3**0.5)


def test_pinv_averages_noisy_frames_by_their_weights():
    weights = torch.tensor([1.0, 2.0]).double().view(1, 1, 2, 1, 1)
    A = SequentialMRI(weights.expand(1, 1, 2, 4, 5), (1, 4, 5))
    y = random_tensor(1, 1, 2, 4, 5, dtype=torch.complex128)
    single = CartesianMRI(torch.ones(1, 1, 4, 5).double(), (1, 4, 5))
    torch.testing.assert_close(A.pinv(y), single.adjoint((y[:, :, 0] + 2 * y[:, :, 1]) / 5))


def test_frames_of_a_volume_overlap_too():
    mask = random_tensor(1, 1, 3, 2, 1, 5)
    A, x = SequentialMRI(mask, (1, 2, 4, 5)), random_tensor(2, 1, 2, 4, 5, seed=1, dtype=torch.complex128)
    y = A(x)
    assert y.shape == (2, 1, 3, 2, 4, 5)
    for frame in range(3):
        torch.testing.assert_close(y[:, :, frame], CartesianMRI(mask[:, :, frame], (1, 2, 4, 5))(x))
    torch.testing.assert_close(A.pinv(y), x)
    torch.testing.assert_close(A.norm(), mask.square().sum(2).amax().sqrt()[None])


def test_masks_without_frames_are_refused():
    with pytest.raises(ShapeError, match=r"mask \(B or 1, 1 or C, T, H, W\).* got \(1, 4, 5\) and \(1, 1, 4, 5\)"):
        SequentialMRI(torch.ones(1, 1, 4, 5), (1, 4, 5))
