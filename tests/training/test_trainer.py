"""The trainer beside a plain training loop, written out: same weights, losses and scores, whatever the options."""

import csv
import json
import logging
from dataclasses import dataclass

import pytest
import torch
from safetensors import safe_open
from torch import nn

import wellposed as wp
from tests.support.training import Corrector, Toy, corrector, toy_trainer, toys
from wellposed.core.errors import ArgumentError
from wellposed.data.problems import FixedProblem
from wellposed.losses import L1, L2, Loss, Ramp
from wellposed.metrics import mse, psnr
from wellposed.training import Exercise, Options, Trainer, learning_rate_at, snr_weight
from wellposed.training.plan import derived_seed


def generator(seed, name):
    return torch.Generator().manual_seed(derived_seed(seed, name))


def plain_loop(options, loss, exercises):
    """Train as the documentation says, with nothing of the trainer's but its seeds."""
    model, average = corrector(), corrector()
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.optimiser]
    optimiser = kind(model.parameters(), betas=options.betas, weight_decay=options.weight_decay, fused=False)
    norms, losses = [], []
    mean_weight = sum(exercise.weight for exercise in exercises) / len(exercises)
    for step in range(options.steps):
        total, row = 0, []
        for g, exercise in enumerate(exercises):
            count = exercise.batch or options.batch
            values, weights = [], []
            for part in range(options.accumulate):
                images = count * (part + 1) // options.accumulate - count * part // options.accumulate
                name = f"step {step}, problem {g}, part {part}"
                y, physics, x = exercise.problem.batch(images, generator=generator(options.seed, name))
                now = loss.at(step / options.steps)
                values.append(now(x_hat=model(y, physics), y=y, physics=physics, model=model, x=x))
                weights.append(snr_weight(y, physics) if options.weighting == "snr" else torch.ones(images))
            values, weights = torch.cat(values), torch.cat(weights)
            total = total + exercise.weight / mean_weight / len(exercises) * (weights * values).mean()
            row.append(values.mean().item())
        optimiser.zero_grad()
        total.backward()
        longest = float("inf") if options.clip is None else options.clip
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), longest).item())
        losses.append(row)
        optimiser.param_groups[0]["lr"] = learning_rate_at(step, options)
        optimiser.step()
        decay = min(options.ema, (1 + step) / (10 + step)) if options.ema else 0
        with torch.no_grad():
            for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
                mine.mul_(decay).add_((1 - decay) * theirs)
    return average, losses, norms


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 3, "batch": 5},
        {"weighting": "snr"},
        {"clip": 0.05},
        {"ema": 0.0},
        {"ema": 0.5},
        {"optimiser": "adamw", "weight_decay": 0.3, "betas": (0.5, 0.9)},
        {"schedule": "step", "milestones": (0.5,), "factor": 0.3, "warmup": 2, "cooldown": 1},
        {"seed": 7},
    ],
    ids=str,
)
def test_equals_a_plain_loop(changes):
    options = Options(**{"steps": 6, "batch": 4, "learning_rate": 1e-2, "ema": 0.9, "log_every": 1} | changes)
    exercises = [Exercise(Toy("faint", 0.05), weight=3.0), Exercise(Toy("noisy", 0.2), batch=3)]
    loss = Ramp(1, 2) * L1() + 0.5 * L2()
    reports = []
    outcome = Trainer(corrector(), exercises, options, loss=loss).run(callback=reports.append)
    average, losses, norms = plain_loop(options, loss, exercises)
    assert [list(report.losses.values()) for report in reports] == [pytest.approx(row, rel=1e-5) for row in losses]
    assert [report.gradient_norm for report in reports] == pytest.approx(norms, rel=1e-4)
    for got, expected in zip(outcome.model.parameters(), average.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_problems_are_drawn_for_each_step_and_logged_only_when_they_were():
    """With one of two problems a step, the log has a mean of the steps that had it, and each has about half."""
    options = Options(steps=20, batch=2, problems_per_step=1, log_every=1, ema=0.0)
    reports = []
    Trainer(corrector(), toys(), options).run(callback=reports.append)
    drawn = [list(report.losses) for report in reports]
    assert all(len(names) == 1 for names in drawn)
    assert 4 <= drawn.count(["faint"]) <= 16
    assert drawn != sorted(drawn)


def test_the_given_model_and_the_users_random_numbers_stay_as_they_were():
    model = corrector()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    Trainer(model, toys(), Options(steps=2)).run()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), corrector().parameters(), strict=True))
    assert all(weight.grad is None for weight in model.parameters())


def test_a_trained_model_can_be_trained_on_and_frozen_weights_stay():
    model = corrector()
    model.first.requires_grad_(requires_grad=False)
    first = Trainer(model, toys(), Options(steps=2, learning_rate=0.1)).run().model
    second = Trainer(first, toys(), Options(steps=2, learning_rate=0.1)).run().model
    assert not second.training
    assert torch.equal(second.first.weight, model.first.weight)
    assert not torch.equal(second.last.weight, first.last.weight)


def test_a_model_that_draws_is_trained_in_the_same_way_each_time():
    """Dropout draws from torch's own generator, which every part of every step seeds."""

    class Dropping(Corrector):
        def forward(self, y, physics):
            return nn.functional.dropout(super().forward(y, physics), training=self.training)

    def weights(seed):
        torch.manual_seed(seed)
        model = Dropping()
        model.load_state_dict(corrector().state_dict())
        torch.manual_seed(seed)
        return Trainer(model, toys(), Options(steps=3, learning_rate=0.1)).run().model.last.weight

    assert torch.equal(weights(0), weights(1))


def test_validation_scores_the_averaged_weights_before_between_and_at_the_end(tmp_path):
    trainer = toy_trainer(tmp_path, steps=6, validate_every=4, validation_batch=5)
    reports = []
    outcome = trainer.run(callback=reports.append)
    with (tmp_path / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "4", "6"]

    def score(model):
        (batch,) = FixedProblem(Toy("held out"), 5)
        return psnr(model(batch.y, batch.physics), batch.x, data_range=1.0).mean().item()

    with torch.no_grad():
        assert float(rows[0]["psnr"]) == pytest.approx(score(corrector()))
        assert float(rows[2]["psnr/held out"]) == pytest.approx(score(outcome.model))
    assert outcome.before == {"held out": float(rows[0]["psnr"])}
    assert outcome.after == {"held out": float(rows[2]["psnr"])}
    assert [report.step for report in reports] == [1, 2, 3, 4, 4, 5, 6, 6]
    assert (reports[0].psnr, reports[-1].psnr) == (outcome.before, outcome.after)
    assert outcome.best == max(float(row["psnr"]) for row in rows)
    assert str(outcome.best_step) == max(rows, key=lambda row: float(row["psnr"]))["step"]


@pytest.mark.parametrize("margin", [0, 2])
def test_the_margin_of_a_validation_problem_is_not_scored(margin):
    fixed = FixedProblem(Toy("held out"), 5, margin=margin)
    (batch,) = fixed
    with torch.no_grad():
        x_hat = corrector()(batch.y, batch.physics)
    inner = (..., slice(margin, 12 - margin), slice(margin, 12 - margin))
    expected = psnr(x_hat[inner], batch.x[inner], data_range=1.0).mean().item()
    assert toy_trainer(steps=4, validation=[fixed]).run().before["held out"] == pytest.approx(expected)


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(ArgumentError, match="margin of 6 leaves nothing of an image of shape"):
        toy_trainer(steps=4, validation=[FixedProblem(Toy("held out"), 5, margin=6)]).run()


def test_the_best_weights_are_kept_as_a_model_file(tmp_path):
    """Training away from the truth makes every validation worse, so that the first weights stay the best."""

    @dataclass(frozen=True)
    class Nearness(Loss):
        def __call__(self, *, x_hat, y, physics, model, x=None):  # noqa: ARG002
            return -mse(x_hat, x)

    def denoiser():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4))

    options = Options(steps=4, learning_rate=0.5, ema=0.0, validate_every=1)
    toy = Toy("held out")
    outcome = Trainer(denoiser(), [toy], options, loss=Nearness(), validation=[toy], folder=tmp_path).run()
    assert outcome.best_step == 0
    assert outcome.after["held out"] < outcome.best - 1
    best = wp.models.load_model(tmp_path / "best.safetensors")
    assert torch.equal(best.network.in_conv.weight, denoiser().network.in_conv.weight)


def test_what_is_exported_is_the_part_asked_for(tmp_path):
    model = wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4))
    options = Options(steps=2, learning_rate=1e-3)
    outcome = Trainer(model, [Toy()], options, folder=tmp_path, export=lambda trained: trained.network).run()
    best = wp.models.load_model(tmp_path / "best.safetensors")
    assert isinstance(best, wp.models.DnCNN)
    assert torch.equal(best.in_conv.weight, outcome.model.network.in_conv.weight)


def test_a_model_of_ones_own_leaves_its_weights(tmp_path):
    outcome = Trainer(corrector(), [Toy()], Options(steps=2), folder=tmp_path).run()
    model = Corrector()
    wp.models.load_weights(model, tmp_path / "best.safetensors")
    assert torch.equal(model.last.weight, outcome.model.last.weight)


def test_a_run_without_progress_stops_early(tmp_path):
    options = Options(steps=100, learning_rate=0.5, ema=0.0, validate_every=2, patience=3)
    outcome = Trainer(corrector(), [Toy()], options, validation=[Toy()], folder=tmp_path).run()
    assert outcome.reason == "early"
    assert outcome.step < 100
    assert outcome.step == outcome.best_step + 6


def test_the_minutes_given_are_the_end(tmp_path):
    trainer = toy_trainer(tmp_path, steps=10_000_000, validate_every=1_000_000, checkpoint_every=1_000_000)
    outcome = trainer.run(max_minutes=0.001)
    assert outcome.reason == "time"
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        facts = json.loads(file.metadata()["wellposed"])
    assert facts["step"] == outcome.step > 0
    assert facts["psnr"] == outcome.after != outcome.before
    assert facts["images"] == outcome.images == 10 * outcome.step


def test_half_precision_computes_in_it_and_keeps_single(tmp_path):
    """The network sees its precision; weights, average and answer stay in single precision, and training works."""
    seen = []

    class Watching(Corrector):
        def forward(self, y, physics):
            x_hat = super().forward(y, physics)
            seen.append(self.last(torch.relu(self.first(y))).dtype)
            return x_hat

    options = Options(steps=30, learning_rate=1e-2, precision="bf16", validate_every=30, ema=0.0)
    outcome = Trainer(Watching(), [Toy()], options, validation=[Toy()]).run()
    assert set(seen) == {torch.bfloat16}
    assert outcome.model.last.weight.dtype == torch.float32
    assert outcome.after["toy"] > outcome.before["toy"] + 1


def test_what_was_lost_is_said(tmp_path, caplog):
    toy_trainer(tmp_path, light=True).run()
    (tmp_path / "checkpoint.safetensors").unlink()
    with caplog.at_level(logging.INFO, logger="wellposed"):
        toy_trainer(tmp_path, light=True).run(resume=True)
    assert "the learning rate rises again over 500 steps" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((corrector(), []), "at least one problem"),
        ((corrector(), [Toy("a"), Toy("a")]), "'a' comes twice"),
        ((nn.Identity(), [Toy()]), "Identity has none"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Trainer(*arguments, Options(steps=1))


def test_supervised_training_needs_the_truth():
    with pytest.raises(ArgumentError, match="L1 compares with the true image, and there is none"):
        Trainer(corrector(), [Toy(has_truth=False)], Options(steps=1)).run()
    with pytest.raises(ArgumentError, match="validation needs true images, and the problem toy has none"):
        Trainer(corrector(), [Toy()], Options(steps=1), validation=[Toy(has_truth=False)]).run()


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_minutes_are_above_zero(minutes):
    with pytest.raises(ArgumentError, match="max_minutes above 0"):
        Trainer(corrector(), [Toy()], Options(steps=1)).run(max_minutes=minutes)


def test_the_loss_draws_other_numbers_than_the_problem():
    """Else recorrupted measurements would tell the network what was added to them."""
    drawn = []

    class Noise:
        name = "noise"

        def batch(self, count, *, generator):
            y = torch.randn(count, 1, 40, 40, generator=generator)
            drawn.append(y)
            return wp.data.problems.Batch(y, wp.Physics(wp.operators.Identity()), torch.zeros_like(y))

    class Drawing(Loss):
        def __call__(self, *, x_hat, y, **_):
            drawn.append(torch.randn_like(y))
            return x_hat.square().flatten(1).mean(1)

    Trainer(corrector(), [Noise()], Options(steps=1, batch=2, device="cpu"), loss=Drawing()).run()
    one, other = (torch.fft.rfft(draw.flatten(), 2 * draw.numel()) for draw in drawn)
    overlap = torch.fft.irfft(one * other.conj(), 2 * drawn[0].numel())
    assert overlap.abs().max() < 6 * drawn[0].numel() ** 0.5
