"""The scripts beside the ledger of the weights: a row of a leg, the average of a run, the scores of a denoiser."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from wellposed.data import write_image
from wellposed.metrics import psnr
from wellposed.models import DenoiserTiny, load_model
from wellposed.models.weights import load
from wellposed.training import prepare, read_recipe

SCRIPTS = Path(__file__).parent.parent / "weights"
RECIPE = """
version: 1
model: {name: DenoiserTiny, arguments: {channels: 3, widths: [4, 8], blocks: 1}}
data: {photographs: {kind: photographs, folders: [.], holdout: 1}}
crop: 16
problems: [{task: denoise-medium, data: photographs, channels: 3}]
validation: {crop: 16, problems: [{task: denoise-medium, data: photographs, channels: 3}]}
training: {steps: 4, batch: 2, validation_batch: 2, ema: 0.5, panels: false, tensorboard: false}
"""


def script(name):
    specification = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path):
    """A run of four steps, finished."""
    for number in range(3):
        write_image(tmp_path / f"{number}.png", torch.rand(1, 3, 24, 24))
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    outcome = prepare(read_recipe(tmp_path / "recipe.yaml"), folder=tmp_path / "run").run()
    return tmp_path / "run", outcome


def test_the_average_of_a_run_becomes_a_model_file_in_half_precision(run, tmp_path):
    folder, outcome = run
    script("export").export(folder, tmp_path / "average.safetensors")
    network = load_model(tmp_path / "average.safetensors")
    assert isinstance(network, DenoiserTiny)
    trained = outcome.model.denoiser.state_dict()
    assert all(
        torch.equal(weight, trained[name].half().to(weight.dtype)) for name, weight in network.named_parameters()
    )


def test_a_leg_becomes_a_row_of_the_ledger(run):
    folder, outcome = run
    leg = json.loads((folder / "legs.jsonl").read_text(encoding="utf-8"))
    cells = [cell.strip() for cell in script("ledger").row(leg, folder).strip("|").split("|")]
    header = next(
        line for line in (SCRIPTS / "TRAINING.md").read_text(encoding="utf-8").splitlines() if "| date" in line
    )
    assert len(cells) == len(header.strip("|").split("|"))
    assert cells[4:6] == ["4", "8"]
    (before,), (after,) = outcome.before.values(), outcome.after.values()
    assert cells[8] == f"{before:.2f} → {after:.2f}"


def test_the_score_is_the_mean_over_the_pictures(tmp_path):
    """One picture at a time, its noise following from its name: the mean of two is the mean of their scores."""
    score = script("score").score
    single = []
    for name, value in (("a", 0.2), ("b", 0.7)):
        (tmp_path / name).mkdir()
        for folder in (tmp_path / name, tmp_path):
            write_image(folder / f"{name}.png", torch.full((1, 3, 32, 32), value))
        single.append(score("denoiser-tiny-rgb", tmp_path / name, 0.1))
    assert score("denoiser-tiny-rgb", tmp_path, 0.1) == pytest.approx(sum(single) / 2)
    flat = torch.full((1, 3, 32, 32), 0.2)
    noisy = flat + 0.1 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        other_noise = psnr(load("denoiser-tiny-rgb")(noisy, 0.1), flat, data_range=1.0)
    assert single[0] == pytest.approx(float(other_noise), abs=3)
