"""The primal-dual method against closed forms of total variation and its duality gap."""

import pytest
import torch

from wellposed.core.errors import SolverError
from wellposed.operators import Blur, Identity, Mask
from wellposed.optim import LeastSquares, PrimalDual, RegularisedProblem, Term, TotalVariation
from wellposed.solvers import Status, run

EXACT = PrimalDual(tolerance=1e-10, max_steps=20_000)


def solve(y, operator, weight, method=EXACT, x0=None, **options):
    start = operator.adjoint(y) if x0 is None else x0
    problem = RegularisedProblem(LeastSquares(operator, y), Term(TotalVariation(tuple(start.shape[1:])), weight))
    return run(method, problem, method.init(problem, start), **options)


def two_halves(low, high, columns=3, rows=2):
    """Images (1, C, rows, 2 columns) with one value per channel on each half."""
    low, high = (torch.tensor(value, dtype=torch.float64).view(1, -1, 1, 1) for value in (low, high))
    return torch.cat([low.expand(-1, -1, rows, columns), high.expand(-1, -1, rows, columns)], dim=3)


def weights(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("weight", [0.06, 0.3])
@pytest.mark.parametrize("columns", [2, 5])
def test_denoising_a_step_moves_both_halves_by_weight_over_width(weight, columns):
    y = two_halves([0.0], [1.0], columns)
    x = solve(y, Identity(), weights(weight)).value
    torch.testing.assert_close(x, two_halves([weight / columns], [1 - weight / columns], columns), atol=1e-6, rtol=0)


def test_channels_share_an_edge():
    """A step (3, 4) of length 5 shrinks along its own direction."""
    y = two_halves([0.0, 0.0], [3.0, 4.0])
    x = solve(y, Identity(), weights(0.6)).value
    torch.testing.assert_close(x, two_halves([0.12, 0.16], [2.88, 3.84]), atol=1e-5, rtol=0)


def test_a_large_weight_gives_the_mean():
    y = two_halves([0.0], [1.0])
    torch.testing.assert_close(solve(y, Identity(), weights(10.0)).value, torch.full_like(y, 0.5), atol=1e-5, rtol=0)


def test_the_operator_counts():
    """With A = 2 I the data weigh four times as much, and the image is y / 2."""
    y = two_halves([0.0], [2.0])
    x = solve(y, (2 * Identity()).to(torch.float64), weights(0.6)).value
    torch.testing.assert_close(x, two_halves([0.05], [0.95]), atol=1e-6, rtol=0)


def test_missing_pixels_take_the_value_of_their_region():
    x_true = two_halves([0.2], [0.9])
    mask = torch.ones_like(x_true)
    mask[..., 0, 1] = mask[..., 1, 4] = 0
    x = solve(mask * x_true, Mask(mask), weights(1e-4)).value
    torch.testing.assert_close(x, x_true, atol=1e-3, rtol=0)


@pytest.mark.parametrize("step_ratio", [0.5, 1.0, 1.7])
def test_the_duality_gap_closes_whatever_the_steps(step_ratio):
    """For denoising, 1/2 ||x - y||^2 + w TV(x) >= 1/2 ||y||^2 - 1/2 ||y - D^* u||^2 with equality at the solution."""
    y = torch.rand(2, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = weights(0.1, 0.3)
    method = PrimalDual(tolerance=None, max_steps=5000, step_ratio=step_ratio)
    solution = solve(y, Identity(), weight, method)
    prior = TotalVariation((2, 6, 7))
    primal = (solution.value - y).square().flatten(1).sum(1) / 2 + weight * prior.value(solution.value)
    back = prior.operator.adjoint(solution.state.dual[0])
    dual = (y.square() - (y - back).square()).flatten(1).sum(1) / 2
    assert solution.status is Status.completed
    assert (primal - dual >= -1e-12).all()
    assert (primal - dual <= 1e-3 * primal).all()


def test_a_batch_equals_its_items():
    y = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y[1] = 0
    weight = weights(0.02, 0.1, 0.4)
    method = PrimalDual(tolerance=1e-6, max_steps=3000)
    kernel = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together = solve(y, Blur(kernel, (1, 5, 5), padding="circular"), weight, method).value
    for i in range(3):
        alone = solve(y[i : i + 1], Blur(kernel[i : i + 1], (1, 5, 5), padding="circular"), weight[i : i + 1], method)
        torch.testing.assert_close(together[i : i + 1], alone.value, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(scale):
    y = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    method = PrimalDual(tolerance=1e-8, max_steps=3000)
    one, other = solve(y, Identity(), weights(0.1), method), solve(scale * y, Identity(), weights(0.1 * scale), method)
    assert one.stats["steps"] == other.stats["steps"]
    torch.testing.assert_close(other.value / scale, one.value, atol=1e-12, rtol=1e-9)


def test_resuming_equals_going_on():
    y = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    problem = RegularisedProblem(LeastSquares(Identity(), y), Term(TotalVariation((1, 6, 6)), weights(0.1)))
    whole, half = PrimalDual(tolerance=None, max_steps=20), PrimalDual(tolerance=None, max_steps=10)
    first = run(half, problem, half.init(problem, y))
    torch.testing.assert_close(
        run(half, problem, first.state).value, run(whole, problem, whole.init(problem, y)).value, atol=0, rtol=0
    )


def test_too_few_steps_are_told():
    y = two_halves([0.0], [1.0])
    with pytest.raises(SolverError, match="max_steps"):
        solve(y, Identity(), weights(0.3), PrimalDual(tolerance=1e-10, max_steps=3))
    assert solve(y, Identity(), weights(0.3), PrimalDual(tolerance=None, max_steps=3)).status is Status.completed


def test_the_objective_falls_to_its_least_value():
    y = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    problem = RegularisedProblem(LeastSquares(Identity(), y), Term(TotalVariation((1, 6, 6)), weights(0.2)))
    method = PrimalDual(tolerance=None, max_steps=2000)
    solution = run(method, problem, method.init(problem, y), record={"objective": lambda s: problem.value(s.x)})
    assert solution.stats["history"]["objective"].shape == (2000, 1)
    for seed in range(5):
        nudge = 1e-2 * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert problem.value(solution.value + nudge) > problem.value(solution.value)


def test_complex_images():
    """Multiplying the data by i multiplies the answer by i."""
    y = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    method = PrimalDual(tolerance=1e-8, max_steps=3000)
    real = solve(y, Identity(), weights(0.1), method).value
    torch.testing.assert_close(solve(1j * y, Identity(), weights(0.1), method).value, 1j * real, atol=1e-9, rtol=0)
