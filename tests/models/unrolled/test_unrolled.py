"""Unrolled algorithms: untrained they are the algorithms, step by step; trained, every number and network moves."""

import copy

import pytest
import torch

import wellposed as wp
from tests.models.denoiser_cases import CASES as DENOISERS
from tests.support.tensors import flat, random_tensor
from tests.support.training import Toy
from wellposed.core.errors import ArgumentError, UnknownNameError, UnsupportedError
from wellposed.models import AlgorithmStep, DPIRStep, HQSStep, Unrolled
from wellposed.models.unrolled.numbers import Fraction, Positive
from wellposed.optim import (
    ADMM,
    HQS,
    RED,
    DenoiserProx,
    L1Norm,
    LeastSquares,
    PlugAndPlay,
    PrimalDual,
    ProximalGradient,
    RegularisedProblem,
    SquaredNorm,
    Term,
    TotalVariation,
    smooth_start,
)
from wellposed.solvers import run
from wellposed.training import Options, Trainer
from wellposed.verbs.reconstruct import dpir

OPERATOR = wp.operators.Blur(random_tensor(1, 1, 3, 3).abs(), (1, 6, 5))
PHYSICS = wp.Physics(OPERATOR, wp.noise.Gaussian(0.1))
Y = random_tensor(2, 1, 4, 3, seed=1)


def shrink(x, sigma):
    return x / (1 + sigma.view(-1, 1, 1, 1))


def network():
    return DENOISERS["DRUNet"].make()


def problem(prior, weight=1.0):
    return RegularisedProblem(LeastSquares(OPERATOR, Y), Term(prior, weight))


def classical(method, posed, start):
    return run(method, posed, method.init(posed, start), throw=False).value


def adjoint_start():
    return OPERATOR.adjoint(Y) / OPERATOR.norm() ** 2


TV = TotalVariation((1, 6, 5))
ALGORITHMS = {
    "gradient, proximal": (
        AlgorithmStep(L1Norm(), weight=0.02),
        lambda: classical(ProximalGradient(None, 4, accelerated=False), problem(L1Norm(), 0.02), adjoint_start()),
    ),
    "gradient, smooth": (
        AlgorithmStep(SquaredNorm(), weight=0.3, start="zero"),
        lambda: classical(
            ProximalGradient(None, 4, accelerated=False), problem(SquaredNorm(), 0.3), 0 * adjoint_start()
        ),
    ),
    "gradient, plug-and-play": (
        AlgorithmStep(shrink, sigma=0.2),
        lambda: classical(
            ProximalGradient(None, 4, accelerated=False), problem(DenoiserProx(shrink, 0.2)), adjoint_start()
        ),
    ),
    "gradient, RED": (
        AlgorithmStep(shrink, sigma=0.2, weight=0.3, denoise_by="red"),
        lambda: classical(
            ProximalGradient(None, 4, accelerated=False), problem(RED(shrink, 0.2), 0.3), adjoint_start()
        ),
    ),
    "gradient, paced": (
        AlgorithmStep(L1Norm(), weight=0.02, pace=0.5),
        lambda: classical(
            ProximalGradient(None, 4, accelerated=False, step_ratio=0.5), problem(L1Norm(), 0.02), adjoint_start()
        ),
    ),
    "fista": (
        AlgorithmStep(L1Norm(), "fista", weight=0.02),
        lambda: classical(ProximalGradient(None, 4, restart=False), problem(L1Norm(), 0.02), adjoint_start()),
    ),
    "primal_dual": (
        AlgorithmStep(TV, "primal_dual", weight=0.1, start="smooth"),
        lambda: classical(PrimalDual(None, 4), problem(TV, 0.1), smooth_start(LeastSquares(OPERATOR, Y))),
    ),
    "primal_dual, paced": (
        AlgorithmStep(TV, "primal_dual", weight=0.1, pace=0.9),
        lambda: classical_at_pace(0.9),
    ),
    "admm": (
        AlgorithmStep(TV, "admm", weight=0.1),
        lambda: classical(ADMM(None, 4), problem(TV, 0.1), adjoint_start()),
    ),
    "admm, paced": (
        AlgorithmStep(TV, "admm", weight=0.1, pace=3.0),
        lambda: classical(ADMM(None, 4, penalty=0.3), problem(TV, 0.1), adjoint_start()),
    ),
    "HQS": (
        HQSStep(shrink, gamma=2.0, sigma=0.3),
        lambda: classical(HQS(2.0, 0.3, None, 4), PlugAndPlay(LeastSquares(OPERATOR, Y), shrink), adjoint_start()),
    ),
}


def classical_at_pace(pace):
    method, posed = PrimalDual(None, 4), problem(TV, 0.1)
    state = method.init(posed, adjoint_start())
    return run(method, posed, state._replace(tau=pace * state.tau, sigma=state.sigma / pace)).value


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("step", "reference"), ALGORITHMS.values(), ids=ALGORITHMS)
def test_untrained_it_is_the_algorithm(step, reference, tied):
    torch.testing.assert_close(Unrolled(step, 4, tied=tied).double()(Y, PHYSICS), reference(), rtol=1e-12, atol=1e-12)


def test_numbers_of_each_step_are_used_in_their_step():
    """Two steps of ISTA with two step sizes and two weights, by dense algebra; tied and untied alike."""
    step = AlgorithmStep(L1Norm(), weight=(0.02, 0.05), pace=(1.0, 0.5))
    H, y, x = OPERATOR.to_matrix()[0], flat(Y), flat(adjoint_start())
    lipschitz = LeastSquares(OPERATOR, Y).lipschitz()
    for weight, pace in ((0.02, 1.0), (0.05, 0.5)):
        moved = x - pace / lipschitz * (x @ H.T - y) @ H
        x = moved.sign() * (moved.abs() - pace / lipschitz * weight).clamp(min=0)
    for tied in (True, False):
        torch.testing.assert_close(flat(Unrolled(step, 2, tied=tied).double()(Y, PHYSICS)), x, rtol=1e-9, atol=1e-12)


def test_momentum_is_the_heavy_ball():
    beta, tau = 0.4, 1 / LeastSquares(OPERATOR, Y).lipschitz()
    H, y, before = OPERATOR.to_matrix()[0], flat(Y), flat(adjoint_start())
    now = before
    for _ in range(5):
        now, before = now - tau * ((now @ H.T - y) @ H + 0.1 * now) * scale() + beta * (now - before), now
    model = Unrolled(AlgorithmStep(SquaredNorm(), weight=0.1), 5, momentum=beta).double()
    torch.testing.assert_close(flat(model(Y, PHYSICS)), now, rtol=1e-9, atol=1e-12)


def scale():
    """The classical step is 1 / (L + weight), not 1 / L."""
    lipschitz = LeastSquares(OPERATOR, Y).lipschitz()
    return lipschitz / (lipschitz + 0.1)


def test_dual_variables_have_momentum_too():
    one, two = (
        Unrolled(AlgorithmStep(TV, "primal_dual", weight=0.1), 3, momentum=beta)(Y, PHYSICS) for beta in (0.1, 0.6)
    )
    assert (one - two).abs().max() > 1e-3


def test_udpir_untrained_is_the_method_dpir():
    """With the same denoiser, for images of two noise levels in one batch."""
    physics = wp.Physics(OPERATOR, wp.noise.Gaussian(torch.tensor([0.05, 0.3], dtype=torch.float64)))
    expected = wp.reconstruct(Y, physics, dpir(shrink))
    torch.testing.assert_close(Unrolled(DPIRStep(shrink), 8).double()(Y, physics), expected, rtol=1e-12, atol=1e-12)


def test_levels_and_trade_offs_of_udpir_are_those_of_their_step():
    """Doubled levels are those of a denoiser that is told half; doubled trade-offs stand for half the data weight."""
    half = Unrolled(DPIRStep(lambda x, sigma: shrink(x, 2 * sigma), 3), 3)(Y, PHYSICS)
    torch.testing.assert_close(Unrolled(DPIRStep(shrink, 3, level=2.0), 3)(Y, PHYSICS), half)
    one, other = (Unrolled(DPIRStep(shrink, 2, trade_off=t), 2)(Y, PHYSICS) for t in ((0.23, 0.5), (0.23, 0.23)))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_every_weight_gets_a_gradient_and_inputs_are_left_alone(tied):
    model = Unrolled(HQSStep(network(), sigma=(0.1, 0.2, 0.3)), 3, tied=tied).double()
    y, state = Y.clone(), copy.deepcopy(model.state_dict())
    model(y, PHYSICS).square().sum().backward()
    assert [
        name for name, weight in model.named_parameters() if weight.grad is None or not bool(weight.grad.any())
    ] == []
    assert torch.equal(y, Y)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_untied_steps_have_weights_of_their_own():
    step = HQSStep(network())
    tied, untied = Unrolled(step, 3), Unrolled(step, 3, tied=False)
    count = [sum(weight.numel() for weight in model.parameters()) for model in (tied, untied)]
    assert count[1] == 3 * count[0]
    assert tied.step is step
    with torch.no_grad():
        next(untied.parameters()).zero_()
    assert bool(next(step.parameters()).any())


def test_a_batch_equals_its_items():
    model = Unrolled(HQSStep(network()), 3).double()
    together = model(Y, PHYSICS)
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], model(Y[i : i + 1], PHYSICS), rtol=1e-9, atol=1e-12)


def test_complex_images_are_reconstructed():
    mask = (torch.arange(8) % 2).double().view(1, 1, 1, 8)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, (1, 8, 8)))
    y = physics(random_tensor(1, 1, 8, 8, dtype=torch.complex128))
    model = Unrolled(HQSStep(DENOISERS["ComplexDenoiser-images"].make()), 2)
    assert model(y, physics).dtype == torch.complex128


@pytest.mark.parametrize(
    "options", [{"tied": False}, {"momentum": 0.5, "memory": "invert"}], ids=["untied", "inverted"]
)
def test_the_trainer_lowers_its_loss(options):
    """One image problem, ten steps of Adam."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Unrolled(HQSStep(wp.models.DnCNN(1, width=4, depth=3), gamma=5.0, sigma=0.1), 2, **options)
    settings = {"steps": 10, "batch": 4, "learning_rate": 2e-3, "ema": 0.0, "device": "cpu", "tensorboard": False}
    outcome = Trainer(model, [Toy()], Options(**settings), validation=[Toy()]).run()
    assert outcome.after["toy"] > outcome.before["toy"] + 0.1


def test_positive_numbers_start_exact_and_stay_positive():
    numbers = Positive("test", (0.1, 7.0)).double()
    assert [numbers(index).item() for index in range(2)] == [0.1, 7.0]
    with torch.no_grad():
        numbers.exponent.copy_(torch.tensor([-3.0, 2.0]))
    torch.testing.assert_close(
        torch.cat([numbers(0), numbers(1)]),
        torch.tensor([0.1, 7.0]).double() * torch.tensor([-3.0, 2.0]).double().exp(),
    )
    share = Fraction("test", 0.3).double()
    assert share().item() == pytest.approx(0.3, rel=1e-15)
    with torch.no_grad():
        share.exponent.fill_(50.0)
    assert 0.3 < share().item() <= 1


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Unrolled(shrink, 3), ArgumentError, "expects a step such as AlgorithmStep"),
        (lambda: Unrolled(HQSStep(shrink), 0), ArgumentError, "n_iter to be a whole number of at least 1"),
        (lambda: Unrolled(HQSStep(shrink, sigma=(0.1, 0.2)), 3), ArgumentError, "got 2 values of sigma for 3 steps"),
        (lambda: Unrolled(HQSStep(shrink), 2, memory="invert"), ArgumentError, "steps with momentum only"),
        (lambda: Unrolled(HQSStep(shrink), 2, memory="chekpoint"), UnknownNameError, "did you mean 'checkpoint'"),
        (
            lambda: Unrolled(HQSStep(shrink), 2, momentum=1.0),
            ArgumentError,
            "momentum must be a number between 0 and 1",
        ),
        (lambda: HQSStep(shrink, gamma=0.0), ArgumentError, "gamma must be a positive number"),
        (lambda: HQSStep(shrink, sigma=()), ArgumentError, "sigma must be a positive number"),
        (lambda: HQSStep(3), ArgumentError, "expects the denoiser to be a function"),
        (lambda: HQSStep(shrink, start="ajoint"), UnknownNameError, "did you mean 'adjoint'"),
        (lambda: AlgorithmStep(shrink, "ista"), UnknownNameError, "unknown algorithm 'ista'"),
        (lambda: AlgorithmStep(shrink, denoise_by="score"), UnknownNameError, "unknown way to denoise"),
        (lambda: AlgorithmStep(3), ArgumentError, "expects the prior to be a function"),
    ],
)
def test_what_makes_no_sense_is_refused(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_momentum_upon_momentum_is_refused():
    with pytest.raises(UnsupportedError, match="depends on its own momentum: take algorithm='gradient'"):
        Unrolled(AlgorithmStep(L1Norm(), "fista"), 2, momentum=0.5)(Y, PHYSICS)
