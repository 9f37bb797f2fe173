"""Training without ground truth: losses that draw, and companions that are learnt, kept and resumed."""

import signal

import accelerate
import pytest
import torch

import wellposed as wp
from tests.support.training import Toy, corrector
from wellposed.losses import R2R, SURE, UNSURE, AmbientGAN, EquivariantImaging, MeasurementConsistency, Splitting
from wellposed.metrics import psnr
from wellposed.training import Exercise, Options, Trainer
from wellposed.training.checkpoint import read_checkpoint
from wellposed.training.stepper import Stepper

BLIND = Toy("blind", 0.1, has_truth=False)


def trainer(loss, folder=None, **changes):
    options = Options(**{"steps": 8, "batch": 4, "learning_rate": 1e-3, "ema": 0.0, "panels": False} | changes)
    return Trainer(corrector(), [BLIND], options, loss=loss, folder=folder)


@pytest.mark.parametrize(
    "loss",
    [
        SURE(),
        R2R() + Splitting(compare="kept back"),
        SURE() + 0.1 * EquivariantImaging(wp.transforms.Shift()),
        UNSURE(),
    ],
    ids=["SURE", "R2R + splitting", "SURE + EI", "UNSURE"],
)
def test_a_network_learns_without_the_truth(loss):
    """After some steps the reconstructions are nearer to a truth that training never saw."""
    outcome = trainer(loss, steps=150, learning_rate=1e-2).run()
    y, physics, x = Toy("seen", 0.1).batch(16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        scores = [psnr(model(y, physics), x, data_range=1.0).mean() for model in (corrector(), outcome.model)]
    assert scores[1] > scores[0] + 3


def test_a_run_with_multipliers_is_reproducible_and_leaves_the_loss_as_it_was():
    loss = MeasurementConsistency() + UNSURE(start=0.01, rate=1e-3)
    first, second = (trainer(loss).run() for _ in range(2))
    learnt = [outcome.loss.companions()[0].value.item() for outcome in (first, second)]
    assert learnt[0] == learnt[1]
    assert learnt[0] > 0.011
    assert loss.companions()[0].value.item() == pytest.approx(0.01)
    assert torch.equal(first.model.first.weight, second.model.first.weight)


def test_multipliers_are_kept_in_checkpoints_and_resumed(tmp_path):
    loss = UNSURE("covariance", start=0.01, rate=1e-3)
    whole = trainer(loss, tmp_path / "whole").run()
    half = tmp_path / "half"

    def interrupted(report):
        if report.step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(loss, half, checkpoint_every=4, log_every=1).run(callback=interrupted)
    assert read_checkpoint(half).facts["step"] == 4
    resumed = trainer(loss, half, checkpoint_every=4, log_every=1).run(resume=True)
    mine, theirs = (outcome.loss.companions()[0] for outcome in (resumed, whole))
    assert torch.equal(mine.value, theirs.value)
    assert torch.equal(mine.velocity, theirs.velocity)
    kept = read_checkpoint(half).part("companions")
    assert torch.equal(kept["0.value"], theirs.value)


def test_a_discriminator_learns_beside_the_network_and_is_resumed(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(1))
    network(BLIND.batch(1, generator=torch.Generator()).y)
    loss = MeasurementConsistency() + 0.1 * AmbientGAN(network)
    before = loss.companions()[0].network[1].weight.detach().clone()
    whole = trainer(loss, tmp_path / "whole").run()
    half = tmp_path / "half"
    requests = iter([signal.SIGINT])
    stopped = trainer(loss, half, log_every=1).run(
        callback=lambda _: [signal.raise_signal(request) for request in requests]
    )
    assert stopped.step < whole.step
    resumed = trainer(loss, half, log_every=1).run(resume=True)
    mine, theirs = (outcome.loss.companions()[0].state_dict() for outcome in (resumed, whole))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert theirs["steps"] == whole.step
    assert not torch.equal(theirs["network.1.weight"], before)
    assert torch.equal(loss.companions()[0].network[1].weight, before)
    assert torch.equal(resumed.model.first.weight, whole.model.first.weight)


def test_accumulated_parts_of_a_step_move_the_multipliers_once():
    """The slope is the mean over the parts, as that of the weights."""
    values = [
        trainer(UNSURE(rate=1e-3, momentum=0.0), steps=1, accumulate=parts).run().loss.companions()[0].value.item()
        for parts in (1, 2)
    ]
    assert values[1] - 0.0025 == pytest.approx(values[0] - 0.0025, rel=0.3)


def stepper(problem, **changes):
    options = Options(**{"steps": 4, "batch": 4, "learning_rate": 1e-3, "ema": 0.0} | changes)
    loss = UNSURE(rate=1e-3, momentum=0.0)
    return Stepper(corrector(), [Exercise(problem)], loss, options, accelerate.Accelerator(), torch.device("cpu"))


def test_multipliers_stand_still_where_the_loss_is_not_finite():
    class Lost(Toy):
        def batch(self, count, *, generator):
            batch = super().batch(count, generator=generator)
            return batch._replace(y=batch.y * torch.nan)

    lost = stepper(Lost("lost"))
    multipliers = lost.loss.companions()[0]
    multipliers.velocity.fill_(3.0)
    lost.advance(0, 1e-3)
    assert multipliers.value.item() == pytest.approx(0.0025)
    assert multipliers.velocity.item() == 3


def test_half_precision_scales_the_loss_and_not_the_multipliers():
    moved = []
    for precision in ("fp32", "fp16"):
        one = stepper(BLIND, precision=precision)
        one.advance(0, 1e-3)
        moved.append(one.loss.companions()[0].value.item() - 0.0025)
    assert moved[1] == pytest.approx(moved[0], rel=0.05)
    assert moved[0] > 1e-4


def test_validation_uses_the_network_as_the_loss_does_at_test():
    """With hidden pixels at test, the identity is scored as the mean of the neighbours."""

    class Denoising:
        name = "denoising"

        def batch(self, count, *, generator):
            x = torch.rand(count, 1, 12, 12, generator=generator)
            physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
            return wp.data.problems.Batch(physics(x, generator=generator), physics, x)

    class Still(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros(()))

        def forward(self, y, _physics):
            return y + self.shift

    scores = [
        Trainer(Still(), [Denoising()], Options(steps=1, batch=2), loss=loss, validation=[Denoising()]).run().before
        for loss in (wp.losses.Noise2Self(spacing=2), wp.losses.Noise2Self(spacing=2, invariant=False))
    ]
    assert scores[1]["denoising"] == pytest.approx(20, abs=0.5)
    assert scores[0]["denoising"] < 12
