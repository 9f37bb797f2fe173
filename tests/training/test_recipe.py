"""Recipes: those that come with wellposed are sound, and what is wrong in one is answered with its place."""

from pathlib import Path

import pytest
import torch

from wellposed.core.errors import FormatError
from wellposed.losses import L1, SSIM, Ramp, Sum, Weighted
from wellposed.training.recipe import parse_recipe, read_recipe
from wellposed.training.recipe_losses import build_loss
from wellposed.training.recipe_reader import override, parse_yaml

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))
UNET = {"name": "UNet", "arguments": {"width": 4, "levels": 2}}
SMALL = {
    "version": 1,
    "model": {"name": "ArtifactRemoval", "arguments": {"network": UNET}},
    "data": {
        "photographs": {"kind": "photographs", "folders": ["a", "b"], "holdout": 2},
        "slices": {"kind": "ct", "folders": ["c"]},
    },
    "crop": 64,
    "problems": [
        {"task": "random-deblur", "data": "photographs", "channels": 3},
        {"task": "random-mri", "data": "photographs"},
    ],
    "training": {"steps": 100},
}


def small(*settings):
    content = SMALL
    for setting in settings:
        content = override(content, setting)
    return content


def refusal(*settings):
    with pytest.raises(FormatError) as caught:
        parse_recipe(small(*settings), "recipe.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_that_come_with_wellposed(path):
    """They are read, survive being written, train on nothing that tests use, and hold pictures out."""
    recipe = read_recipe(path)
    assert parse_recipe(parse_yaml(str(recipe), "again"), "again") == recipe
    folders = [folder for part in recipe.data.values() for folder in part.folders]
    assert not any("test" in Path(folder).parts for folder in folders)
    assert all(part.holdout > 0 for part in recipe.data.values())
    assert recipe.training.weighting == ("snr" if path.stem == "ram-small" else "none")


def test_ram_is_trained_on_the_problems_of_the_paper():
    recipe = read_recipe(RECIPES[0].parent / "ram-small.yaml")
    photographs = {f"random-{task}" for task in ("denoise", "deblur", "inpaint", "sr2", "sr4")}
    assert {p.task for p in recipe.problems if p.channels == 3} == photographs
    assert {p.task for p in recipe.problems if p.channels == 1} == photographs | {"random-ct"}
    complex_tasks = {"random-mri", "random-denoise-complex", "random-inpaint-complex"}
    assert {p.task for p in recipe.problems if p.channels == 2} == complex_tasks
    assert (recipe.crop, recipe.training.batch, recipe.training.steps) == (128, 16, 200_000)
    assert (recipe.training.learning_rate, recipe.training.milestones) == (1e-4, (0.9,))
    assert recipe.loss == {"L1": 1.0}


def test_a_recipe_is_read_with_its_defaults():
    recipe = parse_recipe(small(), "recipe.yaml")
    deblur, mri = recipe.problems
    assert (deblur.name, deblur.channels, deblur.weight, deblur.batch) == ("random-deblur-colour", 3, 1.0, None)
    assert (mri.name, mri.channels) == ("random-mri-complex", 2)
    assert recipe.validation.problems == recipe.problems
    assert recipe.training.learning_rate == 1e-4
    assert recipe.model.start is None


def test_settings_come_before_the_checks(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(str(parse_recipe(small(), "recipe.yaml")), encoding="utf-8")
    recipe = read_recipe(
        path, ["training.steps=7", "problems[0].batch=3", "loss={SSIM: 0.5}", "model.start={weights: w.pth}"]
    )
    assert (recipe.training.steps, recipe.problems[0].batch, recipe.loss) == (7, 3, {"SSIM": 0.5})
    with pytest.raises(FormatError, match=r"r\.yaml: training\.steps: expected a whole number of at least 0, got -1"):
        read_recipe(path, ["training.steps=-1"])


def test_the_noise_of_a_task_is_replaced():
    recipe = parse_recipe(small("problems[0].noise={sigma: [0.3, 0.4]}"), "recipe.yaml")
    y = torch.zeros(200, 3, 32, 32)
    noise = recipe.problems[0].chosen_task().noise(y, torch.Generator().manual_seed(0))
    assert 0.3 <= noise.sigma.min() < 0.31
    assert 0.39 < noise.sigma.max() <= 0.4
    photons = parse_recipe(small("problems[0].noise={sigma: [0, 0], gain: [0.5, 0.5]}"), "recipe.yaml").problems[0]
    gains = photons.chosen_task().noise(y, torch.Generator().manual_seed(0)).gain
    assert 80 < (gains == 0.5).sum() < 120
    assert gains[gains != 0.5].max() < 1e-6


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("L1", Weighted(L1(), 1.0)),
        ("{L1: 0.8, SSIM: 0.2}", Sum((Weighted(L1(), 0.8), Weighted(SSIM(), 0.2)))),
        ("{L1: {first: 1, last: 0, begin: 0.5}}", Weighted(L1(), Ramp(1.0, 0.0, 0.5, 1.0))),
    ],
)
def test_losses(loss, expected):
    recipe = parse_recipe(small(f"loss={loss}"), "recipe.yaml")
    assert build_loss(recipe.loss) == expected
    assert parse_recipe(parse_yaml(str(recipe), "again"), "again") == recipe


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("version=2", "recipe.yaml: this is a recipe of version 2, made for a newer wellposed"),
        ("version=one", "recipe.yaml: version: expected a whole number of at least 1, got 'one'."),
        ("probems=1", "recipe.yaml: unknown key 'probems'; did you mean 'problems'?"),
        ("model.name=RAN", "recipe.yaml: model.name: unknown model 'RAN'; did you mean 'RAM'?"),
        ("model.name=UNet", "recipe.yaml: model.arguments: UNet has no parameter 'network'"),
        (
            "model={name: RAM, arguments: {sise: 1}}",
            "recipe.yaml: model.arguments: RAM has no parameter 'sise'; did you",
        ),
        ("model={name: RAM, arguments: {size: tiny}}", "recipe.yaml: model.arguments: unknown size of RAM 'tiny'"),
        ("model.arguments=[1]", "recipe.yaml: model.arguments: expected the arguments of the model by name."),
        ("model.start={}", "recipe.yaml: model.start: expected either 'weights'"),
        ("model.start={weights: a, denoiser: b}", "recipe.yaml: model.start: expected either 'weights'"),
        ("model.start={weights: a, share: 1}", "recipe.yaml: model.start.share: it goes with 'denoiser' only"),
        (
            "model={name: DRUNet, start: {denoiser: d}}",
            "recipe.yaml: model.start.denoiser: RAM alone starts from a denoiser",
        ),
        ("data={}", "recipe.yaml: data: expected names with a section each, got a section."),
        ("data.photographs.kind=photos", "recipe.yaml: data.photographs.kind: unknown kind of data 'photos'"),
        ("data.photographs.folders=a", "recipe.yaml: data.photographs.folders: expected a list with at least one"),
        ("data.photographs.folders[1]=3", "recipe.yaml: data.photographs.folders[1]: expected a text, got 3."),
        ("data.photographs.holdout=-1", "recipe.yaml: data.photographs.holdout: expected a whole number of at least 0"),
        ("data.photographs.holdout=0", "recipe.yaml: data.photographs.holdout: the validation problem"),
        ("crop=0", "recipe.yaml: crop: expected a whole number of at least 1, got 0."),
        ("crop=16", "recipe.yaml: crop: the task random-deblur needs crops of at least 31 pixels"),
        ("problems=[]", "recipe.yaml: problems: expected a list with at least one entry, got a list of 0."),
        ("problems[1].task=random-mry", "recipe.yaml: problems[1].task: unknown task 'random-mry'"),
        ("problems[1].data=photograps", "recipe.yaml: problems[1].data: unknown data 'photograps'; did you mean"),
        ("problems[1].channels=3", "recipe.yaml: problems[1].channels: the task random-mri on such data expects 2"),
        ("problems[0].channels=2", "recipe.yaml: problems[0].channels: the task random-deblur on such data expects 1"),
        ("problems[0].data=slices", "recipe.yaml: problems[0].channels: the task random-deblur on such data expects 1"),
        ("problems[0].batch=0", "recipe.yaml: problems[0].batch: expected a whole number of at least 1, got 0."),
        ("problems[0].weight=0", "recipe.yaml: problems[0].weight: expected a number above zero, got 0."),
        ("problems[0].noise={sigma: [1]}", "recipe.yaml: problems[0].noise.sigma: expected the smallest and the"),
        ("problems[0].noise={sigma: [2, 1]}", "recipe.yaml: problems[0].noise.sigma: expected the smallest and the"),
        ("problems[0].noise={gain: [0, 1]}", "recipe.yaml: problems[0].noise: the key 'sigma' is missing."),
        ("problems[1]={task: random-deblur, data: photographs, channels: 3}", "recipe.yaml: problems[1]: there is a"),
        (
            "validation={crop: 16}",
            "recipe.yaml: validation.crop: the task random-deblur needs crops of at least 31 pixels",
        ),
        ("validation={problems: [{task: sr4}]}", "recipe.yaml: validation.problems[0]: the key 'data' is missing."),
        ("validation={problems: [{batch: 4}]}", "recipe.yaml: validation.problems[0]: unknown key 'batch'."),
        ("problems[0].margin=64", "recipe.yaml: problems[0].margin: leaves nothing of crops of 64 pixels."),
        (
            "validation={problems: [{task: random-deblur, data: photographs, channels: 3, margin: 16}], crop: 32}",
            "recipe.yaml: validation.problems[0].margin: leaves nothing of crops of 32 pixels.",
        ),
        ("loss=L3", "recipe.yaml: loss: unknown loss 'L3'"),
        ("loss={L1: -1}", "recipe.yaml: loss.L1: expected a number from 0, got -1."),
        ("loss={L1: {first: 1, last: 0, begin: 1}}", "recipe.yaml: loss.L1: Ramp expects 0 <= begin < end <= 1"),
        ("training={}", "recipe.yaml: training: the key 'steps' is missing."),
        ("training.stps=1", "recipe.yaml: training: unknown key 'stps'; did you mean 'steps'?"),
        ("training.device=cpu", "recipe.yaml: training: unknown key 'device'."),
        ("training.steps=1.5", "recipe.yaml: training.steps: expected a whole number of at least 0, got 1.5."),
        ("training.learning_rate=fast", "recipe.yaml: training.learning_rate: expected a number, got 'fast'."),
        ("training.learning_rate=-1", "recipe.yaml: training: Options expects learning_rate above 0, got -1.0."),
        ("training.schedule=cosin", "recipe.yaml: training.schedule: unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("training.betas=[0.9, x]", "recipe.yaml: training.betas[1]: expected a number, got 'x'."),
        ("training.compile=1", "recipe.yaml: training.compile: expected true or false, got 1."),
        ("training.warmup=200", "recipe.yaml: training: Options expects warmup and cooldown to fit into 100 steps"),
    ],
)
def test_what_is_wrong_is_answered_with_its_place(setting, sentence):
    assert refusal(setting).startswith(sentence)


def test_a_file_that_is_no_recipe():
    for content in (None, [1], "text", {}):
        with pytest.raises(FormatError, match=r"recipe\.yaml: (expected a recipe|the key 'version' is missing)"):
            parse_recipe(content, "recipe.yaml")


def test_a_denoiser_is_trained_on_images_of_its_channels():
    denoiser = "model={name: DenoiserTiny, arguments: {channels: 1}}"
    assert refusal(denoiser).startswith(
        "recipe.yaml: problems[0].channels: DenoiserTiny is built for 1 channels, not 3"
    )


def test_models_inside_models():
    recipe = parse_recipe(small("model.arguments.network.arguments.width=5"), "recipe.yaml")
    assert recipe.model.build().network.width == 5
    assert parse_recipe(parse_yaml(str(recipe), "again"), "again") == recipe
    place = "recipe.yaml: model.arguments.network.arguments"
    assert refusal("model.arguments.network.arguments.levels=0").startswith(f"{place}: UNet expects levels")
