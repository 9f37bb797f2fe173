"""Translation-invariant wavelets against the orthonormal ones, PyWavelets and their own laws."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, UnknownNameError
from wellposed.operators import UndecimatedWavelets
from wellposed.optim import wavelet_prior

pywt = pytest.importorskip("pywt")


@pytest.mark.parametrize("wavelet", ["db1", "db3", "db8"])
def test_bands_are_those_of_the_stationary_transform(wavelet):
    """With its norm of one, of the image or of its reflection: magnitudes in any order."""
    x = random_tensor(1, 1, 16, 16)
    ours = _magnitudes(UndecimatedWavelets((1, 16, 16), wavelet, levels=2).double()(x)[0, :, 0].numpy())
    gaps = []
    for image in (x[0, 0].numpy(), np.flip(x[0, 0].numpy())):
        coarse, fine = pywt.swt2(image, wavelet, level=2, norm=True)
        gaps.append(np.abs(ours - _magnitudes([coarse[0], *coarse[1], *fine[1]])).max())
    assert min(gaps) < 1e-9


def _magnitudes(bands):
    return np.array(sorted(np.sort(np.abs(band), axis=None).tolist() for band in bands))


@pytest.mark.parametrize("shape", [(2, 7, 12), (1, 3, 5, 4)], ids=str)
def test_any_size_is_a_parseval_frame(shape):
    W, x = UndecimatedWavelets(shape, "db2", levels=3).double(), random_tensor(2, *shape)
    torch.testing.assert_close(W.adjoint(W(x)), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(W(x).norm(), x.norm())


def test_shifts_of_the_image_are_shifts_of_the_bands():
    W, x = UndecimatedWavelets((1, 6, 9), "db4", levels=2).double(), random_tensor(1, 1, 6, 9)
    torch.testing.assert_close(W(x.roll((2, -3), (2, 3))), W(x).roll((2, -3), (3, 4)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 8, 4), (1, 4, 4, 4)], ids=str)
@pytest.mark.parametrize("joint", [False, True])
def test_its_prior_is_the_mean_of_the_orthonormal_one_over_all_shifts(shape, joint):
    x, levels = random_tensor(1, *shape), 2
    orthonormal = wavelet_prior(shape, "db2", levels, joint_channels=joint)
    invariant = wavelet_prior(shape, "db2", levels, translation_invariant=True, joint_channels=joint)
    orthonormal = type(orthonormal)(orthonormal.functional, orthonormal.operator.double())
    axes = tuple(range(2, x.ndim))
    grid = torch.cartesian_prod(*[torch.arange(4)] * len(axes)).tolist()
    mean = torch.stack([orthonormal.value(x.roll(shift, axes)) for shift in grid]).mean(0)
    torch.testing.assert_close(invariant.value(x), mean, rtol=1e-6, atol=0)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'db8'"):
        UndecimatedWavelets((1, 8, 8), "db9")
    with pytest.raises(ArgumentError, match="levels"):
        UndecimatedWavelets((1, 8, 8), levels=0)
    with pytest.raises(ArgumentError, match="channels and space"):
        UndecimatedWavelets((8,))
