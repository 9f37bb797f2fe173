"""Deep equilibrium: fixed points and their gradients against dense algebra and against long unrolled networks."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import flat, random_tensor
from tests.support.training import Toy
from wellposed.core.errors import ArgumentError, SolverError, UnknownNameError, UnsupportedError
from wellposed.models import AlgorithmStep, DPIRStep, Equilibrium, HQSStep, Unrolled
from wellposed.optim import L1Norm, SquaredNorm, TotalVariation
from wellposed.training import Options, Trainer

MASK = 0.3 + 0.7 * random_tensor(1, 1, 6, 5).abs().clamp(max=1)
Y = random_tensor(2, 1, 6, 5, seed=1)
TIGHT = {"tolerance": 1e-12, "max_steps": 500, "backward_tolerance": 1e-12, "backward_max_steps": 500}


class Blend(torch.nn.Module):
    """A denoiser that contracts and is not linear: a mean of the image and a squashed convolution of it."""

    def __init__(self):
        super().__init__()
        self.kernel = torch.nn.Parameter(0.1 * random_tensor(1, 1, 3, 3, seed=5))

    def forward(self, x, sigma):
        return 0.6 * x + 0.3 * torch.tanh(
            torch.nn.functional.conv2d(x, self.kernel, padding=1) + sigma.view(-1, 1, 1, 1)
        )


def gradients(model, *, y=Y, weight=None):
    """Return the image and the gradients of every weight, of the measurements and of the mask."""
    y, mask = y.clone().requires_grad_(), MASK.clone().requires_grad_()
    image = model(y, wp.Physics(wp.operators.Mask(mask)))
    weight = random_tensor(*image.shape, seed=9) if weight is None else weight
    return image, torch.autograd.grad((image * weight).sum(), [*model.parameters(), y, mask])


def steps():
    return {
        "gradient": AlgorithmStep(Blend(), sigma=0.3),
        "HQS": HQSStep(Blend(), gamma=2.0, sigma=0.3),
        "primal_dual": AlgorithmStep(TotalVariation((1, 6, 5)), "primal_dual", weight=0.3, start="zero"),
    }


@pytest.mark.parametrize("solver", ["anderson", "broyden"])
@pytest.mark.parametrize("name", ["gradient", "HQS"])
def test_image_and_gradient_are_those_of_a_long_unrolled_network(name, solver):
    step = steps()[name].double()
    image, found = gradients(Equilibrium(step, solver=solver, **TIGHT))
    expected, wanted = gradients(Unrolled(step, 150))
    torch.testing.assert_close(image, expected, rtol=1e-9, atol=1e-10)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_dual_variables_are_part_of_the_fixed_point():
    """The image is that of a long run of the method."""
    model = Equilibrium(steps()["primal_dual"].double(), tolerance=1e-7, max_steps=500)
    expected = Unrolled(steps()["primal_dual"].double(), 600)
    physics = wp.Physics(wp.operators.Mask(MASK))
    with torch.no_grad():
        torch.testing.assert_close(model(Y, physics), expected(Y, physics), rtol=1e-4, atol=1e-5)


def test_a_linear_step_is_dense_algebra():
    """Gradient descent on least squares with a ridge: the fixed point and all its derivatives have closed forms."""
    step = AlgorithmStep(SquaredNorm(), weight=0.3).double()
    model = Equilibrium(step, **TIGHT)
    y, theta = Y.clone().requires_grad_(), torch.zeros(1, dtype=torch.float64, requires_grad=True)
    H = wp.operators.Mask(MASK).to_matrix()[0]
    exact = torch.linalg.solve(H.T @ H + 0.3 * theta.exp() * torch.eye(30, dtype=torch.float64), H.T @ flat(y).T).T
    weight = random_tensor(2, 1, 6, 5, seed=9)
    wanted = torch.autograd.grad((exact * flat(weight)).sum(), [y, theta])
    image, found = gradients(model, weight=weight)
    names = [name for name, _ in model.named_parameters()]
    torch.testing.assert_close(flat(image), exact.detach(), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found[names.index("step.weights.exponent")], wanted[1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(found[-2], wanted[0], rtol=1e-7, atol=1e-9)
    assert found[names.index("step.paces.exponent")].abs() < 1e-6


def test_without_the_jacobian_the_gradient_is_that_of_one_step():
    """It is another one, and points the same way."""
    step = steps()["HQS"].double()
    image, free = gradients(Equilibrium(step, backward="jacobian_free", **TIGHT))
    exact = gradients(Equilibrium(step, **TIGHT))[1]
    z = image.detach()
    problem, state = step.pose(Y, wp.Physics(wp.operators.Mask(MASK)))
    once = step.step(problem, state._replace(x=z), 0).x
    wanted = torch.autograd.grad((once * random_tensor(*z.shape, seed=9)).sum(), list(step.parameters()))
    for a, b, c in zip(free, wanted, exact, strict=False):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
        assert (a - c).abs().max() > 1e-3 * c.abs().max()
    assert sum((a * c).sum() for a, c in zip(free, exact, strict=True)) > 0


def test_complex_images_have_gradients_too():
    mask = (torch.arange(6) % 3 > 0).double().view(1, 1, 1, 6)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, (1, 6, 6)))
    y = physics(random_tensor(1, 1, 6, 6, dtype=torch.complex128))
    step = HQSStep(wp.models.ComplexDenoiser(Blend()), gamma=2.0, sigma=0.3).double()
    grads = []
    for model in (Equilibrium(step, **TIGHT), Unrolled(step, 120)):
        loss = (model(y, physics) * random_tensor(1, 1, 6, 6, dtype=torch.complex128)).real.sum()
        grads.append(torch.autograd.grad(loss, list(model.parameters())))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_a_batch_equals_its_items():
    model, physics = Equilibrium(steps()["HQS"].double()), wp.Physics(wp.operators.Mask(MASK))
    together = model(Y, physics)
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], model(Y[i : i + 1], physics), rtol=1e-9, atol=1e-12)


def test_what_does_not_converge_raises_unless_told_not_to():
    step, physics = steps()["HQS"].double(), wp.Physics(wp.operators.Mask(MASK))
    with pytest.raises(SolverError, match="Anderson: Stopped at max_steps"):
        Equilibrium(step, tolerance=1e-12, max_steps=3)(Y, physics)
    lenient = Equilibrium(step, tolerance=1e-12, max_steps=3, throw=False)
    assert lenient(Y, physics).shape == (2, 1, 6, 5)
    solution = lenient.solution(Y, physics)
    assert solution.stats["steps"] == 3
    assert not solution.stats["converged"].any()
    strict = Equilibrium(step, tolerance=1e-6, backward_tolerance=1e-12, backward_max_steps=2)
    with pytest.raises(SolverError, match="GMRES: Stopped at max_steps"):
        strict(Y, physics).sum().backward()


def test_the_tolerance_of_the_backward_pass_is_honoured():
    step = steps()["gradient"].double()
    exact = gradients(Equilibrium(step, **TIGHT))[1]
    errors = []
    for tolerance in (1e-1, 1e-4, 1e-8):
        found = gradients(Equilibrium(step, **{**TIGHT, "backward_tolerance": tolerance}))[1]
        errors.append(max(float((a - b).norm() / b.norm()) for a, b in zip(found[-2:], exact[-2:], strict=True)))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-6


def test_nothing_is_kept_without_gradients():
    model, physics = Equilibrium(steps()["HQS"].double()), wp.Physics(wp.operators.Mask(MASK))
    with torch.no_grad():
        assert not model(Y, physics).requires_grad


def test_the_trainer_lowers_its_loss():
    model = Equilibrium(HQSStep(Blend().float(), sigma=0.1), tolerance=1e-3)
    settings = {"steps": 10, "batch": 4, "learning_rate": 0.02, "ema": 0.0, "device": "cpu", "tensorboard": False}
    outcome = Trainer(model, [Toy()], Options(**settings), validation=[Toy()]).run()
    assert outcome.after["toy"] > outcome.before["toy"] + 0.5


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Equilibrium(Blend()), ArgumentError, "expects a step such as HQSStep"),
        (lambda: Equilibrium(HQSStep(Blend(), sigma=(0.1, 0.2))), ArgumentError, "one value of sigma"),
        (lambda: Equilibrium(DPIRStep(Blend())), ArgumentError, "steps that are all alike"),
        (lambda: Equilibrium(HQSStep(Blend()), solver="newton"), UnknownNameError, "unknown solver"),
        (lambda: Equilibrium(HQSStep(Blend()), backward="none"), UnknownNameError, "unknown backward pass"),
        (lambda: Equilibrium(HQSStep(Blend()), tolerance=-1.0), ArgumentError, "tolerance of at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_momentum_of_its_own_is_refused():
    physics = wp.Physics(wp.operators.Mask(MASK))
    with pytest.raises(UnsupportedError, match="depends on its own momentum"):
        Equilibrium(AlgorithmStep(L1Norm(), "fista").double())(Y, physics)
