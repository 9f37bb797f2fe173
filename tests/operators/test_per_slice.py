"""Slice by slice is slice after slice, also with a parameter per volume and with a prox per volume."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import Blur, Downsample, Identity, Mask, PerSlice, Stack

KERNELS = random_tensor(2, 1, 3, 3).abs()
X = random_tensor(2, 1, 4, 5, 6, seed=1)


def test_each_slice_meets_its_operator():
    A = PerSlice(Blur(KERNELS, (1, 5, 6)), depth=4)
    y = A(X)
    assert A.measurement_shape == (1, 4, 3, 4)
    for volume in range(2):
        alone = Blur(KERNELS[volume : volume + 1], (1, 5, 6))
        for d in range(4):
            torch.testing.assert_close(y[volume : volume + 1, :, d], alone(X[volume : volume + 1, :, d]))


def test_closed_forms_are_those_of_the_operator():
    """A gamma per volume, and a norm per volume."""
    A, gamma = PerSlice(Blur(KERNELS, (1, 5, 6), "circular"), depth=4), torch.tensor([0.3, 5.0], dtype=torch.float64)
    assert A.has_closed_form("prox")
    torch.testing.assert_close(A.norm(), A.operator.norm())
    z, y = X.flip(-1), A(X)
    got = A.prox(z, y, gamma)
    for volume in range(2):
        alone = Blur(KERNELS[volume : volume + 1], (1, 5, 6), "circular")
        expected = alone.prox(z[volume].movedim(1, 0), y[volume].movedim(1, 0), gamma[volume])
        torch.testing.assert_close(got[volume].movedim(1, 0), expected)


def test_parameters_are_replaced():
    A = PerSlice(Mask(torch.ones(1, 1, 5, 6, dtype=torch.float64)), depth=4)
    assert set(A.params) == {"mask"}
    torch.testing.assert_close(A(X, mask=torch.full((1, 1, 5, 6), 3.0, dtype=torch.float64)), 3 * X)


def test_tuples_have_the_depth_in_each_part():
    A = PerSlice(Stack((Downsample(2, (1, 4, 6)), Identity((1, 4, 6)))), depth=7)
    assert A.measurement_shape == ((1, 7, 2, 3), (1, 7, 4, 6))


def test_what_cannot_be_sliced_is_told():
    with pytest.raises(ArgumentError, match="PerSlice expects a linear operator, got int"):
        PerSlice(3, 4)
    with pytest.raises(ArgumentError, match="PerSlice expects depth to be a whole number of at least 1, got 0"):
        PerSlice(Identity((1, 4, 4)), 0)
    with pytest.raises(UnsupportedError, match=r"operator on images \(C, H, W\), got Identity on \(1, 2, 4, 4\)"):
        PerSlice(Identity((1, 2, 4, 4)), 2)
