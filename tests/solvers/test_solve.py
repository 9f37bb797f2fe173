"""What `solve` refuses, what each method does at its limits, and preconditioning."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.contracts.solver_cases import general, indefinite, matrix_map, positive, spectrum_matrix
from wellposed.core.errors import DTypeError, ShapeError, SolverError, UnknownNameError
from wellposed.solvers import CG, GMRES, LSQR, MINRES, BiCGStab, LinearSystem, Status, run, solve

DTYPE = torch.float64


def rhs(size=12, batch=3, dtype=DTYPE, seed=0):
    return torch.randn(batch, size, dtype=dtype, generator=torch.Generator().manual_seed(seed))


class Tagged:
    def __init__(self, matrix, *tags):
        self.matrix, self.tags, self.calls = matrix, frozenset(tags), 0

    def __call__(self, x):
        self.calls += 1
        return matrix_map(self.matrix)(x)


@pytest.mark.parametrize("solver", [CG(), MINRES()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_an_operator_that_is_not_self_adjoint_is_refused(solver, dtype):
    matrix, b = general(dtype, 3), rhs(dtype=dtype)
    with pytest.raises(SolverError, match=r"not self-adjoint.*BiCGStab, GMRES or least_squares"):
        solve(matrix_map(matrix), b, solver)
    solution = solve(matrix_map(matrix), b, solver, throw=False)
    assert solution.status is Status.not_self_adjoint
    assert solution.stats["steps"] == 0


def test_the_refusal_is_per_image():
    matrix = positive(DTYPE, 3)
    matrix[1, 0, 1] += 1e-3
    solution = solve(matrix_map(matrix), rhs(), CG(), throw=False)
    assert solution.stats["statuses"] == (Status.converged, Status.not_self_adjoint, Status.converged)


def test_a_complex_symmetric_operator_is_not_self_adjoint():
    matrix = positive(DTYPE, 3) * (1 + 1j)
    with pytest.raises(SolverError, match="not self-adjoint"):
        solve(matrix_map(matrix), rhs(dtype=torch.complex128), CG())


def test_the_tag_is_trusted_and_saves_the_two_probes():
    tagged, untagged = Tagged(positive(DTYPE, 3), "self_adjoint"), Tagged(positive(DTYPE, 3), "linear")
    steps = [solve(operator, rhs(), CG()).stats["steps"] for operator in (tagged, untagged)]
    assert steps[0] == steps[1] == tagged.calls == untagged.calls - 2


@pytest.mark.parametrize("solver", [CG(), MINRES(), BiCGStab(), GMRES()])
def test_an_operator_that_is_not_square_is_refused(solver):
    with pytest.raises(ShapeError, match=r"square operator.*\(3, 12\) to \(3, 7\).*least_squares"):
        solve(lambda x: x[:, :7], rhs(), solver)


@pytest.mark.parametrize("solver", [CG(), GMRES()])
def test_a_start_of_another_shape_is_refused(solver):
    with pytest.raises(ShapeError, match="x0 must have the shape of b"):
        solve(lambda x: x, rhs(), solver, x0=rhs(5))


def test_integers_and_unknown_ways_to_differentiate_are_refused():
    with pytest.raises(DTypeError, match="floating-point"):
        solve(lambda x: x, torch.ones(1, 3, dtype=torch.int64))
    with pytest.raises(UnknownNameError, match="did you mean 'implicit'"):
        solve(lambda x: x, rhs(), differentiate="implict")


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
def test_cg_meets_negative_curvature(dtype):
    matrix, b = indefinite(dtype, 3), rhs(dtype=dtype)
    with pytest.raises(SolverError, match=r"not positive definite.*MINRES"):
        solve(matrix_map(matrix), b, CG())
    solution = solve(torch.neg, b, CG(), throw=False)
    assert solution.status is Status.not_positive
    assert solution.value.eq(0).all()


def test_cg_answers_one_image_beside_one_that_it_cannot():
    matrix = torch.cat([positive(DTYPE, 2), indefinite(DTYPE, 1)])
    b = rhs()
    solution = solve(matrix_map(matrix), b, CG(tolerance=1e-10), throw=False)
    assert solution.stats["statuses"] == (Status.converged, Status.converged, Status.not_positive)
    assert_close(solution.value[:2], torch.linalg.solve(matrix, b)[:2], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("solver", [CG(tolerance=1e-10), MINRES(tolerance=1e-10)])
def test_a_singular_system_with_a_solution_gets_the_one_of_least_norm(solver):
    matrix = spectrum_matrix(torch.tensor([0.0, 0, 0, 1, 2, 3, 4, 5]).double(), DTYPE, 0)
    b = matrix_map(matrix)(rhs(8))
    assert_close(solve(matrix_map(matrix), b, solver).value, b @ torch.linalg.pinv(matrix), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(
    "spectrum", [[0.0, 0, 0, 1, 2, 3, 4, 5], [0.0, 0, -2, -1, 1, 2, 3, 7], [0.0] * 8, [0.0] * 7 + [3]]
)
@pytest.mark.parametrize("start", [False, True])
def test_minres_finds_the_least_squares_solution_nearest_to_the_start(dtype, spectrum, start):
    """Singular and inconsistent: without the lifting the null-space part of x would stay."""
    real = dtype.to_real()
    matrix = spectrum_matrix(torch.tensor(spectrum, dtype=real), dtype, 0)
    b, x0 = rhs(8, dtype=dtype), rhs(8, dtype=dtype, seed=1) if start else None
    origin = torch.zeros_like(b) if x0 is None else x0
    pinv = torch.linalg.pinv(matrix, hermitian=True, rtol=1e-4)
    expected = origin + matrix_map(pinv)(b - matrix_map(matrix)(origin))
    solution = solve(matrix_map(matrix), b, MINRES(tolerance=1e-5), x0=x0)
    assert solution.status is Status.converged
    assert_close(solution.value, expected, rtol=1e-8, atol=1e-8)
    assert (solution.stats["residual"] > 0.1).all()


@pytest.mark.parametrize("seed", range(6))
def test_minres_never_gives_a_wrong_answer_silently_in_single_precision(seed):
    """Singular and inconsistent: where rounding hides the end of the Krylov space it says so."""
    matrix = spectrum_matrix(torch.tensor([0.0, 0, -2, -1, 1, 2, 3, 7]), torch.float32, seed)
    b = rhs(8, batch=20, dtype=torch.float32, seed=seed)
    solution = solve(matrix_map(matrix), b, MINRES(tolerance=1e-5, max_steps=40), throw=False)
    expected = matrix_map(torch.linalg.pinv(matrix, rtol=1e-4))(b)
    error = (solution.value - expected).norm(dim=1) / expected.norm(dim=1)
    assert (error[solution.stats["converged"]] < 1e-2).all()
    assert set(solution.stats["statuses"]) <= {Status.converged, Status.stagnated, Status.max_steps}


def test_minres_does_not_take_an_ill_conditioned_system_for_a_singular_one():
    """The usual test ||A r|| <= tolerance ||A|| ||r|| would stop here with a large residual and call it converged."""
    matrix = spectrum_matrix(torch.logspace(-7, 0, 12).double(), DTYPE, 0)
    b = rhs()
    solution = solve(matrix_map(matrix), b, MINRES(tolerance=1e-6, max_steps=400))
    assert ((b - matrix_map(matrix)(solution.value)).norm(dim=1) <= 1e-5 * b.norm(dim=1)).all()


def test_an_eigenvector_is_solved_in_one_step():
    b = rhs()
    for solver in (CG(), MINRES(), BiCGStab(), GMRES()):
        solution = solve(lambda x: 3 * x, b, solver)
        assert solution.stats["steps"] == 1
        assert_close(solution.value, b / 3)


def test_gmres_solves_a_rotation_that_breaks_bicgstab():
    """<b, A b> = 0: the first step of biconjugate gradients divides by zero, and says so."""
    rotation = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=DTYPE)
    b = rhs(2)
    assert_close(solve(matrix_map(rotation), b, GMRES()).value, torch.linalg.solve(rotation.expand(3, -1, -1), b))
    with pytest.raises(SolverError, match=r"BiCGStab: The recurrence broke down.*GMRES"):
        solve(matrix_map(rotation), b, BiCGStab())


def test_gmres_says_that_a_singular_system_without_a_solution_breaks_down():
    nilpotent = torch.diag(torch.ones(3, dtype=DTYPE), 1)
    solution = solve(matrix_map(nilpotent), torch.ones(1, 4, dtype=DTYPE), GMRES(), throw=False)
    assert solution.status is Status.breakdown
    assert torch.isfinite(solution.value).all()


@pytest.mark.parametrize("restart", [3, 5, 12])
def test_gmres_restarts(restart):
    matrix, b = general(DTYPE, 3), rhs()
    solution = solve(matrix_map(matrix), b, GMRES(tolerance=1e-10, restart=restart, max_steps=400))
    assert_close(solution.value, torch.linalg.solve(matrix, b), rtol=1e-7, atol=1e-8)
    assert (solution.stats["steps"] <= 12) == (restart == 12)
    with pytest.raises(ValueError, match="restart of at least 1"):
        GMRES(restart=0)


def test_gmres_has_the_least_residual_of_the_krylov_space():
    matrix, b = general(DTYPE, 1), rhs(batch=1)
    solution = solve(matrix_map(matrix), b, GMRES(tolerance=0, max_steps=4), throw=False)
    krylov = torch.stack([torch.linalg.matrix_power(matrix[0], k) @ b[0] for k in range(4)], dim=1)
    weights = torch.linalg.lstsq(matrix[0] @ krylov, b[0][:, None]).solution
    assert_close(solution.value[0], (krylov @ weights)[:, 0], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("solver", [CG(tolerance=1e-9), MINRES(tolerance=1e-9), BiCGStab(tolerance=1e-9), GMRES(1e-9)])
@pytest.mark.parametrize("dtype", [DTYPE, torch.complex128])
def test_a_preconditioner_saves_steps_and_not_accuracy(solver, dtype):
    size = 24
    diagonal = torch.logspace(0, 4, size, dtype=DTYPE)
    noise = spectrum_matrix(torch.linspace(0.1, 0.5, size).double(), dtype, 0)
    matrix = diagonal.sqrt()[:, None] * (torch.eye(size) + noise) * diagonal.sqrt()
    b = rhs(size, dtype=dtype)
    inverse = solve(matrix_map(matrix), b, solver, preconditioner=lambda x: x / diagonal)
    plain = solve(matrix_map(matrix), b, solver, throw=False)
    exact = torch.linalg.solve(matrix.expand(3, -1, -1), b)
    assert inverse.stats["steps"] < 20
    assert inverse.stats["steps"] < plain.stats["steps"]
    assert ((inverse.value - exact).norm(dim=1) <= 1e-6 * exact.norm(dim=1)).all()
    there = solve(matrix_map(matrix), b, solver, preconditioner=lambda x: x / diagonal, x0=exact)
    assert there.stats["steps"] == 0


@pytest.mark.parametrize("solver", [CG(), MINRES()])
def test_a_preconditioner_that_is_not_positive_is_refused(solver):
    signs = torch.tensor([1.0, -1.0] * 6, dtype=DTYPE)
    with pytest.raises(SolverError, match="preconditioner is not Hermitian positive definite"):
        solve(matrix_map(positive(DTYPE, 3)), rhs(), solver, preconditioner=lambda x: signs * x)


@pytest.mark.parametrize("solver", [CG(1e-10), MINRES(1e-10), BiCGStab(1e-10), GMRES(1e-10)])
def test_tuples_are_solved_as_one_vector(solver):
    matrix, b = positive(DTYPE, 3), rhs()

    def operator(pair):
        image = matrix_map(matrix)(torch.cat([part.flatten(1) for part in pair], dim=1))
        return image[:, :4].reshape(3, 2, 2), image[:, 4:]

    solution = solve(operator, (b[:, :4].reshape(3, 2, 2), b[:, 4:]), solver)
    value = torch.cat([part.flatten(1) for part in solution.value], dim=1)
    assert_close(value, torch.linalg.solve(matrix, b), rtol=1e-8, atol=1e-9)


def test_records_and_callbacks_reach_the_methods():
    method, system = CG(tolerance=1e-8), LinearSystem(matrix_map(positive(DTYPE, 3)), rhs())
    solution = run(method, system, method.init(system), record={"residual": lambda state: state.residual_norm})
    history = solution.stats["history"]["residual"] / rhs().norm(dim=1)
    assert history.shape == (solution.stats["steps"], 3)
    assert torch.equal(history[-1], solution.stats["residual"])


def test_the_adjoint_is_asked_for():
    with pytest.raises(NotImplementedError, match="LSQR needs the adjoint"):
        solve(lambda x: x, rhs(), LSQR())
