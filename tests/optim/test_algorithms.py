"""Every algorithm against closed forms, dense algebra, and one another on the same convex problem."""

import pytest
import torch

from tests.support.tensors import flat, random_tensor
from wellposed import optim
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import Blur, Mask, Stack, Wavelets
from wellposed.optim import RegularisedProblem, Term
from wellposed.solvers import CG, Status, run

SHAPE = (1, 4, 5)
KERNEL = torch.tensor([[[[0.1, 0.7, 0.2]]]], dtype=torch.float64)
A = Blur(KERNEL, SHAPE, padding="circular")
Y = random_tensor(3, *SHAPE)
WEIGHTS = torch.tensor([0.02, 0.1, 0.4], dtype=torch.float64)
W = Wavelets(SHAPE, "db2", 1).to(torch.float64)

METHODS = {
    "PrimalDual": optim.PrimalDual(tolerance=1e-10, max_steps=20_000),
    "ADMM": optim.ADMM(tolerance=1e-10, max_steps=5000, solver=CG(tolerance=1e-13, max_steps=100)),
    "DouglasRachford": optim.DouglasRachford(tolerance=1e-11, max_steps=5000, gamma=3.0, relaxation=1.3),
    "FISTA": optim.ProximalGradient(tolerance=1e-11, max_steps=5000),
    "FISTA without restart": optim.ProximalGradient(tolerance=1e-9, max_steps=5000, restart=False),
    "FISTA, backtracking": optim.ProximalGradient(tolerance=1e-11, max_steps=5000, backtracking=True),
    "ISTA": optim.ProximalGradient(tolerance=1e-11, max_steps=5000, accelerated=False, step_ratio=1.8),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def solve(method, problem, x0=None, **options):
    return run(method, problem, method.init(problem, torch.zeros_like(Y) if x0 is None else x0), **options)


def sparse(y=Y, weight=WEIGHTS, operator=A):
    return RegularisedProblem(optim.LeastSquares(operator, y), Term(optim.L1Norm(), weight))


def assert_optimal(problem, x, tolerance):
    """The conditions of the l1 problem: the slope is -w sign(x) where x is not zero, and within w where it is."""
    slope, (term,) = problem.data.gradient(x), problem.terms
    weight = term.weights(x).view(-1, 1, 1, 1).expand_as(x)
    on = x.abs() > 10 * tolerance
    assert (slope + weight * x.sign())[on].abs().max() < tolerance
    assert (slope.abs() - weight)[~on].max() < tolerance


@every_method
def test_sparse_deconvolution_meets_its_optimality_conditions(method):
    """O6: with a weight for each image, which counts; from zero and from elsewhere."""
    problem = sparse()
    for x0 in (None, 3 * random_tensor(3, *SHAPE, seed=4)):
        solution = solve(method, problem, x0)
        assert solution.status is Status.converged
        assert_optimal(problem, solution.value, 1e-6)


@every_method
def test_a_batch_equals_its_items(method):
    """O8: step sizes, restarts and stopping are each image's own."""
    y = Y.clone()
    y[1] = 0
    together = solve(method, sparse(y)).value
    for i in (0, 1, 2):
        alone = solve(method, sparse(y[i : i + 1], WEIGHTS[i : i + 1]), torch.zeros(1, *SHAPE, dtype=Y.dtype)).value
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-11)


@every_method
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(method, scale):
    one, other = solve(method, sparse()), solve(method, sparse(scale * Y, scale * WEIGHTS))
    torch.testing.assert_close(other.value / scale, one.value, rtol=1e-6, atol=1e-7)


@every_method
def test_resuming_equals_going_on(method):
    problem = sparse()
    first = solve(method, problem, callback=lambda step, _: step == 4)
    second = run(method, problem, first.state, callback=lambda step, _: step == 5)
    whole = solve(method, problem, callback=lambda step, _: step == 9)
    assert torch.equal(second.value, whole.value)


def test_several_terms_with_operators():
    """The two agree with each other on a sum of four parts, and beat every neighbour."""
    problem = RegularisedProblem(
        optim.LeastSquares(A, Y),
        Term(optim.TotalVariation(SHAPE), WEIGHTS / 4),
        Term(optim.Composite(optim.L1Norm(), W), 0.05),
        Term(optim.SquaredNorm(), 0.1),
    )
    reference = solve(optim.PrimalDual(tolerance=1e-7, max_steps=3000), problem).value
    system = CG(tolerance=1e-9, max_steps=60)
    x = solve(optim.ADMM(tolerance=1e-7, max_steps=400, penalty=1.0, solver=system), problem, throw=False).value
    torch.testing.assert_close(x, reference, rtol=0, atol=1e-5)
    for seed in range(10):
        assert (problem.value(x + 1e-3 * random_tensor(3, *SHAPE, seed=seed)) > problem.value(x)).all()


def test_without_a_smooth_part_the_constraint_is_met():
    """Least total variation within a distance r of y: Chambolle and Pock's method, the data known by their prox."""
    data = optim.Composite(optim.BallIndicator(Y, 0.8), Mask(torch.ones(1, 1, 4, 5, dtype=torch.float64)))
    problem = RegularisedProblem(data, Term(optim.TotalVariation(SHAPE)))
    x = solve(METHODS["PrimalDual"], problem, throw=False).value
    distance = (x - Y).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance, torch.full((3,), 0.8, dtype=torch.float64), atol=1e-5, rtol=0)
    prior = problem.terms[0].prior
    for seed in range(10):
        other = problem.data.functional.prox(x + 0.1 * random_tensor(3, *SHAPE, seed=seed), 1.0)
        assert (prior.value(other) >= prior.value(x) - 1e-5).all()


@pytest.mark.parametrize("name", ["FISTA", "FISTA, backtracking", "ISTA", "PrimalDual"])
def test_smooth_problems_are_dense_algebra(name):
    """Tikhonov: (A^H A + w I) x = A^H y; gradient descent, as nothing is left for a proximal step."""
    problem = RegularisedProblem(optim.LeastSquares(A, Y), Term(optim.SquaredNorm(), WEIGHTS))
    matrix = A.to_matrix()
    system = matrix.mT @ matrix + WEIGHTS.view(3, 1, 1) * torch.eye(20)
    expected = torch.linalg.solve(system, (flat(Y) @ matrix[0])[..., None])[..., 0]
    torch.testing.assert_close(flat(solve(METHODS[name], problem).value), expected, rtol=0, atol=1e-7)


def test_backtracking_finds_steps_for_functions_without_a_lipschitz_constant():
    y = random_tensor(2, *SHAPE).abs() + 0.1
    operator = Mask(random_tensor(1, 1, 4, 5, seed=3).abs() + 0.5)
    data = optim.Composite(optim.PoissonLikelihood(y, gain=0.1), operator)
    problem = RegularisedProblem(data)
    with pytest.raises(ArgumentError, match="backtracking=True"):
        optim.ProximalGradient().init(problem, torch.ones_like(y))
    method = optim.ProximalGradient(tolerance=1e-11, max_steps=5000, backtracking=True)
    torch.testing.assert_close(solve(method, problem, y / operator.mask).value, y / operator.mask)
    found = solve(method, problem, 2 * torch.ones_like(y), throw=False).value
    torch.testing.assert_close(found, y / operator.mask, rtol=1e-4, atol=1e-4)


def counts():
    generator = torch.Generator().manual_seed(3)
    matrix = torch.rand(1, 1, 4, 5, generator=generator, dtype=torch.float64) + 0.2
    kernel = torch.tensor([[[[0.2, 0.7, 0.1]]]], dtype=torch.float64)
    operator = Mask(matrix) @ Blur(kernel, SHAPE, padding="circular")
    return operator, operator(torch.rand(2, *SHAPE, generator=generator, dtype=torch.float64) + 0.5)


def test_mlem_raises_the_likelihood_to_its_maximum():
    operator, y = counts()
    y = y * torch.linspace(0.8, 1.2, 20, dtype=torch.float64).view(1, 1, 4, 5)
    data = optim.Composite(optim.PoissonLikelihood(y, background=0.1), operator)
    problem = RegularisedProblem(data)
    solution = solve(
        optim.MLEM(max_steps=400), problem, torch.ones_like(y), record={"value": lambda s: problem.value(s.x)}
    )
    values = solution.stats["history"]["value"]
    assert (values.diff(dim=0) <= 1e-12).all()
    slope = data.gradient(solution.value)
    assert (solution.value * slope).abs().max() < 1e-3
    assert slope.min() > -1e-3


def test_one_subset_is_no_subset_and_a_prior_counts_at_the_same_point():
    """O7."""
    operator, y = counts()
    prior = Term(optim.SquaredNorm(), 0.3)
    plain = RegularisedProblem(optim.Composite(optim.PoissonLikelihood(y, gain=0.5), operator), prior)
    distance = optim.StackedDistance((optim.PoissonLikelihood(y, gain=0.5),))
    stacked = RegularisedProblem(optim.Composite(distance, Stack((operator,))), prior)
    method, start = optim.MLEM(max_steps=7), torch.ones_like(y)
    torch.testing.assert_close(
        solve(method, plain, start).value, solve(method, stacked, start).value, rtol=1e-14, atol=0
    )
    by_hand = start * operator.adjoint(y / operator(start)) / (operator.adjoint(torch.ones_like(y)) + 0.5 * 0.3 * start)
    torch.testing.assert_close(solve(optim.MLEM(max_steps=1), plain, start).value, by_hand)


def test_subsets_are_passed_in_turn():
    operator, y = counts()
    double = 2 * operator
    data = optim.Composite(
        optim.StackedDistance((optim.PoissonLikelihood(y), optim.PoissonLikelihood(3 * y))), Stack((operator, double))
    )
    x = torch.ones_like(y)
    for part, counted in ((operator, y), (double, 3 * y)):
        x = x * part.adjoint(counted / part(x)) / part.adjoint(torch.ones_like(y))
    got = solve(optim.MLEM(max_steps=1), RegularisedProblem(data), torch.ones_like(y)).value
    torch.testing.assert_close(got, x)


def test_sirt_steps_by_hand_and_its_weighted_limit():
    """O9: two problems in turn, and each has its own weights."""
    operator, y = counts()
    for A_ in (operator, 3 * operator):
        problem = RegularisedProblem(optim.LeastSquares(A_, y))
        matrix = A_.to_matrix()[0]
        rows, columns = 1 / matrix.sum(1), 1 / matrix.sum(0)
        expected = torch.zeros(2, 20, dtype=torch.float64)
        for _ in range(3):
            expected = expected + 1.5 * columns * ((rows * (flat(y) - expected @ matrix.T)) @ matrix)
        got = solve(optim.SIRT(max_steps=3, relaxation=1.5), problem, torch.zeros_like(y)).value
        torch.testing.assert_close(flat(got), expected)
    negative = RegularisedProblem(optim.LeastSquares(operator, -y))
    assert solve(optim.SIRT(max_steps=5, nonnegative=True), negative, torch.zeros_like(y)).value.abs().max() == 0


def test_rules_that_stop():
    """`&` waits for both, `|` for the first; each image by itself."""
    problem = sparse()
    method = optim.ProximalGradient(tolerance=None, max_steps=400)

    def steps(rule):
        seen = []
        solution = solve(method, problem, stop=rule, callback=lambda _, state: seen.append(state.active))
        assert solution.status is Status.converged
        return torch.stack(seen).sum(0)

    change, objective = optim.RelativeChange(1e-6), optim.ObjectiveChange(problem, 1e-4)
    one, other = steps(change), steps(objective)
    assert (one != other).any()
    assert torch.equal(steps(change | objective), torch.minimum(one, other))
    assert (steps(change & objective) >= torch.maximum(one, other)).all()
    start = problem.data.operator(torch.zeros_like(Y)) - Y
    radius = 0.5 * start.flatten(1).norm(dim=1)
    found = solve(method, problem, stop=optim.Discrepancy(problem.data, radius)).value
    assert ((A(found) - Y).flatten(1).norm(dim=1) <= radius).all()


def test_guarantees_say_why():
    convex, learned = sparse(), RegularisedProblem(optim.LeastSquares(A, Y), Term(optim.RED(lambda x, _: x / 2, 0.1)))
    for name, method in METHODS.items():
        proven = method.provably_convergent(convex)
        assert bool(proven) == (name not in ("FISTA", "FISTA, backtracking"))
        assert proven.reason.endswith(".")
        assert not method.provably_convergent(learned)


def test_red_and_scores_by_dense_algebra():
    """With a linear denoiser x / 2 the RED gradient is x / 2, and that of the score x / (2 sigma^2)."""
    matrix = A.to_matrix()[0]
    for prior, pull in ((optim.RED(lambda x, _: x / 2, 0.1), 0.5), (optim.Score(lambda x, _: x / 2, 0.5), 2.0)):
        problem = RegularisedProblem(optim.LeastSquares(A, Y), Term(prior, 0.3))
        expected = torch.linalg.solve(
            matrix.T @ matrix + 0.3 * pull * torch.eye(20, dtype=Y.dtype), (flat(Y) @ matrix).T
        ).T
        torch.testing.assert_close(flat(solve(METHODS["FISTA"], problem).value), expected, rtol=0, atol=1e-8)


def test_gradient_step_is_the_exact_gradient_of_its_potential():
    prior = optim.GradientStep(lambda x, sigma: torch.sin(x) * sigma.view(-1, 1, 1, 1), torch.tensor([0.1, 0.5, 2.0]))
    x = Y.clone()
    level = prior.sigma.double().view(-1, 1, 1, 1)
    expected = (1 - level * x.cos()) * (x - level * x.sin())
    torch.testing.assert_close(prior.gradient(x), expected)
    torch.testing.assert_close(prior.gradient_step(x), x - expected)
    assert not x.requires_grad


def test_a_denoiser_stands_for_a_proximal_step():
    """Of w / 2 ||x||^2, whatever the method: plug-and-play meets Tikhonov."""
    gamma, weight = 1.0, 0.4
    prior = optim.DenoiserProx(lambda x, _: x / (1 + gamma * weight), 0.1)
    problem = RegularisedProblem(optim.LeastSquares(A, Y), Term(prior))
    matrix = A.to_matrix()[0]
    expected = torch.linalg.solve(matrix.T @ matrix + weight * torch.eye(20, dtype=Y.dtype), (flat(Y) @ matrix).T).T
    x = solve(optim.DouglasRachford(gamma=gamma, tolerance=1e-11, max_steps=2000), problem).value
    torch.testing.assert_close(flat(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: optim.PrimalDual(step_ratio=0.0), ArgumentError, "positive step_ratio"),
        (lambda: optim.ProximalGradient(step_ratio=1.5), ArgumentError, "at most 1 with momentum"),
        (lambda: optim.ADMM(penalty=-1.0), ArgumentError, "positive penalty"),
        (lambda: optim.DouglasRachford(relaxation=2.0), ArgumentError, "relaxation between 0 and 2"),
        (lambda: optim.SIRT(relaxation=0.0), ArgumentError, "relaxation between 0 and 2"),
        (lambda: Term(optim.L1Norm(), -1.0), ArgumentError, "weight of at least zero"),
        (lambda: Term(0.3), ArgumentError, "expects a prior"),
        (lambda: RegularisedProblem(None, optim.L1Norm()), ArgumentError, "expects terms"),
        (lambda: solve(optim.SIRT(), sparse()), UnsupportedError, "least squares alone"),
        (lambda: solve(optim.MLEM(), sparse(), torch.ones_like(Y)), UnsupportedError, "photon counts"),
        (lambda: solve(optim.MLEM(), sparse()), ArgumentError, "positive image"),
        (
            lambda: solve(METHODS["FISTA"], RegularisedProblem(None, Term(optim.L1Norm()), Term(optim.GroupNorm()))),
            UnsupportedError,
            "one part without a gradient",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
