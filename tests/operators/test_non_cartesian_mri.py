"""Non-Cartesian MRI: each coil by the transform of what it sees."""

import pytest
import torch

from tests.operators.test_nufft import direct_sum, points
from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
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


def test_maps_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"NonCartesianMRI expects coil_maps .*got \(3, 5, 5\)"):
        NonCartesianMRI(torch.zeros(1, 9, 2), (1, 5, 4), torch.ones(3, 5, 5) + 0j)
