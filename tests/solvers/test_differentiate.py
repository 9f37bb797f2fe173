"""Gradients through solves, against those of dense algebra: first and second order, seen and unseen tensors."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from tests.contracts.solver_cases import matrix_map
from wellposed.core.errors import UnsupportedError
from wellposed.solvers import CG, GMRES, LSQR, MINRES, SOLVERS, BiCGStab, least_squares, solve

SIZE = 4
BATCH = 2
SQUARE = {name: SOLVERS[name](tolerance=1e-13) for name in ("CG", "MINRES", "BiCGStab", "GMRES")}
each_square = pytest.mark.parametrize("solver", SQUARE.values(), ids=SQUARE)
each_solver = pytest.mark.parametrize("name", SOLVERS)


def random(*shape, seed=0, dtype=torch.float64, requires_grad=True):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_(requires_grad)


def hermitian(theta):
    """A positive definite matrix that depends on theta in no simple way."""
    factor = torch.sin(theta)
    return factor @ factor.mH + 2 * torch.eye(theta.shape[-1], dtype=theta.dtype)


def invertible(theta):
    return torch.sin(theta) + 4 * torch.eye(theta.shape[-1], dtype=theta.dtype)


def matrix_for(solver, theta):
    return hermitian(theta) if solver.needs_self_adjoint else invertible(theta)


@each_square
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("differentiate", ["implicit", "unrolled"])
def test_gradients_are_those_of_dense_algebra(solver, dtype, differentiate):
    """Row L7: theta -> matrix -> solve, theta being hidden in the operator's closure."""
    theta, b = random(SIZE, SIZE, dtype=dtype), random(BATCH, SIZE, seed=1, dtype=dtype)

    def solved(theta, b):
        return solve(matrix_map(matrix_for(solver, theta)), b, solver, differentiate=differentiate).value

    def dense(theta, b):
        return torch.linalg.solve(matrix_for(solver, theta), b.mT).mT

    weight = random(BATCH, SIZE, seed=2, dtype=dtype, requires_grad=False)
    for function in (solved, dense):
        value = (function(theta, b) * weight).sum()
        (value.real + 2 * value.imag if dtype.is_complex else value).backward()
        gradients = theta.grad, b.grad
        theta.grad = b.grad = None
        if function is solved:
            ours = gradients
    assert_close(ours, gradients, rtol=1e-9, atol=1e-10)
    assert gradients[0].norm() > 0.01


@each_square
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_first_and_second_derivatives(solver, dtype):
    theta, b = random(3, 3, dtype=dtype), random(1, 3, seed=1, dtype=dtype)

    def solved(theta, b):
        return solve(matrix_map(matrix_for(solver, theta)), b, solver).value

    assert gradcheck(solved, (theta, b))
    assert gradgradcheck(solved, (theta, b))


@each_square
def test_only_the_parameter_or_only_the_data(solver):
    theta, b = random(3, 3), random(1, 3, seed=1)
    assert gradgradcheck(lambda t: solve(matrix_map(matrix_for(solver, t)), b.detach(), solver).value, (theta,))
    fixed = matrix_for(solver, theta.detach())
    assert gradgradcheck(lambda v: solve(matrix_map(fixed), v, solver).value, (b,))


def test_a_module_is_trained_through_the_solve():
    """Row L7: an nn.Parameter inside the operator gets its gradient."""
    layer = torch.nn.Linear(SIZE, SIZE, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight += 3 * torch.eye(SIZE)
    b = random(BATCH, SIZE, requires_grad=False)
    solve(layer, b, GMRES(tolerance=1e-13)).value.square().sum().backward()
    weight = layer.weight.detach().clone().requires_grad_()
    torch.linalg.solve(weight, b.mT).square().sum().backward()
    assert_close(layer.weight.grad, weight.grad, rtol=1e-9, atol=1e-10)


class Counted:
    def __init__(self, matrix, tags=()):
        self.matrix, self.tags, self.calls = matrix, frozenset(tags), 0

    def __call__(self, x):
        self.calls += 1
        return matrix_map(self.matrix)(x)


@pytest.mark.parametrize("solver", [CG(tolerance=1e-10), MINRES(tolerance=1e-10)])
def test_a_backward_pass_is_one_solve(solver):
    theta, b = random(SIZE, SIZE), random(BATCH, SIZE, seed=1)
    operator = Counted(hermitian(theta), {"self_adjoint"})
    solution = solve(operator, b, solver)
    assert operator.calls == solution.stats["steps"] + 2
    gradient = random(BATCH, SIZE, seed=2, requires_grad=False)
    steps = solve(Counted(hermitian(theta).detach(), {"self_adjoint"}), gradient, solver).stats["steps"]
    operator.calls = 0
    solution.value.backward(gradient)
    assert operator.calls == steps


@pytest.mark.parametrize("solver", [BiCGStab(tolerance=1e-10), GMRES(tolerance=1e-10)])
def test_the_adjoint_that_is_given_is_the_one_used(solver):
    theta, b = random(SIZE, SIZE), random(BATCH, SIZE, seed=1)
    operator, adjoint = Counted(invertible(theta)), Counted(invertible(theta).mH.detach())
    solution = solve(operator, b, solver, adjoint=adjoint)
    assert adjoint.calls == 0
    operator.calls = 0
    solution.value.sum().backward()
    assert adjoint.calls > 0
    assert operator.calls == 0


@pytest.mark.parametrize("solver", [CG(), MINRES(), BiCGStab(), GMRES()])
def test_without_gradients_it_costs_what_the_solver_costs(solver):
    theta, b = random(SIZE, SIZE), random(BATCH, SIZE, seed=1)
    calls = []
    for differentiate, matrix, right in (
        ("none", matrix_for(solver, theta), b),
        ("implicit", matrix_for(solver, theta).detach(), b.detach()),
    ):
        operator = Counted(matrix, {"self_adjoint"})
        solution = solve(operator, right, solver, differentiate=differentiate)
        assert not solution.value.requires_grad
        calls.append(operator.calls)
    with torch.no_grad():
        operator = Counted(matrix_for(solver, theta), {"self_adjoint"})
        assert not solve(operator, b, solver).value.requires_grad
        calls.append(operator.calls)
    assert calls[0] == calls[1] == calls[2]


def test_the_parameter_keeps_its_gradient_where_the_data_are_zero():
    theta = random(SIZE, SIZE)
    solve(matrix_map(hermitian(theta)), torch.zeros(1, SIZE, dtype=torch.float64)).value.sum().backward()
    assert theta.grad.eq(0).all()


def test_the_value_is_the_same_whichever_way():
    theta, b = random(SIZE, SIZE), random(BATCH, SIZE, seed=1)
    values = [
        solve(matrix_map(hermitian(theta)), b, differentiate=way).value for way in ("implicit", "unrolled", "none")
    ]
    assert torch.equal(values[0], values[2])
    assert_close(values[1], values[2], rtol=1e-12, atol=1e-13)
    assert [value.requires_grad for value in values] == [True, True, False]


@each_square
def test_a_preconditioner_changes_no_gradient(solver):
    theta, b = random(3, 3), random(1, 3, seed=1)
    weight = torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64)

    def solved(theta, b):
        matrix = matrix_for(solver, theta)
        return solve(matrix_map(matrix), b, solver, preconditioner=lambda x: weight * x).value

    assert gradgradcheck(solved, (theta, b))


def test_an_operator_that_autograd_cannot_see_through_asks_for_its_adjoint():
    matrix, b = invertible(random(SIZE, SIZE)).detach(), random(BATCH, SIZE, seed=1)

    def opaque(x):
        return matrix_map(matrix)(x.detach())

    value = solve(opaque, b, GMRES()).value
    with pytest.raises(UnsupportedError, match="pass adjoint"):
        value.sum().backward()
    solve(opaque, b, GMRES(tolerance=1e-12), adjoint=matrix_map(matrix.mH)).value.sum().backward()
    expected = torch.linalg.solve(matrix.mH, torch.ones(SIZE, dtype=torch.float64)).expand(BATCH, -1)
    assert_close(b.grad, expected, rtol=1e-9, atol=1e-10)


def test_tuples_have_gradients():
    theta, b = random(SIZE, SIZE), random(BATCH, SIZE, seed=1)

    def solved(theta, first, second):
        def operator(pair):
            image = matrix_map(hermitian(theta))(torch.cat(pair, dim=1))
            return image[:, :1], image[:, 1:]

        return torch.cat(solve(operator, (first, second), CG(tolerance=1e-13)).value, dim=1)

    parts = [part.detach().requires_grad_() for part in (b[:, :1], b[:, 1:])]
    assert gradcheck(solved, (theta, *parts))
    assert gradgradcheck(solved, (theta, *parts))


def fitted(name, matrix, y, *, tolerance=1e-11, **arguments):
    solver = SOLVERS[name](tolerance=tolerance)
    return least_squares(matrix_map(matrix), matrix_map(matrix.mH), y, solver=solver, **arguments).value


@each_solver
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_damped_least_squares_to_second_order(name, dtype):
    """In the hidden parameter, the data, z and a gamma for each image."""
    theta, y, z = (
        random(3, 2, dtype=dtype),
        random(BATCH, 3, seed=1, dtype=dtype),
        random(BATCH, 2, seed=2, dtype=dtype),
    )
    gamma = torch.tensor([0.5, 3.0], dtype=torch.float64, requires_grad=True)

    def function(theta, y, z, gamma):
        return fitted(name, torch.sin(theta), y, z=z, gamma=gamma)

    assert gradcheck(function, (theta, y, z, gamma))
    assert gradgradcheck(function, (theta, y, z, gamma))


@each_solver
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)], ids=["tall", "wide", "rank-deficient"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_undamped_least_squares_to_first_order(name, shape, dtype):
    """Against the gradient of `torch.linalg.pinv`, the rank being constant."""
    rows, columns = shape
    rank = 2 if rows == columns else min(shape)
    left, right = random(rows, rank, dtype=dtype), random(rank, columns, seed=1, dtype=dtype)
    y, z = random(BATCH, rows, seed=2, dtype=dtype), random(BATCH, columns, seed=3, dtype=dtype)
    weight = random(BATCH, columns, seed=4, dtype=dtype, requires_grad=False)

    def pinv(left, right, y, z):
        matrix = left @ right
        inverse = torch.linalg.pinv(left @ right, rtol=1e-10)
        return z + matrix_map(inverse)(y - matrix_map(matrix)(z))

    def ours(left, right, y, z):
        return fitted(name, left @ right, y, z=z)

    inputs = (left, right, y, z)
    got, expected = (torch.autograd.grad((function(*inputs) * weight).sum().abs(), inputs) for function in (ours, pinv))
    assert_close(got, expected, rtol=1e-6, atol=1e-7)
    assert all(gradient.norm() > 1e-3 for gradient in expected[:3])


@pytest.mark.parametrize("name", ["CG", "LSQR"])
def test_undamped_least_squares_in_the_data_to_any_order(name):
    """It is linear in y and in z."""
    matrix = random(3, 4, requires_grad=False)
    y, z = random(BATCH, 3, seed=1), random(BATCH, 4, seed=2)
    assert gradcheck(lambda y, z: fitted(name, matrix, y, z=z), (y, z))
    assert gradgradcheck(lambda y, z: fitted(name, matrix, y, z=z), (y, z))


@pytest.mark.parametrize("name", ["CG", "LSQR"])
def test_a_second_derivative_that_is_not_known_is_refused(name):
    theta, y = random(4, 3), random(BATCH, 4, seed=1)
    value = fitted(name, theta, y)
    (gradient,) = torch.autograd.grad(value.square().sum(), theta, create_graph=True)
    with pytest.raises(UnsupportedError, match="give least_squares a gamma"):
        gradient.sum().backward()
    unrolled = fitted(name, theta, y, differentiate="unrolled")
    (gradient,) = torch.autograd.grad(unrolled.square().sum(), theta, create_graph=True)
    gradient.sum().backward()
    assert torch.isfinite(theta.grad).all()


def test_the_gram_is_differentiated_where_it_is_used():
    theta, y = random(4, 3), random(BATCH, 4, seed=1)
    gradients = [
        torch.autograd.grad(fitted("CG", theta, y, gram=gram, gamma=gamma).square().sum(), theta)[0]
        for gamma in (None, 0.7)
        for gram in (None, matrix_map(theta.mH @ theta))
    ]
    assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-9)
    assert_close(gradients[2], gradients[3], rtol=1e-8, atol=1e-9)


@each_solver
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_unrolled_least_squares_agree_with_implicit_ones(name, gamma):
    theta, y = random(5, 3), random(BATCH, 5, seed=1)
    solver = SOLVERS[name](tolerance=1e-10)
    got, expected = (
        torch.autograd.grad(
            least_squares(matrix_map(theta), matrix_map(theta.mH), y, gamma=gamma, solver=solver, differentiate=way)
            .value.square()
            .sum(),
            (theta, y),
        )
        for way in ("unrolled", "implicit")
    )
    assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["CG", "LSQR"])
def test_least_squares_without_gradients_are_detached(name):
    matrix, y = random(5, 3), random(BATCH, 5, seed=1)
    assert not fitted(name, matrix, y, differentiate="none").requires_grad
    assert not fitted(name, matrix, y, differentiate="none", gamma=1.0).requires_grad
    assert not fitted(name, matrix.detach(), y.detach()).requires_grad
    assert not fitted(name, matrix.detach(), y.detach(), gamma=1.0).requires_grad


def test_solve_with_lsqr_has_the_gradient_of_the_pseudo_inverse():
    theta, y = random(5, 3), random(BATCH, 5, seed=1)
    value = solve(matrix_map(theta), y, LSQR(tolerance=1e-13), adjoint=matrix_map(theta.mH)).value
    got = torch.autograd.grad(value.square().sum(), (theta, y))
    expected = torch.autograd.grad(matrix_map(torch.linalg.pinv(theta))(y).square().sum(), (theta, y))
    assert_close(got, expected, rtol=1e-8, atol=1e-9)


torchs_own_warning = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
"""Torch itself compiles the forward derivatives of some operations with what it deprecates."""


class Tagged(Counted):
    """A map whose first application is the solver's own, so that no tangent may be lost there."""

    def __init__(self, matrix):
        super().__init__(matrix, {"self_adjoint"})


@torchs_own_warning
@each_square
@pytest.mark.parametrize("wrap", [matrix_map, Tagged], ids=["tested", "trusted"])
def test_forward_mode(solver, wrap):
    """Also over reverse mode, where the tangent meets the backward solve."""
    theta, b = (tensor.detach() for tensor in (random(3, 3), random(BATCH, 3, seed=1)))
    tangents = random(3, 3, seed=2).detach(), random(BATCH, 3, seed=3).detach()

    def ours(theta, b):
        return solve(wrap(matrix_for(solver, theta)), b, solver).value.pow(3).sum()

    def dense(theta, b):
        return torch.linalg.solve(matrix_for(solver, theta), b.mT).pow(3).sum()

    for transform in (lambda function: function, torch.func.grad):
        got, expected = (torch.func.jvp(transform(function), (theta, b), tangents)[1] for function in (ours, dense))
        assert_close(got, expected, rtol=1e-8, atol=1e-9)


@torchs_own_warning
@each_solver
def test_forward_mode_of_damped_least_squares(name):
    theta, y = random(3, 2), random(BATCH, 3, seed=1)
    assert gradcheck(
        lambda theta, y: fitted(name, theta, y, gamma=0.7), (theta, y), check_forward_ad=True, check_backward_ad=False
    )


@torchs_own_warning
@pytest.mark.parametrize("name", ["CG", "LSQR"])
def test_forward_mode_without_damping_is_refused_and_not_wrong(name):
    theta, y = random(4, 3).detach(), random(BATCH, 4, seed=1).detach()
    with pytest.raises((RuntimeError, NotImplementedError), match="forward"):
        torch.func.jvp(lambda y: fitted(name, theta, y), (y,), (y,))
    with pytest.raises((RuntimeError, NotImplementedError), match="forward"):
        torch.func.jvp(lambda theta: fitted(name, theta, y), (theta,), (theta,))
