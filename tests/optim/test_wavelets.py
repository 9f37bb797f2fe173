"""The union of wavelet bases as a prior: its value, and the problem that it makes."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError
from wellposed.operators import Identity, Wavelets
from wellposed.optim import (
    Composite,
    L1Norm,
    LeastSquares,
    PrimalDual,
    RegularisedProblem,
    Term,
    wavelet_dictionary,
    wavelet_prior,
)
from wellposed.solvers import run

SHAPE = (2, 4, 6)


def test_value_is_the_mean_over_the_bases():
    x = random_tensor(2, *SHAPE)
    bases = [Wavelets(SHAPE, name, 2).double() for name in ("db1", "db3", "db8")]
    expected = sum((basis.details().double() * basis(x)).abs().flatten(1).sum(1) for basis in bases) / 3
    torch.testing.assert_close(wavelet_dictionary(SHAPE, ("db1", "db3", "db8"), 2).value(x), expected)


def test_by_default_all_eight_bases_are_there():
    names = [basis.wavelet for basis in wavelet_dictionary(SHAPE).operator.operators]
    assert names == [f"db{moments}" for moments in range(1, 9)]


def test_one_basis_twice_is_that_basis_once():
    """Denoising by the union meets the closed form of the orthonormal prior, soft thresholds."""
    y, weight = random_tensor(1, *SHAPE), 0.3
    union = wavelet_dictionary(SHAPE, ("db2", "db2"), 2)
    problem = RegularisedProblem(LeastSquares(Identity(), y), Term(union, weight))
    method = PrimalDual(tolerance=1e-8, max_steps=500)
    basis = Wavelets(SHAPE, "db2", 2).double()
    expected = Composite(L1Norm(basis.details()), basis).prox(y, weight)
    torch.testing.assert_close(run(method, problem, method.init(problem, y)).value, expected, rtol=0, atol=1e-5)


def test_joint_channels_count_by_the_length_of_their_vector():
    x = random_tensor(1, *SHAPE)
    details = (Wavelets(SHAPE, "db2", 1).double()(x) * Wavelets(SHAPE, "db2", 1).details()).square().sum(1).sqrt().sum()
    torch.testing.assert_close(wavelet_prior(SHAPE, "db2", 1, joint_channels=True).value(x)[0], details)


def test_an_empty_union_is_refused():
    with pytest.raises(ArgumentError, match="at least one wavelet"):
        wavelet_dictionary(SHAPE, ())
