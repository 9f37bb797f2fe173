"""`wellposed train` trains as the recipe says, shows what came of it, and goes on where it stopped."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from wellposed.cli.application import application
from wellposed.data import write_image
from wellposed.models import DenoiserTiny, load_model

SMOKE = Path(__file__).resolve().parents[2] / "recipes" / "smoke.yaml"
QUICK = ("--set", "training.tensorboard=false", "--set", "training.panels=false", "--device", "cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        coarse = torch.rand(1, 3, 5, 5, generator=generator)
        picture = torch.nn.functional.interpolate(coarse, size=(40, 48), mode="bilinear")
        write_image(tmp_path / "photos" / f"{number}.png", picture)
    return tmp_path


def train(*arguments, code=0):
    result = CliRunner().invoke(application, ["train", str(SMOKE), "--data", "photos", *QUICK, *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_it_trains_and_shows_what_came_of_it(folder):
    result = train("--run", "run")
    assert "3 pictures to train on, 1 held out" in result.stdout
    assert "step 20 of 20, 80 crops" in result.stdout
    (leg,) = map(json.loads, Path("run/legs.jsonl").read_text(encoding="utf-8").splitlines())
    before, after = leg["before"]["denoise-medium-colour"], leg["after"]["denoise-medium-colour"]
    assert after > before + 1
    assert f"{before:.2f}" in result.stdout
    assert f"{after - before:+.2f}" in result.stdout
    assert isinstance(load_model("run/best.safetensors"), DenoiserTiny)


def test_without_a_name_the_run_has_that_of_the_recipe(folder):
    assert train("--steps", 10, "--quiet").output == ""
    with Path("runs/smoke/train.csv").open(encoding="utf-8") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["10"]


def test_options_change_the_recipe(folder):
    train("--run", "run", "--steps", 10, "--set", "problems[0].batch=2", "--light")
    (leg,) = map(json.loads, Path("run/legs.jsonl").read_text(encoding="utf-8").splitlines())
    assert (leg["step"], leg["crops"]) == (10, 20)
    assert Path("run/light-1-of-1.safetensors").exists()
    assert "batch: 2" in Path("run/recipe.yaml").read_text(encoding="utf-8")


def test_it_stops_after_the_minutes_and_goes_on(folder):
    first = train("--run", "run", "--max-minutes", 0.01, "--steps", 100_000)
    assert "the minutes are used up" in first.stdout
    refused = train("--run", "run", "--steps", 100_000, code=2)
    assert refused.stderr == "wellposed: run holds a run already: resume it, or name another folder.\n"
    second = train("--run", "run", "--max-minutes", 0.01, "--steps", 100_000, "--resume")
    assert "training goes on from step" in second.stderr
    steps = [json.loads(line)["step"] for line in Path("run/legs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert 0 < steps[0] < steps[1]


def test_interrupting_it_keeps_what_was_learnt(folder):
    """A real process, a real signal: exit code 130, a checkpoint, no traceback."""
    command = [sys.executable, "-m", "wellposed", "train", SMOKE, "--data", "photos", "--run", "run", *QUICK]
    process = subprocess.Popen(
        [*map(str, command), "--steps", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = Path("run/train.csv")
    while process.poll() is None and not (log.exists() and log.read_text(encoding="utf-8").count("\n") > 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "it was interrupted" in output
    assert Path("run/checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "training.stps=1"], "training: unknown key 'stps'; did you mean 'steps'?"),
        (["--set", "training"], "expected an assignment such as 'optimiser.learning_rate=1e-4', got 'training'."),
        (["--device", "gpu"], "there is no device 'gpu' here"),
        (["--data", "none"], "data.photographs.folders[0]: no such folder: "),
        (["--set", "crop=500"], "no image holds a square of 500 pixels"),
        (["--set", "data.photographs.holdout=4"], "data.photographs: of 4 images 1 to 3 can be held out, got 4"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(folder, arguments, sentence):
    result = train("--run", "run", *arguments, code=2)
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(Path("run").glob("*.safetensors"))


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"],
    "accelerate launch": [
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes=2",
        "--num_machines=1",
        "--mixed_precision=no",
        "--dynamo_backend=no",
        "--num_cpu_threads_per_process=1",
        "--module",
    ],
}


@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS)
def test_two_processes_share_the_work_and_one_speaks(folder, launcher):
    """The losses are those of one process, and everything is printed once."""
    train("--run", "alone", "--steps", 4, "--set", "training.log_every=1", "--set", "training.accumulate=2")
    arguments = ["train", SMOKE, "--data", "photos", "--folder", "shared", *QUICK, "--steps", 4]
    arguments += ["--set", "training.log_every=1", "--set", "training.accumulate=2"]
    command = [sys.executable, "-m", *launcher, "wellposed", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("pictures to train on") == 1
    assert result.stdout.count("step 4 of 4, 16 crops") == 1
    alone, shared = (json.loads(Path(run, "legs.jsonl").read_text(encoding="utf-8")) for run in ("alone", "shared"))
    assert (alone["processes"], shared["processes"]) == (1, 2)
    assert shared["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert shared["after"] == pytest.approx(alone["after"], abs=0.01)
