"""Second-order total generalised variation: closed forms, symmetries and a duality gap."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed import optim
from wellposed.core.errors import ArgumentError
from wellposed.core.tree import inner
from wellposed.operators import FiniteDifferences, Identity
from wellposed.optim import LeastSquares, PrimalDual, RegularisedProblem, Term, TotalGeneralisedVariation
from wellposed.optim._joint_fields import Bending, ImagePart, SlopeMisfit
from wellposed.solvers import run

SHAPE = (1, 5, 6)
EXACT = PrimalDual(tolerance=1e-6, max_steps=400)


def affine(rows=5, columns=6):
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (2.0 * x - 0.5 * y + 3).double()[None, None]


@pytest.mark.parametrize("operator", [ImagePart(SHAPE), SlopeMisfit(SHAPE), Bending((2, 3, 4)), Bending((1, 3, 2, 4))])
def test_operators_on_joint_images_are_exact_pairs_of_known_norm(operator):
    operator = operator.double()
    matrix = operator.to_matrix()[0]
    back = operator.H.to_matrix()[0]
    torch.testing.assert_close(back, matrix.T)
    largest = torch.linalg.matrix_norm(matrix, ord=2)
    torch.testing.assert_close(operator.norm()[0], largest, rtol=1e-3, atol=0)


def test_ramps_cost_nothing_and_steps_cost_as_in_total_variation():
    prior = TotalGeneralisedVariation(SHAPE, method=EXACT)
    assert prior.value(affine()).item() < 1e-3
    step = torch.zeros(1, *SHAPE, dtype=torch.float64)
    step[..., 3:] = 2
    tv = optim.TotalVariation(SHAPE).value(step)
    torch.testing.assert_close(tv, torch.tensor([10.0], dtype=torch.float64))
    assert prior.value(step).item() <= tv.item() * (1 + 1e-3)
    assert TotalGeneralisedVariation(SHAPE, 0.1, EXACT).value(step).item() < 0.8 * tv.item()


def test_a_kink_costs_its_bend():
    """|i - 3| along rows: the slope jumps by two at one column, in five rows of which no Bending is lost."""
    x = (torch.arange(7).double() - 3).abs().expand(1, 1, 4, 7)
    for bending in (0.1, 0.4):
        value = TotalGeneralisedVariation((1, 4, 7), bending, EXACT).value(x)
        torch.testing.assert_close(value, torch.tensor([4 * 2 * bending]).double(), rtol=1e-3, atol=0)


def test_it_is_a_seminorm_of_each_image_below_total_variation():
    prior, x, z = (
        TotalGeneralisedVariation(SHAPE, method=EXACT),
        random_tensor(2, *SHAPE),
        random_tensor(2, *SHAPE, seed=1),
    )
    value = prior.value(x)
    torch.testing.assert_close(prior.value(-3e6 * x), 3e6 * value, rtol=1e-5, atol=0)
    torch.testing.assert_close(prior.value(x + affine()), value, rtol=1e-2, atol=0)
    assert (prior.value(x + z) <= (value + prior.value(z)) * 1.01).all()
    torch.testing.assert_close(prior.value(x[1:]), value[1:], rtol=1e-6, atol=0)
    assert (value <= optim.TotalVariation(SHAPE).value(x) * 1.01).all()


@pytest.mark.parametrize("bending", [1.0, 2.0])
def test_prox_closes_the_duality_gap(bending):
    """The bound 1/2 ||z||^2 - 1/2 ||z - D^T E^T q||^2 for |q| <= gamma beta and |E^T q| <= gamma is attained."""
    prior = TotalGeneralisedVariation((2, 5, 6), bending, EXACT)
    z, gamma = random_tensor(2, 2, 5, 6), torch.tensor([0.1, 0.4], dtype=torch.float64)
    problem = RegularisedProblem(LeastSquares(prior.image_part, z), *prior.terms(gamma))
    solution = run(EXACT, problem, EXACT.init(problem, prior.start(z)), throw=False)
    bends = solution.state.dual[1]
    slopes = Bending((2, 5, 6)).double().adjoint(bends)[:, 1:]
    longest = slopes.square().sum((1, 2)).sqrt().flatten(1).amax(1)
    shrink = (gamma / longest).clamp(max=1).view(2, 1, 1, 1)
    back = shrink * FiniteDifferences((2, 5, 6)).double().adjoint(slopes)
    dual = (inner(z, z) - inner(z - back, z - back)) / 2
    primal = problem.value(solution.value)
    assert (primal >= dual - 1e-9).all()
    torch.testing.assert_close(primal, dual, rtol=1e-2, atol=0)
    torch.testing.assert_close(prior.prox(z, gamma), prior.image(solution.value), rtol=0, atol=1e-9)


def test_prox_keeps_ramps_and_scales_with_its_arguments():
    prior = TotalGeneralisedVariation(SHAPE, method=EXACT)
    torch.testing.assert_close(prior.prox(affine(), 0.7), affine(), rtol=0, atol=1e-4)
    z = random_tensor(2, *SHAPE)
    torch.testing.assert_close(prior.prox(1e6 * z, 0.2e6) / 1e6, prior.prox(z, 0.2), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(prior.prox(z, 0.2), prior.prox(z, 0.3), atol=1e-3)


def test_the_joint_problem_has_the_solution_of_the_nested_one():
    """1/2 ||2 x - y||^2 + 1/20 ||x||^2 + w g is 4.1 times what the prox of w / 4.1 minimises, a constant apart."""
    y, weight = random_tensor(2, *SHAPE), torch.tensor([0.05, 0.2], dtype=torch.float64)
    prior = TotalGeneralisedVariation(SHAPE, method=EXACT)
    data = LeastSquares(2 * Identity(SHAPE).double(), y)
    joint = prior.joint(RegularisedProblem(data, Term(optim.SquaredNorm(), 0.1), Term(prior, weight)))
    x = prior.image(run(EXACT, joint, EXACT.init(joint, prior.start(y)), throw=False).value)
    torch.testing.assert_close(x, prior.prox(2 * y / 4.1, weight / 4.1), rtol=0, atol=1e-3)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ArgumentError, match="positive bending"):
        TotalGeneralisedVariation(SHAPE, bending=0.0)
    with pytest.raises(ArgumentError, match="one of its terms, got 0"):
        TotalGeneralisedVariation(SHAPE).joint(RegularisedProblem(None, Term(optim.L1Norm())))
