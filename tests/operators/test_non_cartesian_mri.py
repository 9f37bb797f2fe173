"""Non-Cartesian MRI: each coil by the transform of what it sees."""

import finufft
import pytest
import torch

from tests.operators.test_nufft import direct_sum, points
from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, ShapeError
from wellposed.operators import NonCartesianMRI


@pytest.mark.parametrize("sets", [1, 2])
def test_equals_the_direct_sum_of_what_each_coil_sees(sets):
    maps = random_tensor(1, sets, 3, 5, 6, seed=2, dtype=torch.complex128)
    k, x = points(1, 20, 2), random_tensor(2, sets, 5, 6, dtype=torch.complex128)
    A = NonCartesianMRI(k, (sets, 5, 6), maps if sets > 1 else maps[:, 0])
    torch.testing.assert_close(A(x), direct_sum((maps * x.unsqueeze(2)).sum(1), k), rtol=1e-9, atol=1e-9)


def test_prox_of_many_coils_is_the_solution_of_the_normal_equations():
    maps = random_tensor(3, 5, 4, seed=2, dtype=torch.complex128)
    A = NonCartesianMRI(points(1, 15, 2), (1, 5, 4), maps)
    y, z = random_tensor(1, 3, 15, dtype=torch.complex128), random_tensor(1, 1, 5, 4, seed=4, dtype=torch.complex128)
    matrix = A.to_matrix()[0]
    system = 0.8 * matrix.mH @ matrix + torch.eye(20)
    expected = torch.linalg.solve(system, 0.8 * matrix.mH @ y.flatten() + z.flatten())
    torch.testing.assert_close(A.prox(z, y, 0.8).flatten(), expected, rtol=1e-4, atol=1e-4)


def test_all_coils_and_images_go_through_in_one_call(monkeypatch):
    calls = []
    execute = finufft.Plan.execute
    monkeypatch.setattr(finufft.Plan, "execute", lambda plan, data: calls.append(data.shape) or execute(plan, data))
    maps, x = random_tensor(4, 5, 6, seed=2, dtype=torch.complex128), random_tensor(3, 1, 5, 6, dtype=torch.complex128)
    A = NonCartesianMRI(points(1, 20, 2), (1, 5, 6), maps)
    A.adjoint(A(x))
    assert calls == [(12, 5, 6), (12, 20)]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gram_of_many_coils_by_toeplitz_embedding_is_the_adjoint_of_the_forward(dimensions):
    size = (6, 5, 4)[:dimensions]
    maps = random_tensor(3, *size, seed=2, dtype=torch.complex64)
    A = NonCartesianMRI(points(1, 30, dimensions, dtype=torch.float32), (1, *size), maps)
    x = random_tensor(2, 1, *size, dtype=torch.complex64)
    expected = A.adjoint(A(x))
    assert (A.gram(x) - expected).norm() < 1e-5 * expected.norm()


def test_real_images_and_maps_are_refused():
    A = NonCartesianMRI(torch.zeros(1, 9, 2), (1, 5, 4), torch.ones(3, 5, 4) + 0j)
    with pytest.raises(DTypeError, match=r"NonCartesianMRI expects complex images, got torch.float32: convert"):
        A(torch.ones(1, 1, 5, 4))
    with pytest.raises(DTypeError, match=r"NonCartesianMRI expects complex coil_maps, got torch.float32"):
        NonCartesianMRI(torch.zeros(1, 9, 2), (1, 5, 4), torch.ones(3, 5, 4))
    with pytest.raises(ShapeError, match=r"measurements of shape \(B, 3, 9\), got \(1, 2, 9\)"):
        A.adjoint(torch.ones(1, 2, 9) + 0j)


def test_maps_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"NonCartesianMRI expects coil_maps .*got \(3, 5, 5\)"):
        NonCartesianMRI(torch.zeros(1, 9, 2), (1, 5, 4), torch.ones(3, 5, 5) + 0j)
