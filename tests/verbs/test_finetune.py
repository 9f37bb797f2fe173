"""`wp.finetune`: a network gains on measurements alone, and what it says of it is true."""

import logging
import math
import signal

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import seeded
from tests.support.training import Corrector, Toy, corrector
from wellposed.core import rng
from wellposed.core.errors import ArgumentError, TrainingError, UnsupportedError
from wellposed.losses import (
    L2,
    R2R,
    SURE,
    EquivariantImaging,
    MeasurementConsistency,
    MultiOperatorImaging,
    Splitting,
)
from wellposed.metrics import psnr
from wellposed.models import DenoiserTiny, save_model
from wellposed.training import lesson
from wellposed.transforms import Shift
from wellposed.verbs.finetune import default_steps, finetune

DENOISING = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.2))
X = torch.nn.functional.interpolate(torch.rand(1, 1, 3, 3, generator=seeded()), size=32, mode="bicubic").clamp(0, 1)
Y = DENOISING(X, generator=seeded(1))


def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DenoiserTiny(channels=1, widths=(4, 8), blocks=1)


def tuned(model=None, y=Y, physics=DENOISING, **options):
    records = []
    model = finetune(
        model or tiny(), y, physics, report=records.append, **{"steps": 12, "learning_rate": 3e-3} | options
    )
    assert records[0].model is model
    return records[0]


def error(model, y=Y, physics=DENOISING, x=X):
    with torch.no_grad():
        return float((model(y, 0.2) - x).square().mean())


def test_one_noisy_image_teaches_a_denoiser():
    given = tiny()
    record = tuned(given, steps=60, learning_rate=1e-2)
    assert error(record.model) < 0.5 * error(given)
    assert (record.loss, record.scheme) == (SURE(), "recorruption")
    assert (
        record.why == "SURE, as the noise is Gaussian of known level; nothing else, as Identity sees the whole image."
    )
    assert not record.model.training


def test_the_given_model_stays_and_the_seed_decides():
    given = tiny()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    state = torch.get_rng_state()
    one, same, other = (tuned(given, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert one.scores == same.scores
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), same.model.parameters(), strict=True))
    assert one.scores != other.scores


def test_the_best_step_is_kept_and_the_model_itself_is_one_of_them():
    """A rate that only does harm leaves the weights as they were, and ends early."""
    given = tiny()
    harmed = tuned(given, learning_rate=0.3, steps=30, patience=3)
    assert harmed.best_step == 0
    assert harmed.after == harmed.before == min(score for _, score in harmed.scores)
    assert all(torch.equal(a, b) for a, b in zip(harmed.model.parameters(), given.parameters(), strict=True))
    assert (harmed.reason, len(harmed.scores)) == ("early", 4)
    assert len(tuned(given, learning_rate=0.3, steps=30, patience=None).scores) == 16


def test_the_score_is_that_of_the_model_on_what_was_kept_back():
    record = tuned(steps=24, learning_rate=1e-2)
    assert record.best_step > 0
    assert record.after == min(score for _, score in record.scores) < record.before
    course = []
    tuned(steps=24, learning_rate=1e-2, callback=course.append)
    assert [(entry.step, entry.score) for entry in course] == list(record.scores)
    assert (course[-1].best_step, course[-1].best_score) == (record.best_step, record.after)
    assert math.isnan(course[0].loss)
    assert course[-1].loss > 0


def test_what_no_measurement_sees_is_scored_by_the_part_of_the_loss_that_speaks_of_it():
    y, physics, _ = Toy().batch(1, generator=seeded())
    imaging = EquivariantImaging(Shift())
    model = corrector().eval()
    for weight in (0.1, 2.0):
        record = tuned(model, y, physics, steps=1, seed=3, loss=MeasurementConsistency() + weight * imaging)
        held_out = lesson(y, physics, seed=3).held_out
        with torch.no_grad():
            x_hat = model(held_out.y, held_out.physics)
            virtual = imaging(
                x_hat=x_hat, y=held_out.y, physics=held_out.physics, model=model, generator=rng.seeded(3, "score")
            )
        assert record.before == pytest.approx(float(held_out.score(x_hat).mean() + virtual.mean()), rel=1e-5)


SHOWN = []


class Noting(Corrector):
    """Notes what it is shown in training."""

    def forward(self, y, physics):
        if self.training:
            SHOWN.append((y, physics))
        return super().forward(y, physics)


def test_of_few_measurements_each_gives_a_part_for_the_score():
    y, physics, _ = Toy().batch(2, generator=seeded())
    SHOWN.clear()
    record = tuned(Noting(), y, physics, steps=1, loss=MeasurementConsistency())
    assert record.scheme == "splitting"
    shares = [float(p.operator.mask.sum()) / float(physics.operator.mask.sum()) for _, p in SHOWN]
    assert all(0.8 < share < 0.97 for share in shares)


def test_of_many_measurements_some_are_kept_for_the_score():
    y, physics, _ = Toy().batch(20, generator=seeded())
    SHOWN.clear()
    tuned(Noting(), y, physics, steps=40, loss=MeasurementConsistency(), patience=None)
    seen = {float(image.sum()) for batch, _ in SHOWN for image in batch}
    whole = {float(image.sum()) for image in y}
    assert seen <= whole
    assert len(seen) == 18


def test_measurements_with_operators_of_their_own_teach_what_each_misses():
    y, physics, x = Toy(sigma=0.05).batch(8, generator=seeded())
    record = tuned(corrector(), y, physics, steps=150, learning_rate=1e-2, noise="unknown", patience=None)
    assert record.loss == Splitting(compare="kept back") + 0.1 * MultiOperatorImaging()
    with torch.no_grad():
        scores = [psnr(model(y, physics), x, data_range=1.0).mean() for model in (corrector(), record.model)]
    assert scores[1] > scores[0] + 3


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"noise": "unknown level"}, "UNSURE"),
        ({"noise": "unknown"}, "Neighbor2Neighbor"),
        ({"x": X}, "L2"),
        ({"loss": R2R(draws=2)}, "R2R"),
    ],
)
def test_other_knowledge_leads_to_other_losses(options, name):
    record = tuned(**options)
    assert type(record.loss).__name__ == name
    assert record.why.startswith(name) or record.why == "the loss was given."
    assert record.scheme == ("hidden pixels" if "noise" in options else "recorruption")
    assert all(math.isfinite(score) for _, score in record.scores)


def test_the_truth_is_learnt_from_where_it_is_known():
    assert error(tuned(x=X, steps=60, learning_rate=1e-2).model) < 0.5 * error(tiny())


def test_the_choice_is_logged(caplog):
    with caplog.at_level(logging.INFO, "wellposed"):
        record = tuned(steps=1)
    assert caplog.messages == [f"finetune: {record.why}"]


def test_a_model_may_be_a_file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, tiny())
    assert tuned(path).scores == tuned().scores


def test_more_measurements_get_more_steps_and_minutes_end_them():
    assert [default_steps(count) for count in (1, 2, 64)] == [40, 80, 280]
    record = tuned(steps=10_000, max_minutes=1e-6)
    assert record.reason == "time"
    assert record.scores[-1][0] == 1


def test_an_interruption_ends_it_with_the_best_step():
    def interrupt(progress):
        if progress.step == 2:
            signal.raise_signal(signal.SIGINT)

    record = tuned(steps=24, learning_rate=1e-2, callback=interrupt)
    assert record.reason == "interrupted"
    assert record.scores[-1][0] == 3
    assert record.after == min(score for _, score in record.scores)


def test_bad_input_is_answered_with_a_sentence():
    with pytest.raises(ArgumentError, match="NaN"):
        tuned(y=Y * torch.nan)
    with pytest.raises(ArgumentError, match="steps"):
        tuned(steps=0)
    with pytest.raises(UnsupportedError, match="wrap it in ArtifactRemoval"):
        tuned(physics=wp.Physics(wp.operators.Mask(torch.ones(1, 1, 32, 32)), wp.noise.Gaussian(0.2)))
    with pytest.raises(ArgumentError, match="nothing to train"):
        tuned(nn.Identity())


class Breaks(Corrector):
    def forward(self, y, physics):
        return super().forward(y, physics) * (torch.nan if self.training else 1)


class BreaksAtTest(Corrector):
    def forward(self, y, physics):
        return super().forward(y, physics) * (1 if self.training else torch.nan)


@pytest.mark.parametrize(("model", "what"), [(Breaks(), "loss or its gradient"), (BreaksAtTest(), "score")])
def test_what_is_not_finite_stops_it(model, what):
    y, physics, _ = Toy().batch(1, generator=seeded())
    with pytest.raises(TrainingError, match=f"the {what} is not finite"):
        tuned(model, y, physics, loss=Splitting(compare="kept back"))


def test_a_supervised_loss_without_the_truth_says_so():
    with pytest.raises(ArgumentError, match="there is none"):
        tuned(loss=L2())
