"""Functions made operators: their adjoint is checked, and their code may leave torch."""

import numpy as np
import pytest
import torch

from tests.support.tensors import random_image
from wellposed.core.errors import DTypeError
from wellposed.operators import FromFunctions


def test_a_wrong_adjoint_is_found():
    A = FromFunctions(lambda x: 2 * x, lambda y: 2.001 * y, (1, 8, 8), (1, 8, 8))
    assert 1e-6 < A.adjoint_error() < 1e-2
    assert FromFunctions(lambda x: 2 * x, lambda y: 2 * y, (1, 8, 8), (1, 8, 8)).adjoint_error() < 1e-6


def test_adjoint_error_draws_by_its_seed():
    A = FromFunctions(lambda x: 2 * x, lambda y: 3 * y, (1, 8, 8), (1, 8, 8))
    assert A.adjoint_error(seed=1) == A.adjoint_error(seed=1) != A.adjoint_error(seed=2)


def test_functions_may_leave_torch():
    def cumulate(x):
        return torch.from_numpy(np.cumsum(x.numpy(), axis=-1))

    def cumulate_back(y):
        return torch.from_numpy(np.cumsum(y.numpy()[..., ::-1], axis=-1)[..., ::-1].copy())

    A = FromFunctions(cumulate, cumulate_back, (1, 2, 4), (1, 2, 4)).double()
    expected = torch.kron(torch.eye(2), torch.ones(4, 4).tril()).double()
    torch.testing.assert_close(A.to_matrix()[0], expected)
    image = random_image(A).requires_grad_()
    A(image).square().sum().backward()
    torch.testing.assert_close(image.grad, 2 * A.gram(image.detach()))


def test_declared_fields_of_functions_are_checked():
    A = FromFunctions(torch.real, _to_complex, (1, 2, 2), (1, 2, 2), image_field="complex", measurement_field="real")
    assert A(torch.ones(1, 1, 2, 2, dtype=torch.complex64)).dtype == torch.float32
    with pytest.raises(DTypeError, match=r"FromFunctions expects complex images, got torch.float32"):
        A(torch.ones(1, 1, 2, 2))
    with pytest.raises(DTypeError, match=r"FromFunctions expects real measurements, got torch.complex64"):
        A.adjoint(torch.ones(1, 1, 2, 2, dtype=torch.complex64))


def _to_complex(y):
    return y.to(y.dtype.to_complex())
