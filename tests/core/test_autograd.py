"""The bridge: code that autograd cannot see, differentiated to any order and in both modes."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.support.forward_mode import uses_forward_mode
from tests.support.tensors import random_tensor
from wellposed.core.autograd import differentiable_linear

pytestmark = uses_forward_mode
MATRICES = {
    "real": random_tensor(3, 4, seed=8).numpy(),
    "complex": random_tensor(3, 4, seed=8, dtype=torch.complex128).numpy(),
}
every_matrix = pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)


def bridged(matrix):
    """Return x -> matrix x, computed by NumPy."""

    def forward(x):
        return torch.from_numpy(x.numpy() @ matrix.T)

    def adjoint(y):
        return torch.from_numpy(y.numpy() @ matrix.conj())

    return lambda x: differentiable_linear(forward, adjoint, x)


def point(matrix, batch=2, seed=0):
    return random_tensor(batch, 4, seed=seed, dtype=torch.from_numpy(matrix).dtype)


@every_matrix
def test_value(matrix):
    x = point(matrix)
    torch.testing.assert_close(bridged(matrix)(x), x @ torch.from_numpy(matrix).mT)


@every_matrix
def test_first_and_second_derivatives(matrix):
    function, x = bridged(matrix), point(matrix).requires_grad_()
    assert gradcheck(function, (x,), check_forward_ad=True)
    assert gradgradcheck(lambda x: function(x).abs().pow(4).sum(), (x,))


@every_matrix
def test_third_derivative(matrix):
    function, x = bridged(matrix), point(matrix, batch=1).requires_grad_()

    def slope(x):
        return torch.autograd.grad(function(x).abs().pow(4).sum(), x, create_graph=True)[0]

    def curvature(x):
        return torch.autograd.grad(slope(x).abs().square().sum(), x, create_graph=True)[0]

    assert gradcheck(curvature, (x,))


@every_matrix
def test_pull_back_is_the_adjoint_and_push_forward_the_map(matrix):
    function, x, tangent = bridged(matrix), point(matrix), point(matrix, seed=1)
    value, pushed = torch.func.jvp(function, (x,), (tangent,))
    torch.testing.assert_close(value, function(x))
    torch.testing.assert_close(pushed, function(tangent))
    y = torch.ones_like(value)
    torch.testing.assert_close(torch.func.vjp(function, x)[1](y)[0], y @ torch.from_numpy(matrix.conj()))


def test_jacobians_are_the_matrix():
    matrix = MATRICES["real"]
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        found = jacobian(bridged(matrix))(point(matrix, batch=1))
        torch.testing.assert_close(found[0, :, 0], torch.from_numpy(matrix))


def test_hessian_of_a_quadratic_is_the_gram():
    matrix = MATRICES["real"]
    hessian = torch.func.hessian(lambda x: bridged(matrix)(x).square().sum() / 2)(point(matrix, batch=1))
    torch.testing.assert_close(hessian[0, :, 0], torch.from_numpy(matrix.T @ matrix))


@every_matrix
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_vmap_over_any_axis(matrix, axis):
    function, points = bridged(matrix), torch.stack([point(matrix, seed=seed) for seed in range(3)])
    mapped = torch.func.vmap(function, in_dims=axis)(points.movedim(0, axis))
    torch.testing.assert_close(mapped, torch.stack([function(x) for x in points]))


def test_vmap_and_grad_nest():
    matrix = MATRICES["real"]
    points = torch.stack([point(matrix, seed=seed) for seed in range(3)])
    energy = torch.func.grad(lambda x: bridged(matrix)(x).square().sum() / 2)
    expected = points @ torch.from_numpy(matrix.T @ matrix)
    torch.testing.assert_close(torch.func.vmap(energy)(points), expected)
    twice = torch.func.vmap(torch.func.vmap(energy))(torch.stack([points, 2 * points]))
    torch.testing.assert_close(twice, torch.stack([expected, 2 * expected]))


def test_the_code_behind_the_map_sees_plain_tensors_with_a_batch():
    seen = []

    def spy(x):
        seen.append((type(x), tuple(x.shape)))
        return 2 * x

    x = torch.ones(5, 2, 3, requires_grad=True)
    torch.func.vmap(lambda part: differentiable_linear(spy, spy, part))(x).sum().backward()
    assert set(seen) == {(torch.Tensor, (2, 3))}
    assert np.array_equal(x.grad.numpy(), np.full((5, 2, 3), 2))
