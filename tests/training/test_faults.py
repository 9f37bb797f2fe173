"""A full disk keeps the last good file; logs are cut, pictures are drawn, and folders stay clean."""

import csv
import json
import resource
import sys

import pytest
import torch
from safetensors.torch import save_file

import wellposed as wp
from tests.support.training import Toy, corrector, toy_trainer
from wellposed.core.errors import FormatError, TrainingError
from wellposed.training import Options, Trainer
from wellposed.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint, write_light, write_network
from wellposed.training.folder import held
from wellposed.training.journal import Table

NAMES = {".lock", "best.safetensors", "checkpoint.safetensors", "train.csv", "validation.csv"}


@pytest.fixture
def disk():
    """Return a function after which no file may become longer than so many bytes, as on a full disk."""
    unlimited, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, hard))


def test_a_full_disk_ends_the_run_and_the_last_good_checkpoint_stays(disk, tmp_path):
    """Checkpoints are due at steps 3, 6, ...; from step 5 on there is room for the log alone."""

    def fill(report):
        if report.step == 5:
            disk(2000)

    with pytest.raises(TrainingError, match=r"checkpoint.safetensors could not be written .* make room, then resume"):
        toy_trainer(tmp_path).run(callback=fill)
    disk(sys.maxsize)
    assert read_checkpoint(tmp_path).facts["step"] == 3
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert toy_trainer(tmp_path).run(resume=True).reason == "finished"


@pytest.mark.parametrize("write", ["checkpoint", "light", "network"])
def test_every_file_is_whole_or_the_one_before(write, disk, tmp_path):
    checkpoint = Checkpoint({"weights.a": torch.ones(1000)}, {"step": 1})
    actions = {
        "checkpoint": lambda: write_checkpoint(tmp_path / "checkpoint.safetensors", checkpoint),
        "light": lambda: write_light(tmp_path, checkpoint),
        "network": lambda: write_network(tmp_path / "best.safetensors", corrector()),
    }
    disk(300)
    with pytest.raises(TrainingError, match="could not be written"):
        actions[write]()
    disk(sys.maxsize)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_gives_back_what_it_took(tmp_path):
    """Also tensors that share memory, or are not contiguous."""
    base = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    checkpoint = Checkpoint(
        {"weights.a": base, "ema.a": base, "optimiser.step.a": torch.tensor(3.0)}, {"step": 7, "x": [1]}
    )
    write_checkpoint(tmp_path / "checkpoint.safetensors", checkpoint)
    again = read_checkpoint(tmp_path)
    assert again.facts == {"step": 7, "x": [1]}
    assert torch.equal(again.part("ema")["a"], base)
    assert set(again.part("optimiser")) == {"step.a"}


def test_light_files_are_small_and_all_needed(tmp_path):
    """40 MB of half precision are three files of at most 15 MB."""
    tensors = {f"weights.{i}": torch.full((1_000_000,), float(i)) for i in range(20)}
    tensors |= {
        "optimiser.exp_avg.0": torch.ones(1_000_000),
        "scale.scale": torch.ones(()),
        "weights.n": torch.tensor(5),
    }
    write_light(tmp_path, Checkpoint(tensors, {"step": 4}))
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [f"light-{i}-of-3.safetensors" for i in (1, 2, 3)]
    assert max(path.stat().st_size for path in files) < 15.1e6
    again = read_checkpoint(tmp_path)
    assert set(again.tensors) == {name for name in tensors if name.startswith("weights")}
    assert torch.equal(again.part("weights")["17"], tensors["weights.17"])
    assert again.part("weights")["n"].dtype == torch.int64
    files[1].unlink()
    with pytest.raises(FormatError, match="holds 2 of 3 light files"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_of_another_version_or_network_is_refused(tmp_path):
    header = json.dumps({"format": "wellposed training", "version": 99})
    save_file({"a": torch.ones(1)}, tmp_path / "newer.safetensors", metadata={"wellposed": header})
    with pytest.raises(FormatError, match="made by another version of wellposed"):
        read_checkpoint(tmp_path / "newer.safetensors")
    toy_trainer(tmp_path / "run", steps=3).run()
    other = wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4))
    with pytest.raises(FormatError, match=r"the checkpoint is one of another network: network.*does not fit Artifact"):
        Trainer(other, [Toy()], Options(steps=1)).run(resume=tmp_path / "run" / "checkpoint.safetensors")


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    left = tmp_path / f".{'0123456789abcdef' * 2}.safetensors"
    for path in (left, tmp_path / ".mine.safetensors", tmp_path / "notes.txt"):
        path.write_text("", encoding="utf-8")
    with held(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".lock", ".mine.safetensors", "notes.txt"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("", encoding="utf-8")
    with pytest.raises(FormatError, match="needs a folder"):
        toy_trainer(tmp_path / "run").run()


def test_rows_after_the_resumed_step_and_half_rows_are_cut(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("step,loss\n1,0.5\n2,0.25\n3,0.125\n4,0.06\n5,0.", encoding="utf-8")
    table = Table(path, ["loss", "new"], start=3)
    table.add({"step": 4, "loss": 0.0625, "new": 1})
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["step", "loss", "new"],
            ["1", "0.5", ""],
            ["2", "0.25", ""],
            ["3", "0.125", ""],
            ["4", "0.0625", "1"],
        ]
    Table(path, ["loss"], start=0)
    assert path.read_text(encoding="utf-8") == "step,loss\n"


def test_pictures_show_backprojection_reconstruction_and_truth(tmp_path):
    """Rows of images, columns of stages; the last column is the truth, to the eight bits of a PNG."""
    toy_trainer(tmp_path, steps=4, panels=True, validation_batch=3).run()
    names = sorted(path.name for path in (tmp_path / "panels").iterdir())
    assert names == ["00000000-held_out.png", "00000004-held_out.png"]
    panel = wp.data.read_image(tmp_path / "panels" / names[1])
    assert panel.shape == (1, 3, 3 * 12, 3 * 12)
    (batch,) = wp.data.problems.FixedProblem(Toy("held out"), 3)
    truth = torch.cat(list(batch.x), dim=-2)
    assert (panel[0, :1, :, 24:] - truth).abs().max() <= 0.5 / 255 + 1e-6
    measured = panel[0, :1, :, :12] > 0
    assert measured.float().mean() == pytest.approx(0.5, abs=0.1)


def test_tensorboard_has_the_losses_the_scores_and_the_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    toy_trainer(tmp_path, steps=4, tensorboard=True).run()
    log = EventAccumulator(str(tmp_path / "tensorboard"))
    log.Reload()
    assert [event.step for event in log.Scalars("train/loss/faint")] == [1, 2, 3, 4]
    assert [event.step for event in log.Scalars("validation/psnr")] == [0, 4]
    assert log.Tags()["images"] == ["validation/held out"]
