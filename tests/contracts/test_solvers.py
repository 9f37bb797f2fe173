"""What every registered solver must do, whatever its method."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.contracts.solver_cases import CASES, make_case, right_hand_side
from wellposed.core.errors import SolverError
from wellposed.solvers import SOLVERS, Status

PAIRS = [(name, kind) for name, kinds in CASES.items() for kind in kinds]
PRECISIONS = [
    pytest.param(torch.float32, 1e-5, id="float32"),
    pytest.param(torch.float64, 1e-11, id="float64"),
    pytest.param(torch.complex64, 1e-5, id="complex64"),
    pytest.param(torch.complex128, 1e-11, id="complex128"),
]

each_pair = pytest.mark.parametrize(("name", "kind"), PAIRS)
each_precision = pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
each_solver = pytest.mark.parametrize("name", SOLVERS)


def relative(difference, reference):
    return difference.norm(dim=1) / reference.norm(dim=1)


def first_case(name, dtype=torch.float64, batch=3):
    return make_case(name, CASES[name][0], dtype, batch)


def test_every_solver_has_cases():
    """A solver that is registered without a system to solve would escape this battery."""
    assert set(SOLVERS) == set(CASES)
    assert all(CASES.values())


@each_pair
@each_precision
def test_the_answer_is_that_of_dense_algebra(name, kind, dtype, tolerance):
    case, b = make_case(name, kind, dtype), right_hand_side(dtype)
    solution = case.solve(b, tolerance=tolerance)
    assert solution.status is Status.converged
    assert solution.value.dtype == dtype
    assert (relative(solution.value - case.exact(b), case.exact(b)) <= 100 * tolerance).all()


@each_pair
@each_precision
def test_the_residual_is_below_the_tolerance_and_reported(name, kind, dtype, tolerance):
    """The true residual, not the one of the recurrence; least-squares methods bound that of the normal equations."""
    case, b = make_case(name, kind, dtype), right_hand_side(dtype)
    solution = case.solve(b, tolerance=tolerance)
    residual = b - (case.matrix @ solution.value[..., None])[..., 0]
    true = relative(residual, b)
    if case.solver.needs_adjoint:
        normal = [(case.matrix.mH @ part[..., None])[..., 0] for part in (residual, b)]
        assert (torch.minimum(true, relative(*normal)) <= 1.5 * tolerance).all()
    else:
        assert (true <= 1.5 * tolerance).all()
    assert_close(solution.stats["residual"], true, rtol=0.3, atol=0.3 * tolerance)


@each_pair
def test_a_batch_equals_its_items(name, kind):
    """Row L4: a zero right-hand side, an easy and a hard image do not see each other."""
    case, b = make_case(name, kind, torch.float64, batch=4), right_hand_side(torch.float64, batch=4)
    b[1] = 0
    b[2] = case.matrix[2, 0] * 1e3
    together = case.solve(b, tolerance=1e-9)
    steps = [case.image(i).solve(b[i : i + 1], tolerance=1e-9).stats["steps"] for i in range(4)]
    alone = torch.cat([case.image(i).solve(b[i : i + 1], tolerance=1e-9).value for i in range(4)])
    assert_close(together.value, alone, rtol=1e-12, atol=1e-12 * alone.abs().max().item())
    assert together.stats["steps"] == max(steps)
    assert steps[1] == 0
    assert together.value[1].eq(0).all()
    assert together.value[0].norm() > 0.1


@each_pair
@pytest.mark.parametrize("scale", [1e-6, 1e6])
@each_precision
def test_the_scale_of_the_data_is_free(name, kind, scale, dtype, tolerance):
    """Row L6: no absolute term anywhere, so the same steps are taken and the answer is multiplied."""
    case, b = make_case(name, kind, dtype), right_hand_side(dtype)
    plain, scaled = case.solve(b, tolerance=tolerance), case.solve(scale * b, tolerance=tolerance)
    assert abs(scaled.stats["steps"] - plain.stats["steps"]) <= 1
    assert (relative(scaled.value / scale - plain.value, plain.value) <= 20 * tolerance).all()


@each_pair
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_operator_is_free(name, kind, scale):
    case, b = make_case(name, kind, torch.float64), right_hand_side(torch.float64)
    plain = case.solve(b, tolerance=1e-9)
    scaled = type(case)(case.solver, scale * case.matrix).solve(b, tolerance=1e-9)
    assert abs(scaled.stats["steps"] - plain.stats["steps"]) <= 1
    assert (relative(scaled.value * scale - plain.value, plain.value) <= 1e-7).all()


@each_pair
def test_a_warm_start_saves_steps_and_not_accuracy(name, kind):
    case, b = make_case(name, kind, torch.float64), right_hand_side(torch.float64)
    exact = case.exact(b)
    cold = case.solve(b, tolerance=1e-6)
    near = case.solve(b, tolerance=1e-6, x0=exact + 1e-5 * right_hand_side(torch.float64, seed=1))
    there = case.solve(b, tolerance=1e-6, x0=exact)
    far = case.solve(b, tolerance=1e-6, x0=right_hand_side(torch.float64, seed=2))
    assert near.stats["steps"] < cold.stats["steps"]
    assert there.stats["steps"] == 0
    assert torch.equal(there.value, exact)
    for solution in (cold, near, far):
        assert (relative(solution.value - exact, exact) <= 1e-4).all()


@each_solver
def test_a_zero_right_hand_side_is_solved_at_once_from_any_start(name):
    case, b = first_case(name), torch.zeros(3, 12, dtype=torch.float64)
    solution = case.solve(b, tolerance=1e-9, x0=right_hand_side(torch.float64))
    assert solution.status is Status.converged
    assert solution.stats["steps"] == 0
    assert solution.value.eq(0).all()


@each_solver
def test_inputs_and_the_global_generator_are_left_alone(name):
    case, b, x0 = first_case(name), right_hand_side(torch.float64), right_hand_side(torch.float64, seed=1)
    copies, seed = (b.clone(), x0.clone(), case.matrix.clone()), torch.get_rng_state()
    case.solve(b, tolerance=1e-9, x0=x0)
    assert all(torch.equal(now, before) for now, before in zip((b, x0, case.matrix), copies, strict=True))
    assert torch.equal(torch.get_rng_state(), seed)


@each_solver
@pytest.mark.parametrize("check_every", [1, 2, 5])
def test_max_steps_is_honoured_exactly_and_raises(name, check_every):
    case, b = first_case(name), right_hand_side(torch.float64)
    with pytest.raises(SolverError, match=rf"{name}: Stopped at max_steps.*image 0, 1, 2 of a batch of 3"):
        case.solve(b, tolerance=1e-12, max_steps=3, check_every=check_every)
    solution = case.solve(b, tolerance=1e-12, max_steps=3, check_every=check_every, throw=False)
    assert solution.status is Status.max_steps
    assert solution.stats["steps"] == 3
    assert solution.stats["statuses"] == (Status.max_steps,) * 3
    assert not solution.stats["converged"].any()
    assert (solution.stats["residual"] > 1e-12).all()


@each_solver
def test_no_steps_return_the_start(name):
    case, x0 = first_case(name), right_hand_side(torch.float64, seed=1)
    solution = case.solve(right_hand_side(torch.float64), tolerance=1e-9, max_steps=0, x0=x0, throw=False)
    assert torch.equal(solution.value, x0)
    assert solution.status is Status.max_steps


@each_solver
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_nan_stays_in_its_image_and_is_reported(name, poison):
    case, b = first_case(name), right_hand_side(torch.float64)
    clean = case.solve(b, tolerance=1e-9)
    b[1, 4] = poison
    solution = case.solve(b, tolerance=1e-9, throw=False)
    assert solution.status is Status.not_finite
    assert solution.stats["statuses"] == (Status.converged, Status.not_finite, Status.converged)
    assert_close(solution.value[[0, 2]], clean.value[[0, 2]], rtol=1e-10, atol=1e-12)
    with pytest.raises(SolverError, match="image 1 of a batch of 3"):
        case.solve(b, tolerance=1e-9)


@each_solver
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(name):
    case, b = first_case(name), right_hand_side(torch.float64)
    whole = case.run(b, tolerance=1e-10, max_steps=100)
    first = case.run(b, tolerance=1e-10, max_steps=4, throw=False)
    second = case.run(b, tolerance=1e-10, max_steps=100, state=first.state)
    assert first.status is Status.max_steps
    assert first.stats["steps"] + second.stats["steps"] == whole.stats["steps"]
    assert torch.equal(second.value, whole.value)


@each_pair
def test_looking_less_often_changes_nothing(name, kind):
    case, b = make_case(name, kind, torch.float64), right_hand_side(torch.float64)
    each, fifth = (case.solve(b, tolerance=1e-9, check_every=every) for every in (1, 5))
    assert torch.equal(each.value, fifth.value)
    assert each.stats["steps"] <= fifth.stats["steps"] <= each.stats["steps"] + 4
    assert fifth.stats["steps"] % 5 == 0


@each_solver
@pytest.mark.parametrize("settings", [{"tolerance": -1.0}, {"tolerance": float("nan")}, {"max_steps": -1}])
def test_senseless_hyperparameters_are_refused(name, settings):
    with pytest.raises(ValueError, match="at least 0"):
        SOLVERS[name](**settings)
