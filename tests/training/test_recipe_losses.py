"""The section `loss` of a recipe names every loss that plain values describe; what is wrong in it has its place."""

from pathlib import Path

import pytest
import torch

from wellposed import losses
from wellposed.core.errors import FormatError
from wellposed.data import write_image
from wellposed.losses import (
    L1,
    R2R,
    SURE,
    UNSURE,
    EquivariantImaging,
    EquivariantSplitting,
    Ramp,
    Splitting,
    Sum,
    Weighted,
    ssdu,
)
from wellposed.training import prepare, read_recipe
from wellposed.training.recipe_losses import LOSSES, build_loss, read_loss
from wellposed.training.recipe_reader import Entry, parse_yaml, write_yaml
from wellposed.transforms import Rotate, Shift

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "denoiser-without-truth.yaml"
MOTIONS = {"EquivariantImaging", "MultiOperatorEquivariantImaging"}
BY_HAND = {"AmbientGAN", "ENSURE", "Noise2Noise", "UAIR"}
"""They need a discriminator, a tensor, or pairs of measurements."""


def read(text):
    return read_loss(Entry(parse_yaml(text, "recipe"), "recipe.yaml", "loss"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SURE", Weighted(SURE(), 1.0)),
        ("{SURE: 0.5}", Weighted(SURE(), 0.5)),
        ("{SURE: {arguments: {step: 0.02}}}", Weighted(SURE(step=0.02), 1.0)),
        ("{SURE: {arguments: {step: null}, weight: 2}}", Weighted(SURE(step=None), 2.0)),
        (
            "{R2R: 1, Splitting: {arguments: {ratio: 0.6, compare: kept back}}}",
            Sum((Weighted(R2R(), 1.0), Weighted(Splitting(ratio=0.6, compare="kept back"), 1.0))),
        ),
        (
            "{EquivariantImaging: {weight: 0.1, arguments: {transform: {name: Shift, arguments: {limit: 0.1}}}}}",
            Weighted(EquivariantImaging(Shift(limit=0.1)), 0.1),
        ),
        (
            "{EquivariantSplitting: {arguments: {transform: Rotate, ratio: 0.7}}}",
            Weighted(EquivariantSplitting(Rotate(), ratio=0.7), 1.0),
        ),
        ("{ssdu: {arguments: {ratio: 0.5}}}", Weighted(ssdu(0.5), 1.0)),
        ("{L1: {weight: {first: 1, last: 0}, arguments: {}}}", Weighted(L1(), Ramp(1.0, 0.0))),
    ],
)
def test_losses_are_named_with_weight_and_arguments(text, expected):
    parts = read(text)
    assert build_loss(parts) == expected
    assert read(write_yaml(parts)) == parts


def test_arguments_of_unsure_arrive():
    loss = build_loss(read("{UNSURE: {arguments: {unknown: poisson_gaussian, start: 0.01}}}")).loss
    assert isinstance(loss, UNSURE)
    assert loss.companions()[0].value.tolist() == pytest.approx([0.01, 0.0])


def test_every_loss_is_known_or_needs_what_a_file_cannot_hold():
    every = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    every = {name for name in every if issubclass(getattr(losses, name), losses.Loss)}
    every -= {"DrawingLoss", "Loss", "Sum", "Weighted"}
    assert every - BY_HAND == set(LOSSES) - {"phase2phase", "ssdu"}


@pytest.mark.parametrize("name", sorted(set(LOSSES) - MOTIONS))
def test_every_known_loss_is_made_by_its_name(name):
    assert type(build_loss(read(name)).loss).__name__ in (name, "Splitting")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("SURF", "loss: unknown loss 'SURF'; did you mean 'SURE'?"),
        ("{}", "loss: expected names with a section each"),
        ("{SURE: {arguments: {stap: 1}}}", "loss.SURE.arguments: SURE has no parameter 'stap'; did you mean 'step'?"),
        ("{SURE: {arguments: {covariance: 1}}}", "loss.SURE.arguments: SURE has no parameter 'covariance'"),
        ("{SURE: {arguments: {step: 2}}}", "loss.SURE.arguments: SURE expects a step between 0 and 1"),
        ("{SURE: {arguments: {step: fast}}}", "loss.SURE.arguments: SURE cannot be made of them"),
        ("{SURE: {arguments: 3}}", "loss.SURE.arguments: expected the arguments of SURE by name."),
        ("{SURE: {weight: -1}}", "loss.SURE.weight: expected a number from 0, got -1."),
        ("{SURE: {wieght: 1, arguments: {}}}", "loss.SURE: unknown key 'wieght'; did you mean 'weight'?"),
        ("EquivariantImaging", "loss: EquivariantImaging needs its motions: write arguments: {transform: Shift}"),
        ("{EquivariantImaging: 0.1}", "loss.EquivariantImaging: EquivariantImaging needs its motions"),
        (
            "{EquivariantImaging: {arguments: {transform: Shft}}}",
            "loss.EquivariantImaging.arguments.transform: unknown transform 'Shft'; did you mean 'Shift'?",
        ),
        (
            "{EquivariantImaging: {arguments: {transform: {name: Shift, arguments: {limt: 1}}}}}",
            "loss.EquivariantImaging.arguments.transform.arguments: Shift has no parameter 'limt'; did you mean",
        ),
        (
            "{EquivariantImaging: {arguments: {transform: {name: Shift, arguments: {limit: -1}}}}}",
            "loss.EquivariantImaging.arguments.transform.arguments: Shift expects",
        ),
        (
            "{EquivariantSplitting: {arguments: {transform: {name: Rotate, arguments: {order: null}}}}}",
            "loss.EquivariantSplitting.arguments: EquivariantSplitting needs motions that interpolate nothing",
        ),
    ],
)
def test_a_mistake_is_answered_with_its_place(text, sentence):
    with pytest.raises(FormatError) as caught:
        read(text)
    assert str(caught.value).startswith(f"recipe.yaml: {sentence}")


def test_the_recipe_without_truth_trains_a_denoiser(tmp_path):
    """The pictures are ramps; the network gains on noisy crops alone."""
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    for number, picture in enumerate((ramp, ramp.mT, ramp.flip(-1))):
        write_image(tmp_path / f"{number}.png", picture.contiguous())
    settings = [
        "model.arguments={channels: 1, widths: [4, 8], blocks: 1}",
        "data.photographs={kind: photographs, folders: [.], holdout: 1}",
        "crop=16",
        "validation={crop: 32}",
        "problems[0].noise={sigma: [0.2, 0.2]}",
        "training={steps: 60, batch: 8, learning_rate: 1.0e-2, validation_batch: 1, validate_every: 60, ema: 0.5}",
    ]
    outcome = prepare(read_recipe(RECIPE, settings), root=tmp_path).run()
    assert outcome.after["denoise"] > outcome.before["denoise"] + 2
