"""Anderson acceleration of algorithms: the same answers in fewer steps."""

import pytest
import torch

from tests.support.tensors import flat, random_tensor
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import Mask
from wellposed.optim import (
    ADMM,
    DPIR,
    HQS,
    SIRT,
    Accelerated,
    L1Norm,
    LeastSquares,
    PlugAndPlay,
    PrimalDual,
    ProximalGradient,
    RegularisedProblem,
    SquaredNorm,
    Term,
    TotalVariation,
)
from wellposed.solvers import CG, run

A = Mask(0.3 + 0.7 * random_tensor(1, 1, 6, 5).abs().clamp(max=1), (1, 6, 5))
Y = random_tensor(2, 1, 6, 5, seed=1)
START = torch.zeros(2, 1, 6, 5, dtype=torch.float64)


def smooth():
    return RegularisedProblem(LeastSquares(A, Y), Term(SquaredNorm(), 0.05))


def sparse():
    return RegularisedProblem(LeastSquares(A, Y), Term(L1Norm(), 0.02))


def edges():
    return RegularisedProblem(LeastSquares(A, Y), Term(TotalVariation((1, 6, 5)), 0.1))


def spliced():
    return PlugAndPlay(LeastSquares(A, Y), lambda x, sigma: x / (1 + sigma.view(-1, 1, 1, 1)))


CASES = {
    "gradient descent": (ProximalGradient(tolerance=1e-9, max_steps=2000, accelerated=False), smooth),
    "ISTA": (ProximalGradient(tolerance=1e-9, max_steps=2000, accelerated=False), sparse),
    "PrimalDual": (PrimalDual(tolerance=1e-7, max_steps=2000), edges),
    "ADMM": (ADMM(tolerance=1e-8, max_steps=300, penalty=0.7, solver=CG(tolerance=1e-12)), sparse),
    "HQS": (HQS(gamma=20.0, sigma=0.01, tolerance=1e-9, max_steps=1000), spliced),
}


@pytest.mark.parametrize(("method", "pose"), CASES.values(), ids=CASES)
def test_the_same_answer_in_fewer_steps(method, pose):
    problem = pose()
    plain = run(method, problem, method.init(problem, START))
    mixing = Accelerated(method, memory=6)
    mixed = run(mixing, problem, mixing.init(problem, START))
    torch.testing.assert_close(mixed.value, plain.value, rtol=1e-4, atol=1e-6)
    assert mixed.stats["steps"] < 0.7 * plain.stats["steps"]


def test_the_answer_is_that_of_dense_algebra():
    method, problem = Accelerated(ProximalGradient(tolerance=1e-12, accelerated=False)), smooth()
    value = run(method, problem, method.init(problem, START)).value
    H = A.to_matrix()[0]
    exact = torch.linalg.solve(H.T @ H + 0.05 * torch.eye(30, dtype=torch.float64), H.T @ flat(Y).T).T
    torch.testing.assert_close(flat(value), exact, rtol=1e-8, atol=1e-9)


def test_a_batch_equals_its_items_and_a_run_can_be_resumed():
    method, problem = Accelerated(ProximalGradient(tolerance=1e-9, accelerated=False)), sparse()
    together = run(method, problem, method.init(problem, START))
    for i in range(2):
        one = RegularisedProblem(LeastSquares(A, Y[i : i + 1]), Term(L1Norm(), 0.02))
        alone = run(method, one, method.init(one, START[:1])).value
        torch.testing.assert_close(together.value[i : i + 1], alone, rtol=0, atol=1e-9)
    half = run(method, problem, method.init(problem, START), callback=lambda step, _: step == 7)
    rest = run(method, problem, half.state)
    assert torch.equal(rest.value, together.value)


def test_a_mixture_that_makes_things_worse_is_taken_back():
    """A map that is steep beyond two: the straight line through the first points leads there."""
    mask = Mask(torch.ones(1, 1, 1, 1, dtype=torch.float64))

    def denoiser(x, sigma):
        return torch.where(x < 2, 0.9 * x + 0.3, -8 * (x - 2) + 2.1)

    problem = PlugAndPlay(LeastSquares(mask, torch.zeros(1, 1, 1, 1, dtype=torch.float64)), denoiser)
    method = HQS(gamma=1e-9, sigma=0.1, tolerance=1e-6, max_steps=400)
    mixing = Accelerated(method)
    start = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    steps = []
    run(
        mixing,
        problem,
        mixing.init(problem, start),
        callback=lambda _, state: steps.append(state.x.item()),
        throw=False,
    )
    assert max(steps) < 30


@pytest.mark.parametrize("method", [ProximalGradient(), DPIR()], ids=["momentum", "schedule"])
def test_steps_that_depend_on_more_are_refused(method):
    with pytest.raises(UnsupportedError, match="no map of its variables alone"):
        Accelerated(method)


@pytest.mark.parametrize(("options", "words"), [({"memory": 0}, "memory"), ({"damping": 2.0}, "damping above 0")])
def test_senseless_hyperparameters_are_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        Accelerated(SIRT(), **options)
