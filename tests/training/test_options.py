"""Options are checked when they are made; the learning rate is a function of the step."""

import math
from dataclasses import fields

import pytest

from wellposed.core.errors import ArgumentError, UnknownNameError
from wellposed.training import Options, learning_rate_at


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("steps", 0, "steps to be a whole number of at least 1, got 0"),
        ("batch", 1.5, "batch to be a whole number"),
        ("accumulate", 0, "accumulate"),
        ("problems_per_step", 0, "problems_per_step"),
        ("learning_rate", 0.0, "learning_rate above 0, got 0"),
        ("learning_rate", math.inf, "learning_rate above 0, got inf"),
        ("betas", (0.9, 1.0), "betas of at least 0 and below 1, got 1.0"),
        ("betas", (0.9,), "betas to be two numbers"),
        ("clip", -1.0, "clip above 0"),
        ("warmup", -1, "warmup"),
        ("milestones", (0.5, 1.0), "milestones above 0 and below 1, got 1.0"),
        ("factor", 2.0, "factor above 0 and at most 1"),
        ("final_ratio", math.nan, "final_ratio between 0 and 1, got nan"),
        ("ema", 1.0, "ema of at least 0 and below 1, got 1.0"),
        ("seed", -1, "seed"),
        ("log_every", 0, "log_every"),
        ("validate_every", 0, "validate_every"),
        ("validation_batch", 0, "validation_batch"),
        ("checkpoint_every", 0, "checkpoint_every"),
        ("patience", 0, "patience"),
        ("rewarm", -1, "rewarm"),
        ("weight_decay", -0.1, "weight_decay of at least 0"),
        ("weight_decay", 0.1, "only the optimiser 'adamw' knows"),
        ("cooldown", 11, "warmup and cooldown to fit into 10 steps, got 0 and 11"),
    ],
)
def test_a_wrong_number_is_one_sentence(name, value, sentence):
    with pytest.raises(ArgumentError, match=f"^Options .*{sentence}"):
        Options(**{"steps": 10, name: value})


@pytest.mark.parametrize("name", ["optimiser", "schedule", "precision", "weighting", "device"])
def test_a_wrong_name_is_one_sentence(name):
    with pytest.raises(UnknownNameError, match=f"unknown {name} 'nonsense'"):
        Options(steps=1, **{name: "nonsense"})


def test_decisive_options_are_all_but_those_that_change_nothing():
    names = {field.name for field in fields(Options)}
    free = {"device", "log_every", "validation_batch", "checkpoint_every", "light", "panels", "tensorboard"}
    assert set(Options(steps=1).decisive()) == names - free


def rates(**changes):
    options = Options(**{"steps": 8, "learning_rate": 2.0} | changes)
    return [learning_rate_at(step, options) for step in range(options.steps)]


def test_shapes_of_the_learning_rate():
    assert rates() == [2.0] * 8
    assert rates(schedule="linear", final_ratio=0.5) == pytest.approx([2 - k / 8 for k in range(8)])
    cosine = [0.2 + 1.8 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]
    assert rates(schedule="cosine", final_ratio=0.1) == pytest.approx(cosine)
    stepped = rates(schedule="step", milestones=(0.25, 0.75), factor=0.5)
    assert stepped == [2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_published_schedule():
    """Section 4.1 of ram.txt: 1e-4, divided by 10 after 180k of 200k steps."""
    options = Options(steps=200_000, schedule="step", milestones=(0.9,), factor=0.1)
    assert learning_rate_at(179_999, options) == pytest.approx(1e-4)
    assert learning_rate_at(180_000, options) == pytest.approx(1e-5)


def test_ends_of_the_learning_rate():
    assert rates(warmup=4) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert rates(cooldown=3) == [2.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5]


def test_a_lost_optimiser_warms_up_again():
    options = Options(steps=8, learning_rate=2.0, rewarm=4)
    again = [learning_rate_at(step, options, rewarmed_at=2) for step in range(2, 8)]
    assert again == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert learning_rate_at(2, Options(steps=8, learning_rate=2.0, rewarm=0), rewarmed_at=2) == 2.0
