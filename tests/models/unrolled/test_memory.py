"""What training keeps: the gradients do not depend on it, and the number of tensors that are kept does."""

import pytest
import torch

import wellposed as wp
from tests.models.denoiser_cases import CASES as DENOISERS
from tests.support.tensors import random_tensor
from wellposed.models import AlgorithmStep, E2EVarNet, HQSStep, PDNet, Unrolled, modl
from wellposed.optim import TotalVariation

KERNEL = random_tensor(1, 1, 3, 3).abs() / 5
Y = random_tensor(2, 1, 6, 5, seed=1)


def network(dtype=torch.float64):
    return DENOISERS["UNet-noise-map"].make(dtype=dtype)


def gradients(model, y, kernel, *, twice=False):
    """Return the gradients of every weight, of the measurements and of the kernel."""
    y, kernel = y.clone().requires_grad_(), kernel.clone().requires_grad_()
    physics = wp.Physics(wp.operators.Blur(kernel, (1, 6, 5), padding="circular"))
    loss = model(y, physics).square().sum()
    inputs = [*model.parameters(), y, kernel]
    if twice:
        torch.autograd.grad(loss, inputs, retain_graph=True)
    return torch.autograd.grad(loss, inputs)


def build(memory, *, dtype=torch.float64, step=None, **options):
    step = HQSStep(network(dtype), gamma=0.5, sigma=0.2) if step is None else step
    return Unrolled(step, 5, memory=memory, **options).to(dtype)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("memory", ["checkpoint", "invert"])
def test_gradients_are_those_of_storing_everything(memory, tied):
    options = {"tied": tied, "momentum": 0.5}
    kept, again = (gradients(build(how, **options), Y, KERNEL) for how in ("store", memory))
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10 * float(a.abs().max()))


def test_gradients_without_momentum_are_too():
    kept, again = (gradients(build(how), Y, KERNEL) for how in ("store", "checkpoint"))
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_inversion_holds_in_single_precision(momentum):
    """Sixteen steps at a momentum of 0.1 multiply rounding by 1e16: single precision alone would be lost."""
    models = [
        Unrolled(HQSStep(network(torch.float32)), 12, memory=how, momentum=momentum) for how in ("store", "invert")
    ]
    kept, again = (gradients(model, Y.float(), KERNEL.float()) for model in models)
    assert kept[0].dtype == torch.float32
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(a.abs().max()))


@pytest.mark.parametrize("memory", ["checkpoint", "invert"])
def test_a_second_backward_pass_gives_the_same(memory):
    model = build(memory, momentum=0.5)
    for a, b in zip(gradients(model, Y, KERNEL), gradients(model, Y, KERNEL, twice=True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9 * float(a.abs().max()))


def test_linear_steps_that_save_nothing_are_inverted_too():
    """The film is wound back over steps for which autograd asks for nothing."""
    step = AlgorithmStep(wp.optim.SquaredNorm(), weight=0.1)
    kept, again = (gradients(build(how, step=step, momentum=0.5), Y, KERNEL) for how in ("store", "invert"))
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10 * float(a.abs().max()))


def test_dual_variables_are_inverted_too():
    step = AlgorithmStep(TotalVariation((1, 6, 5)), "primal_dual", weight=0.1)
    kept, again = (gradients(build(how, step=step, momentum=0.5), Y, KERNEL) for how in ("store", "invert"))
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9 * float(a.abs().max()))


def test_nothing_is_recorded_where_no_gradient_is_wanted():
    model, physics = build("invert", momentum=0.5), wp.Physics(wp.operators.Blur(KERNEL, (1, 6, 5), padding="circular"))
    with torch.no_grad():
        silent = model(Y, physics)
    assert torch.equal(silent, model(Y, physics))
    assert not silent.requires_grad


def kept_numbers(model, y, physics):
    """Count the numbers that autograd keeps between the forward and the backward pass, outside the parameters."""
    seen = {}
    parameters = {weight.data_ptr() for weight in model.parameters()}

    def pack(tensor):
        if tensor.data_ptr() not in parameters:
            seen[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(y, physics).square().sum()
    del loss
    return sum(seen.values())


def test_what_is_kept_grows_with_the_steps_only_when_everything_is_stored():
    physics = wp.Physics(wp.operators.Identity((1, 16, 16)).double())
    y = random_tensor(1, 1, 16, 16)

    def count(memory, n_iter):
        return kept_numbers(Unrolled(HQSStep(network()), n_iter, momentum=0.5, memory=memory), y, physics)

    assert count("store", 8) > 3.5 * count("store", 2)
    for memory in ("checkpoint", "invert"):
        assert count(memory, 8) < 0.05 * count("store", 8)
    assert count("invert", 8) == count("invert", 2)


def test_learned_primal_dual_has_checkpoints():
    def build_pdnet(memory):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return PDNet(n_iter=3, n_memory=3, width=4, memory=memory).double()

    kept, again = (gradients(build_pdnet(how), Y, KERNEL) for how in ("store", "checkpoint"))
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda memory: modl(n_iter=2, width=4, depth=3, memory=memory),
        lambda memory: E2EVarNet(2, 2, 1, map_width=2, map_levels=1, memory=memory),
    ],
    ids=["MoDL", "E2EVarNet"],
)
def test_published_networks_have_checkpoints(make):
    """Through conjugate gradients, and through coil maps that a network makes."""
    mask = (torch.arange(12) % 4 < 3).double().view(1, 1, 1, 12)
    maps = random_tensor(3, 12, 12, dtype=torch.complex128)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, (1, 12, 12), maps))
    y = physics(random_tensor(1, 1, 12, 12, dtype=torch.complex128)).requires_grad_()
    found = []
    for memory in ("store", "checkpoint"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = make(memory).double()
        loss = model(y, physics).abs().square().sum()
        found.append(torch.autograd.grad(loss, [y, *model.parameters()]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
