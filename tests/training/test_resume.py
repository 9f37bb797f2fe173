"""Runs that are killed, stopped, shared or light: what comes of them is what an undisturbed run gives."""

import csv
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.support import training
from tests.support.training import toy_trainer
from wellposed.core.errors import FormatError, TrainingError
from wellposed.core.files import MissingFileError

ROOT = Path(__file__).resolve().parents[2]
STEPS = 30
TIMES = {"minutes", "crops_per_second"}


@pytest.fixture(scope="module")
def start():
    """Start a run in a process of its own, which is forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "accelerate", "filelock", "wellposed.training"])

    def start_in(folder, *arguments):
        process = context.Process(target=training.run_in, args=(folder, *arguments))
        process.start()
        return process

    return start_in


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    toy_trainer(folder, steps=STEPS).run()
    return folder


def rows(folder, name):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def facts(folder):
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["wellposed"])


def assert_same_run(folder, other):
    """Bit by bit: weights, average, optimiser, best weights, and every logged number that is not a time."""
    got, expected = load_file(folder / "checkpoint.safetensors"), load_file(other / "checkpoint.safetensors")
    assert got.keys() == expected.keys()
    assert [name for name in got if not torch.equal(got[name], expected[name])] == []
    assert {**facts(folder), "minutes": 0} == {**facts(other), "minutes": 0}
    assert (folder / "best.safetensors").read_bytes() == (other / "best.safetensors").read_bytes()
    for name in ("train.csv", "validation.csv"):
        assert rows(folder, name) == rows(other, name)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.001)


def wait_for_step(folder, step):
    """Wait until the log has the row of a step."""
    log = folder / "train.csv"
    wait_for(lambda: log.exists() and f"\n{step}," in log.read_text(encoding="utf-8"))


def test_killed_at_random_moments_and_resumed_it_ends_as_if_undisturbed(start, undisturbed, tmp_path):
    """SIGKILL to a real process, three times, somewhere between two log rows; no moment may matter."""
    draw = random.Random(time.time_ns())
    kills = 0
    for step in sorted(draw.sample(range(2, STEPS - 8), 3)):
        process = start(tmp_path, STEPS)
        wait_for_step(tmp_path, step)
        time.sleep(0.03 * draw.random())
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills == 3
    process = start(tmp_path, STEPS)
    process.join()
    assert process.exitcode == 0
    assert_same_run(tmp_path, undisturbed)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".") and path.name != ".lock"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_a_checkpoint(number, start, undisturbed, tmp_path):
    process = start(tmp_path, STEPS)
    wait_for_step(tmp_path, 5)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "reason").read_text(encoding="utf-8") == "interrupted"
    assert STEPS > facts(tmp_path)["step"] == int(rows(tmp_path, "train.csv")[-1]["step"]) >= 5
    toy_trainer(tmp_path, steps=STEPS).run(resume=True)
    assert_same_run(tmp_path, undisturbed)


def test_one_folder_has_one_run_at_a_time(start, tmp_path):
    """The hold is that of the process: it ends when that is killed."""
    process = start(tmp_path, 10**6)
    wait_for_step(tmp_path, 2)
    with pytest.raises(TrainingError, match="another run is at work in"):
        toy_trainer(tmp_path, steps=10**6).run(resume=True)
    process.kill()
    process.join()
    assert toy_trainer(tmp_path, steps=10**6).run(resume=True, max_minutes=1e-4).reason == "time"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_two_processes_give_what_one_gives(undisturbed, tmp_path):
    """Real processes under torchrun, joined by gloo; takes as long as three imports of torch."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [*command, "-m", "tests.support.training", str(tmp_path), str(STEPS)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    for got, expected in zip(rows(tmp_path, "train.csv"), rows(undisturbed, "train.csv"), strict=True):
        assert {key: float(value) for key, value in got.items()} == pytest.approx(
            {key: float(value) for key, value in expected.items()}, rel=1e-3
        )
    assert facts(tmp_path)["psnr"] == pytest.approx(facts(undisturbed)["psnr"], rel=1e-3)
    got, expected = load_file(tmp_path / "checkpoint.safetensors"), load_file(undisturbed / "checkpoint.safetensors")
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], rtol=1e-3, atol=1e-5)


def test_a_run_in_legs_is_the_run(undisturbed, tmp_path):
    """Ended by the clock wherever it was, and resumed, until it is done."""
    legs = 0
    while not (tmp_path / "checkpoint.safetensors").exists() or facts(tmp_path)["step"] < STEPS:
        toy_trainer(tmp_path, steps=STEPS).run(resume=True, max_minutes=0.002)
        legs += 1
    assert legs > 1
    got, expected = load_file(tmp_path / "checkpoint.safetensors"), load_file(undisturbed / "checkpoint.safetensors")
    assert [name for name in expected if not torch.equal(got[name], expected[name])] == []
    assert rows(tmp_path, "train.csv") == rows(undisturbed, "train.csv")


def test_what_is_done_stays_done(undisturbed, tmp_path):
    toy_trainer(tmp_path, steps=3).run()
    before = load_file(tmp_path / "checkpoint.safetensors")
    outcome = toy_trainer(tmp_path, steps=3).run(resume=True)
    assert (outcome.reason, outcome.step) == ("finished", 3)
    after = load_file(tmp_path / "checkpoint.safetensors")
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_a_light_checkpoint_goes_on_in_half_precision_with_a_learning_rate_that_rises_again(tmp_path):
    home, away = tmp_path / "home", tmp_path / "away"
    first = toy_trainer(home, light=True, rewarm=4, schedule="constant", warmup=0).run(max_minutes=0.003)
    away.mkdir()
    for path in home.glob("light-*.safetensors"):
        (away / path.name).write_bytes(path.read_bytes())
    assert sum(path.stat().st_size for path in away.iterdir()) < (home / "checkpoint.safetensors").stat().st_size / 2
    reports = []
    steps = first.step + 6
    trainer = toy_trainer(tmp_path / "new", rewarm=4, schedule="constant", warmup=0, steps=steps)
    trainer.run(resume=away, callback=reports.append)
    rates = {report.step: report.learning_rate for report in reports}
    assert list(rates.values()) == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01])
    assert facts(tmp_path / "new")["rewarmed_at"] == first.step
    light = load_file(next(home.glob("light-*.safetensors")))
    full = load_file(home / "checkpoint.safetensors")
    for name, tensor in light.items():
        assert torch.equal(tensor, full[name].half())


def test_rewarming_survives_a_resume(tmp_path):
    """A run that lost its optimiser, then is stopped and resumed, is the run that lost it and was not stopped."""
    toy_trainer(tmp_path / "home", light=True, steps=4).run()
    (tmp_path / "home" / "checkpoint.safetensors").unlink()
    for name, minutes in (("whole", [None]), ("legs", [0.0005] * 5 + [None])):
        for limit in minutes:
            source = tmp_path / "home" if not (tmp_path / name / "checkpoint.safetensors").exists() else True
            toy_trainer(tmp_path / name, rewarm=20, steps=20).run(resume=source, max_minutes=limit)
    whole, legs = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "legs"))
    assert [name for name in whole if not torch.equal(whole[name], legs[name])] == []


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    toy_trainer(tmp_path, steps=3).run()
    with pytest.raises(TrainingError, match="holds a run already: resume it, or name another folder"):
        toy_trainer(tmp_path, steps=3).run()


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    toy_trainer(tmp_path, steps=3).run()
    with pytest.raises(TrainingError, match=r"another recipe: options.learning_rate was 0.01 and is 0.02\."):
        toy_trainer(tmp_path, steps=3, learning_rate=0.02).run(resume=True)
    trainer = toy_trainer(tmp_path, steps=3)
    trainer.recipe = {"data": "elsewhere"}
    with pytest.raises(TrainingError, match=r"recipe.data was None and is 'elsewhere'"):
        trainer.run(resume=True)
    assert toy_trainer(tmp_path, steps=3, log_every=2, light=True).run(resume=True).step == 3


def test_bad_checkpoints_are_one_sentence(tmp_path):
    with pytest.raises(MissingFileError, match=r"no such file"):
        toy_trainer(tmp_path).run(resume=tmp_path / "none.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="holds no checkpoint"):
        toy_trainer(tmp_path).run(resume=tmp_path / "empty")
    toy_trainer(tmp_path / "run", steps=3).run()
    with pytest.raises(FormatError, match="no checkpoint of a training run"):
        toy_trainer(tmp_path).run(resume=tmp_path / "run" / "best.safetensors")
    whole = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(whole[:-10])
    with pytest.raises(FormatError, match="it is truncated"):
        toy_trainer(tmp_path / "run", steps=3).run(resume=True)
