"""Half the squared misfit against dense algebra and autograd."""

import dataclasses

import pytest
import torch

from tests.support.tensors import flat, random_image, random_measurement, random_tensor, times
from wellposed.core.tree import tree_leaves
from wellposed.operators import Blur, CartesianMRI, Downsample, Mask, Stack
from wellposed.optim import LeastSquares

OPERATORS = {
    "closed form": Downsample(2, (1, 4, 6)).double(),
    "iterated": Blur(random_tensor(1, 1, 3, 3), (1, 5, 6)),
    "complex": CartesianMRI(random_tensor(1, 1, 4, 5), (1, 4, 5)),
    "per image": Mask(random_tensor(3, 1, 4, 5)),
    "tuple": Stack((Mask(random_tensor(1, 1, 4, 6)), Downsample(2, (1, 4, 6)).double())),
}
every_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS)


@every_operator
def test_value_of_each_image(A):
    y, x = random_measurement(A, 3), random_image(A, 3, seed=2)
    expected = (times(A.to_matrix(), flat(x)) - flat(y)).abs().square().sum(1) / 2
    value = LeastSquares(A, y).value(x)
    assert value.shape == (3,)
    torch.testing.assert_close(value, expected)


@every_operator
def test_gradient_is_that_of_autograd_and_of_the_matrix(A):
    y, x = random_measurement(A, 3), random_image(A, 3, seed=2).requires_grad_()
    f = LeastSquares(A, y)
    gradient = f.gradient(x.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(f.value(x).sum(), x)[0])
    matrix = A.to_matrix()
    expected = times(matrix.mH, times(matrix, flat(x.detach())) - flat(y))
    torch.testing.assert_close(flat(gradient), expected)


@every_operator
def test_gradient_is_zero_at_the_pseudo_inverse_only(A):
    y = random_measurement(A, 3)
    f, best = LeastSquares(A, y), A.pinv(y)
    assert f.gradient(best).abs().max() < 1e-3 * f.backprojection.abs().max()
    assert (f.value(best) <= f.value(best + 0.1 * random_image(A, 3, seed=5))).all()


@every_operator
def test_backprojection_is_the_adjoint_of_the_measurements(A):
    y = random_measurement(A, 3)
    torch.testing.assert_close(flat(LeastSquares(A, y).backprojection), times(A.to_matrix().mH, flat(y)))


@every_operator
def test_prox_solves_the_dense_system(A):
    """L1: with a weight per image."""
    y, z = random_measurement(A, 3), random_image(A, 3, seed=2)
    gamma, matrix = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64), A.to_matrix()
    system = gamma.view(3, 1, 1) * (matrix.mH @ matrix) + torch.eye(matrix.shape[-1])
    right = gamma.view(3, 1) * times(matrix.mH, flat(y)) + flat(z)
    got = LeastSquares(A, y).prox(z, gamma)
    torch.testing.assert_close(flat(got), torch.linalg.solve(system, right), rtol=1e-4, atol=1e-4)


@every_operator
def test_lipschitz_constant_is_the_squared_norm_and_never_less(A):
    squared = torch.linalg.matrix_norm(A.to_matrix(), ord=2).square()
    found = LeastSquares(A, random_measurement(A)).lipschitz()
    slack = 1e-12 if A.has_closed_form("norm") else 5e-3
    assert (found >= squared * (1 - 1e-12)).all()
    assert (found <= squared * (1 + slack)).all()


def test_the_measurements_are_shared_and_never_written():
    A = OPERATORS["iterated"]
    y, x = random_measurement(A), random_image(A)
    before = [leaf.clone() for leaf in (*tree_leaves(y), *tree_leaves(x))]
    f = LeastSquares(A, y)
    f.value(x), f.gradient(x), f.prox(x, 1.0), f.lipschitz()
    assert all(torch.equal(a, b) for a, b in zip((*tree_leaves(y), *tree_leaves(x)), before, strict=True))
    assert f.y is y
    with pytest.raises(dataclasses.FrozenInstanceError):
        f.y = x
