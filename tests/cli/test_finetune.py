"""`wellposed finetune`, and what is done with its file."""

import json

import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from wellposed.cli.application import application
from wellposed.data import load_measurements, read_image, write_image
from wellposed.models import ArtifactRemoval, DenoiserTiny, load_model, save_model

COARSE = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def run(*arguments):
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", torch.nn.functional.interpolate(COARSE, size=24, mode="bilinear"))
    for seed in (0, 1):
        done("simulate", "photo.png", "--task", "inpaint-50", "--seed", seed, "-o", f"{seed}.safetensors")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model("model.safetensors", ArtifactRemoval(DenoiserTiny(channels=3, widths=(4, 8), blocks=1)))
    return tmp_path


def test_the_best_step_is_written_with_the_reason_and_reconstructs(folder):
    before = (folder / "model.safetensors").read_bytes()
    options = ("--model", "model.safetensors", "-o", "tuned.safetensors", "--learning-rate", 0.01, "--steps", 12)
    said = done("finetune", "0.safetensors", *options)
    assert said.startswith("SURE, as the noise is Gaussian of known level; 0.1 EquivariantImaging with Shift, as Mask")
    assert said.endswith("tuned.safetensors: the best step\n")
    assert (folder / "model.safetensors").read_bytes() == before
    with safe_open("tuned.safetensors", framework="pt") as file:
        facts = json.loads(file.metadata()["wellposed"])["facts"]["finetuned"]
    assert facts["why"] + "\n" == said.splitlines(keepends=True)[0]
    assert facts["from"] == "model.safetensors"
    errors = [error for _, error in facts["scores"]]
    assert facts["best_step"] == facts["scores"][errors.index(min(errors))][0] > 0
    done("reconstruct", "0.safetensors", "--method", "tuned.safetensors", "-o", "x.npy")
    y, physics = load_measurements("0.safetensors")
    with torch.no_grad():
        assert torch.equal(read_image("x.npy"), load_model("tuned.safetensors")(y, physics))


def test_several_files_are_learnt_from_together(folder):
    options = ("--model", "model.safetensors", "-o", "t.safetensors", "--steps", 3, "--batch", 2)
    assert "MultiOperatorImaging" in done("finetune", "0.safetensors", "1.safetensors", *options)


def test_a_denoiser_is_tuned_and_used_as_one(folder):
    save_model("tiny.safetensors", DenoiserTiny(channels=3, widths=(4, 8), blocks=1))
    done("simulate", "photo.png", "--task", "denoise-medium", "-o", "noisy.safetensors")
    options = ("--model", "tiny.safetensors", "--noise", "unknown", "--steps", 2)
    assert done("finetune", "noisy.safetensors", "-o", "t.safetensors", *options).startswith("Neighbor2Neighbor")
    assert done("finetune", "noisy.safetensors", "-o", "t.safetensors", *options, "--quiet") == ""
    done("reconstruct", "noisy.safetensors", "--method", "t.safetensors", "-o", "x.png")
    assert read_image("x.png").shape == (1, 3, 24, 24)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "nothing"), "unknown weights 'nothing'"),
        (("--model", "0.safetensors"), "no model file"),
        (("--model", "model.safetensors", "--noise", "knwon"), "did you mean 'known'?"),
        (("--model", "model.safetensors", "-o", "t.png"), "end its name in .safetensors"),
        (("--model", "model.safetensors", "-o", "0.safetensors"), "is the input"),
        (("photo.png", "--model", "model.safetensors"), "photo.png is not a measurement file"),
    ],
)
def test_bad_input_is_one_sentence(folder, arguments, sentence):
    result = run("finetune", "0.safetensors", "-o", "t.safetensors", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (folder / "t.safetensors").exists()


def test_measurements_are_scored_without_ground_truth(folder):
    text = done("evaluate", "--data", "0.safetensors", "--without-ground-truth", "--method", "adjoint")
    assert "splitting" in text
    assert "0.safetensors" in text
    (folder / "model.safetensors").rename(folder / "model.keep")
    done("evaluate", "--data", ".", "--without-ground-truth", "--method", "adjoint", "--json", "out.json")
    rows = json.loads((folder / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [row["name"] for row in rows] == ["0.safetensors", "1.safetensors"]
    (folder / "pictures").mkdir()
    (folder / "photo.png").rename(folder / "pictures" / "photo.png")
    pictures = ("--task", "denoise-medium", "--without-ground-truth", "--method", "adjoint")
    assert "recorruption" in done("evaluate", "--data", "pictures", *pictures)
    result = run("evaluate", "--data", ".", "--without-ground-truth", "--margin", 3)
    assert result.exit_code == 2
    assert "--without-ground-truth goes with one --method" in result.stderr


def test_a_model_file_is_a_method_of_evaluate(folder):
    (folder / "pictures").mkdir()
    (folder / "photo.png").rename(folder / "pictures" / "photo.png")
    options = ("--task", "inpaint-50", "--data", "pictures", "--method", "model.safetensors", "--json", "out.json")
    done("evaluate", *options)
    assert json.loads((folder / "out.json").read_text(encoding="utf-8"))["method"] == "ArtifactRemoval"
