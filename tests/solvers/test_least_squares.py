"""Least squares against dense algebra: every argument changes the answer, for every solver."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.contracts.solver_cases import matrix_map
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.tree import norm
from wellposed.solvers import CG, LSMR, LSQR, SOLVERS, Status, least_squares, solve

BATCH = 3


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def with_spectrum(rows, columns, singular_values, dtype=torch.float64, seed=0):
    """Matrices of known singular values, all different from their transposes."""
    left = torch.linalg.qr(random(BATCH, rows, rows, dtype=dtype, seed=seed)).Q
    right = torch.linalg.qr(random(BATCH, columns, columns, dtype=dtype, seed=seed + 1)).Q
    rank = len(singular_values)
    return left[:, :, :rank] @ torch.diag(torch.tensor(singular_values, dtype=dtype)) @ right[:, :, :rank].mH


MATRICES = {
    "square": with_spectrum(6, 6, [3.0, 2.5, 2.0, 1.5, 1.2, 1.0]),
    "tall": with_spectrum(9, 5, [3.0, 2.5, 2.0, 1.5, 1.0]),
    "wide": with_spectrum(4, 7, [3.0, 2.0, 1.5, 1.0]),
    "rank-deficient": with_spectrum(6, 6, [3.0, 2.0, 1.0]),
    "rank-deficient tall": with_spectrum(8, 5, [2.0, 1.5, 1.0]),
    "complex": with_spectrum(6, 6, [3.0, 2.5, 2.0, 1.5, 1.2, 1.0], dtype=torch.complex128),
    "complex wide": with_spectrum(4, 7, [3.0, 2.0, 1.5, 1.0], dtype=torch.complex128),
    "complex rank-deficient": with_spectrum(7, 6, [3.0, 2.0, 1.0], dtype=torch.complex128),
}

each_solver = pytest.mark.parametrize("name", SOLVERS)
each_matrix = pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)


def fit(matrix, y, name, *, tolerance=1e-12, max_steps=100, **arguments):
    solver = SOLVERS[name](tolerance=tolerance, max_steps=max_steps)
    return least_squares(matrix_map(matrix), matrix_map(matrix.mH), y, solver=solver, **arguments)


def damped(matrix, y, gamma, z=None):
    """The closed form (A^H A + 1 / gamma)^-1 (A^H y + z / gamma)."""
    columns = matrix.shape[-1]
    weight = 1 / torch.as_tensor(gamma, dtype=torch.float64).expand(BATCH)[:, None]
    normal = matrix.mH @ matrix + weight[..., None] * torch.eye(columns)
    right = matrix_map(matrix.mH)(y) + (0 if z is None else weight * z)
    return torch.linalg.solve(normal, right)


def data_of(matrix):
    return random(BATCH, matrix.shape[1], dtype=matrix.dtype, seed=5)


def image_of(matrix, seed=6):
    return random(BATCH, matrix.shape[2], dtype=matrix.dtype, seed=seed)


@each_solver
@each_matrix
@pytest.mark.parametrize("gamma", [0.1, 5.0, torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)])
@pytest.mark.parametrize("with_z", [False, True])
def test_damped_equals_the_closed_form(name, matrix, gamma, with_z):
    """Rows L1 and L2: also where image and data have the same shape, gamma, z and the final adjoint count."""
    y, z = data_of(matrix), image_of(matrix) if with_z else None
    assert_close(fit(matrix, y, name, gamma=gamma, z=z).value, damped(matrix, y, gamma, z), rtol=1e-9, atol=1e-10)


@each_solver
@each_matrix
def test_undamped_is_the_pseudo_inverse(name, matrix):
    """Row L2: the minimiser of least norm."""
    y = data_of(matrix)
    assert_close(fit(matrix, y, name).value, matrix_map(torch.linalg.pinv(matrix))(y), rtol=1e-8, atol=1e-9)


@each_solver
@each_matrix
@pytest.mark.parametrize("argument", ["z", "x0"])
def test_undamped_is_nearest_to_its_start(name, matrix, argument):
    y, z = data_of(matrix), image_of(matrix)
    expected = z + matrix_map(torch.linalg.pinv(matrix))(y - matrix_map(matrix)(z))
    assert_close(fit(matrix, y, name, **{argument: z}).value, expected, rtol=1e-8, atol=1e-9)


@each_solver
@pytest.mark.parametrize("kind", ["rank-deficient", "wide"])
def test_undamped_zero_data_leave_what_the_operator_cannot_see(name, kind):
    """In the same batch as data that are not zero."""
    matrix = MATRICES[kind]
    y, z = data_of(matrix), image_of(matrix)
    y[1] = 0
    expected = z + matrix_map(torch.linalg.pinv(matrix))(y - matrix_map(matrix)(z))
    solution = fit(matrix, y, name, z=z)
    assert expected[1].norm() > 0.1
    assert_close(solution.value, expected, rtol=1e-8, atol=1e-9)


@each_solver
@each_matrix
@pytest.mark.parametrize("gamma", [None, 2.0])
def test_a_start_changes_the_steps_and_not_the_answer(name, matrix, gamma):
    """Row L8: x0 is used. Without gamma the start must lie in the range of the adjoint, as the answer does."""
    y = data_of(matrix)
    exact = damped(matrix, y, gamma) if gamma else matrix_map(torch.linalg.pinv(matrix))(y)
    elsewhere = matrix_map(matrix.mH)(random(BATCH, matrix.shape[1], dtype=matrix.dtype, seed=9))
    cold = fit(matrix, y, name, gamma=gamma, tolerance=1e-9)
    there = fit(matrix, y, name, gamma=gamma, tolerance=1e-9, x0=exact)
    far = fit(matrix, y, name, gamma=gamma, tolerance=1e-9, x0=elsewhere)
    assert cold.stats["steps"] > 0
    assert there.stats["steps"] == 0
    assert torch.equal(there.value, exact)
    for solution in (cold, far):
        assert_close(solution.value, exact, rtol=1e-6, atol=1e-7)


@each_solver
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_a_batch_equals_its_items(name, gamma):
    """Row L4: with one zero measurement among them."""
    matrix, y = MATRICES["tall"], data_of(MATRICES["tall"])
    y[1] = 0
    together = fit(matrix, y, name, gamma=gamma).value
    alone = [fit(matrix[i : i + 1], y[i : i + 1], name, gamma=gamma).value for i in range(BATCH)]
    assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-12)
    assert together[1].eq(0).all()


@each_solver
@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_the_scale_of_the_data_is_free(name, scale, gamma):
    """Row L6, in float32 and with z."""
    matrix = MATRICES["rank-deficient tall"].float()
    y, z = data_of(matrix), image_of(matrix)
    plain = fit(matrix, y, name, z=z, gamma=gamma, tolerance=1e-5)
    scaled = fit(matrix, scale * y, name, z=scale * z, gamma=gamma, tolerance=1e-5)
    assert abs(plain.stats["steps"] - scaled.stats["steps"]) <= 1
    assert_close(scaled.value / scale, plain.value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["LSQR", "LSMR", "CG"])
def test_a_tuple_converges_like_the_stacked_tensor(name):
    """Row L5: the norm of a tuple is Euclidean. A 20 x 20 system of condition number 1.118, cut in two."""
    singular_values = torch.linspace(1, 1.118, 20, dtype=torch.float64).tolist()
    matrix = with_spectrum(20, 20, singular_values)
    y = random(BATCH, 20, seed=3)
    whole = fit(matrix, y, name, tolerance=1e-10)
    parts = least_squares(
        lambda x: (matrix_map(matrix[:, :13])(x), matrix_map(matrix[:, 13:])(x)),
        lambda pair: matrix_map(matrix[:, :13].mH)(pair[0]) + matrix_map(matrix[:, 13:].mH)(pair[1]),
        (y[:, :13], y[:, 13:]),
        solver=SOLVERS[name](tolerance=1e-10),
    )
    assert parts.stats["steps"] == whole.stats["steps"] < 15
    exact = torch.linalg.solve(matrix, y)
    assert (norm(parts.value - exact) <= 1e-9 * norm(exact)).all()


@pytest.mark.parametrize("name", ["CG", "LSQR"])
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_images_may_be_tuples_too(name, gamma):
    matrix = MATRICES["tall"]
    y, z = data_of(matrix), image_of(matrix)
    adjoint = matrix_map(matrix.mH)
    solution = least_squares(
        lambda x: matrix_map(matrix)(torch.cat(x, dim=1)),
        lambda v: (adjoint(v)[:, :2], adjoint(v)[:, 2:]),
        y,
        z=(z[:, :2], z[:, 2:]),
        gamma=gamma,
        solver=SOLVERS[name](tolerance=1e-12),
    )
    expected = fit(matrix, y, name, z=z, gamma=gamma).value
    assert_close(torch.cat(solution.value, dim=1), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["CG", "MINRES", "BiCGStab", "GMRES"])
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_the_gram_takes_the_place_of_forward_and_adjoint(name, gamma):
    """Row L8: one adjoint for the right-hand side, and none after it."""
    matrix, calls = MATRICES["square"], []
    y = data_of(matrix)

    def adjoint(v):
        calls.append("adjoint")
        return matrix_map(matrix.mH)(v)

    def refuse(x):
        raise AssertionError

    solver = SOLVERS[name](tolerance=1e-12)
    gram = matrix_map(matrix.mH @ matrix)
    solution = least_squares(refuse, adjoint, y, gamma=gamma, gram=gram, solver=solver, differentiate="none")
    assert calls == ["adjoint"]
    assert_close(solution.value, fit(matrix, y, name, gamma=gamma).value, rtol=1e-9, atol=1e-10)


@each_solver
def test_float32_reaches_its_tolerance(name):
    matrix = MATRICES["tall"].float()
    y, z = data_of(matrix), image_of(matrix)
    solution = fit(matrix, y, name, gamma=0.7, z=z, tolerance=1e-6)
    assert solution.value.dtype == torch.float32
    assert_close(solution.value, damped(matrix.double(), y.double(), 0.7, z.double()).float(), rtol=1e-5, atol=1e-5)


@each_solver
def test_stopping_early_is_reported(name):
    solution = fit(MATRICES["tall"], data_of(MATRICES["tall"]), name, gamma=3.0, max_steps=2, throw=False)
    assert solution.status is Status.max_steps
    assert solution.stats["steps"] == 2


@each_solver
def test_inputs_are_left_alone(name):
    matrix = MATRICES["square"]
    given = [data_of(matrix), image_of(matrix), image_of(matrix, seed=8)]
    before = [tensor.clone() for tensor in given]
    fit(matrix, given[0], name, z=given[1], x0=given[2], gamma=0.5)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan"), torch.tensor([1.0, 0.0, 1.0])])
def test_a_gamma_that_is_not_positive_is_refused(gamma):
    with pytest.raises(ArgumentError, match="positive gamma"):
        fit(MATRICES["square"], data_of(MATRICES["square"]), "CG", gamma=gamma)


def test_two_starts_without_gamma_are_refused():
    matrix = MATRICES["square"]
    with pytest.raises(ArgumentError, match="give least_squares z or x0, not both"):
        fit(matrix, data_of(matrix), "CG", z=image_of(matrix), x0=image_of(matrix))


@pytest.mark.parametrize("solver", [LSQR(), LSMR()])
def test_solve_gives_the_least_squares_solution_of_least_norm(solver):
    matrix = MATRICES["rank-deficient tall"]
    y = data_of(matrix)
    value = solve(matrix_map(matrix), y, solver, adjoint=matrix_map(matrix.mH)).value
    assert_close(value, matrix_map(torch.linalg.pinv(matrix))(y), rtol=1e-5, atol=1e-5)
    with pytest.raises(UnsupportedError, match="pass adjoint"):
        solve(matrix_map(matrix), y, solver)
    with pytest.raises(UnsupportedError, match="no preconditioner"):
        solve(matrix_map(matrix), y, solver, adjoint=matrix_map(matrix.mH), preconditioner=lambda x: x)


def test_data_outside_the_range_are_fitted_by_zero():
    """The adjoint of such data is nothing but rounding, which must not be taken for data."""
    matrix = MATRICES["tall"]
    y = data_of(matrix)
    outside = y - matrix_map(matrix @ torch.linalg.pinv(matrix))(y)
    for name in ("LSQR", "LSMR"):
        solution = fit(matrix, outside, name)
        assert solution.status is Status.converged
        assert solution.value.abs().max() < 1e-13


def test_cg_is_the_default():
    matrix = MATRICES["square"]
    y = data_of(matrix)
    default = least_squares(matrix_map(matrix), matrix_map(matrix.mH), y).value
    assert torch.equal(default, least_squares(matrix_map(matrix), matrix_map(matrix.mH), y, solver=CG()).value)
