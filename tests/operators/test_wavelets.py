"""Orthonormal wavelets against PyWavelets and their own laws."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, UnknownNameError
from wellposed.operators import Wavelets
from wellposed.operators.wavelets import daubechies

pywt = pytest.importorskip("pywt")


@pytest.mark.parametrize("moments", range(1, 9))
def test_filters_are_those_of_pywavelets(moments):
    """Up to the order of the taps and the sign of the differences."""
    low, high = map(np.array, daubechies(moments))
    wavelet = pywt.Wavelet(f"db{moments}")
    expected = [np.array(wavelet.dec_lo), np.array(wavelet.rec_lo)]
    assert min(np.abs(low - taps).max() for taps in expected) < 1e-9
    np.testing.assert_allclose([low @ low, high @ high, low @ high], [1, 1, 0], atol=1e-9)


@pytest.mark.parametrize("wavelet", ["db1", "db3", "db8"])
def test_magnitudes_of_one_level_are_those_of_pywavelets(wavelet):
    """A circular shift, a reflection and a sign apart, which a sum of magnitudes does not see."""
    x = random_tensor(1, 1, 16, 16)
    ours = Wavelets((1, 16, 16), wavelet, levels=1).double()(x)[0, 0].abs()
    mine = {"a": ours[:8, :8], "d": ours[8:, 8:], "h": ours[8:, :8], "v": ours[:8, 8:]}
    image = x[0, 0].numpy()
    candidates = [np.roll(other, (shift, shift), (0, 1)) for other in (image, np.flip(image)) for shift in (0, 1)]
    gaps = []
    for candidate in candidates:
        a, details = pywt.dwt2(candidate, wavelet, mode="periodization")
        pairs = zip("ahvd", (a, *details), strict=True)
        gaps.append(max(_gap(mine[name].numpy(), other) for name, other in pairs))
    assert min(gaps) < 1e-9


def _gap(magnitudes, other):
    return np.abs(np.sort(magnitudes.ravel()) - np.sort(np.abs(other).ravel())).max()


@pytest.mark.parametrize("shape", [(2, 7, 12), (1, 5, 6, 9), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("wavelet", ["db1", "db4"])
def test_any_size_is_orthonormal(shape, wavelet):
    W, x = Wavelets(shape, wavelet, levels=3).double(), random_tensor(2, *shape)
    torch.testing.assert_close(W.adjoint(W(x)), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(W(W.adjoint(x)), x, rtol=0, atol=1e-9)


def test_polynomials_vanish_away_from_the_border():
    """db3 has three vanishing moments: parabolas have no differences."""
    ramp = torch.arange(32, dtype=torch.float64)
    x = (ramp.square() / 100).expand(1, 1, 4, 32)
    differences = Wavelets((1, 4, 32), "db3", levels=1).double()(x)[0, 0, 0, 16:]
    assert differences[:-3].abs().max() < 1e-9
    assert differences[-2:].abs().max() > 1e-2


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'db8'"):
        Wavelets((1, 8, 8), "db9")
    with pytest.raises(ArgumentError, match="levels"):
        Wavelets((1, 8, 8), levels=0)
