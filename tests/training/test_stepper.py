"""One step: bad numbers change nothing, layouts are kept, scales of half precision adapt, micro-batches add up."""

from dataclasses import dataclass

import accelerate
import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.training import Toy, corrector, toys
from wellposed.core.errors import ArgumentError, TrainingError, UnsupportedError
from wellposed.losses import L1, Loss
from wellposed.training import Exercise, Options, Trainer
from wellposed.training.gradients import FlatGradients
from wellposed.training.plan import derived_seed, plan
from wellposed.training.stepper import Stepper


@dataclass(frozen=True)
class Breaking(Loss):
    """L1, times a number that is not finite from a certain progress on, where the noise is strong."""

    factor: float
    when: float
    progress: float = 0.0

    def __call__(self, *, x_hat, y, physics, model, x=None):
        value = L1()(x_hat=x_hat, y=y, physics=physics, model=model, x=x)
        breaks = self.progress >= self.when and float(physics.noise.sigma) > 0.1
        return value * self.factor if breaks else value

    def at(self, progress):
        return Breaking(self.factor, self.when, progress)


def stepper(loss, **changes):
    options = Options(**{"steps": 10, "learning_rate": 1e-2, "ema": 0.0} | changes)
    return Stepper(corrector(), toys(), loss, options, accelerate.Accelerator(), torch.device("cpu"))


def snapshot(stepper):
    return {name: tensor.clone() for name, tensor in stepper.tensors().items()}


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_from_a_bad_number_on_nothing_moves(factor):
    """Not even when the next losses are finite again: the run is going to be stopped."""
    bad = stepper(Breaking(factor, when=0.5))
    for step in range(5):
        bad.advance(step, 1e-2)
    before = snapshot(bad)
    assert not torch.isfinite(bad.advance(5, 1e-2)[1])
    bad.advance(0, 1e-2)
    after = snapshot(bad)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_a_bad_number_ends_the_run_with_the_step_the_problem_and_the_checkpoint_of_before(tmp_path):
    options = Options(steps=12, checkpoint_every=3, log_every=4, batch=2)
    trainer = Trainer(corrector(), toys(), options, loss=Breaking(float("nan"), when=7 / 12), folder=tmp_path)
    with pytest.raises(TrainingError, match=r"'noisy' is no longer finite at step 7, .* checkpoint in .* as it was"):
        trainer.run()
    kept = wp.training.checkpoint.read_checkpoint(tmp_path)
    assert kept.facts["step"] == 6
    good = stepper(L1(), batch=2, steps=12, learning_rate=1e-4, ema=0.999)
    for step in range(6):
        good.advance(step, 1e-4)
    assert all(torch.equal(value, kept.tensors[name]) for name, value in good.tensors().items())


def test_an_overflow_of_half_precision_halves_the_scale_and_skips_the_step():
    half = stepper(Breaking(1e30, when=0.5), precision="fp16")
    for step in range(5):
        half.advance(step, 1e-2)
    before = snapshot(half)
    half.advance(5, 1e-2)
    after = snapshot(half)
    assert after["scale.scale"] == before["scale.scale"] / 2
    assert torch.equal(after["weights.last.weight"], before["weights.last.weight"])
    assert torch.equal(after["optimiser.step.last.weight"], before["optimiser.step.last.weight"])
    half.advance(0, 1e-2)
    assert not torch.equal(snapshot(half)["weights.last.weight"], before["weights.last.weight"])


def test_the_scale_grows_after_two_thousand_calm_steps():
    half = stepper(L1(), precision="fp16")
    half._calm.fill_(1998)
    half.advance(0, 1e-2)
    assert (half._scale.item(), half._calm.item()) == (2.0**16, 1999)
    half.advance(1, 1e-2)
    assert (half._scale.item(), half._calm.item()) == (2.0**17, 0)


def test_gradients_are_views_in_the_layout_of_the_weights():
    """Autograd adds to them in place; a copy of its own would be lost to the other processes."""
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    gradients = FlatGradients(network.parameters(), extra=2)
    for _ in range(2):
        network(torch.ones(1, 3, 3, 3)).sum().backward()
    assert gradients.gradient.tolist() == [2.0] * (4 * 27 + 4)
    assert gradients.extra.tolist() == [0.0, 0.0]
    assert network.weight.grad.is_contiguous(memory_format=torch.channels_last)
    assert network.weight.grad.untyped_storage().data_ptr() == gradients.whole.untyped_storage().data_ptr()


def test_weights_of_two_kinds_are_refused():
    mixed = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1).double()])
    with pytest.raises(UnsupportedError, match=r"torch.float32 on cpu, torch.float64 on cpu"):
        FlatGradients(mixed.parameters(), extra=0)


def test_errors_in_the_margin_count_a_tenth():
    problem, options = Toy(), Options(steps=1)
    of_margin = [Exercise(problem, batch=4, margin=3)]
    stepper = Stepper(corrector(), of_margin, L1(), options, accelerate.Accelerator(), torch.device("cpu"))
    loss, _ = stepper.advance(0, 1e-4)
    generator = torch.Generator().manual_seed(derived_seed(0, "step 0, problem 0, part 0"))
    y, physics, x = problem.batch(4, generator=generator)
    errors = (corrector()(y, physics) - x).abs()
    inner = errors[..., 3:-3, 3:-3]
    expected = (inner.sum() + 0.1 * (errors.sum() - inner.sum())) / errors.numel()
    torch.testing.assert_close(loss, expected.detach())


def test_a_margin_takes_the_truth():
    blind = [Exercise(Toy("blind", has_truth=False), margin=3)]
    stepper = Stepper(corrector(), blind, L1(), Options(steps=1), accelerate.Accelerator(), torch.device("cpu"))
    with pytest.raises(ArgumentError, match="'blind' has a margin, which takes true images: set it to 0"):
        stepper.advance(0, 1e-4)


def test_a_plan_is_fixed_and_its_weights_add_up():
    exercises = [Exercise(Toy("a"), batch=7), Exercise(Toy("b"), batch=1, weight=3.0)]
    parts = plan(0, exercises, Options(steps=1, accumulate=3))
    assert [(part.exercise, part.part, part.images) for part in parts] == [
        (0, 0, 2),
        (0, 1, 2),
        (0, 2, 3),
        (1, 0, 1),
    ]
    assert [part.share for part in parts] == pytest.approx([2 / 7, 2 / 7, 3 / 7, 1])
    assert sum(part.weight for part in parts[:3]) == pytest.approx(0.25)
    assert parts[3].weight == pytest.approx(0.75)


@pytest.mark.parametrize("arguments", [{"batch": 0}, {"weight": 0.0}, {"weight": float("nan")}, {"margin": -1}])
def test_an_exercise_has_images_and_counts(arguments):
    with pytest.raises(ArgumentError, match="Exercise expects"):
        Exercise(Toy(), **arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_trunk_is_compiled_where_there_is_one(monkeypatch):
    """RAM has a method that holds its trunk; of another network all is compiled."""
    compiled = []

    def note(method):
        compiled.append(method.__name__)
        return method

    monkeypatch.setattr(torch, "compile", note)
    stepper(L1(), compile=True)
    options = Options(steps=1, compile=True)
    Stepper(wp.models.RAM("small"), toys(), L1(), options, accelerate.Accelerator(), torch.device("cpu"))
    assert compiled == ["forward", "refine"]
