"""From a recipe to trained weights: pictures are held out, networks start where they should, runs go on."""

import json
import signal
from dataclasses import replace

import pytest
import torch

from wellposed.core.errors import FormatError, TrainingError
from wellposed.data import write_image
from wellposed.models import RAM, DenoiserTiny, DRUNet, initialise_from_drunet, load_model, save_model
from wellposed.training import prepare, read_recipe
from wellposed.training.recipe import parse_recipe
from wellposed.training.recipe_reader import override

TINY = {
    "version": 1,
    "model": {"name": "DenoiserTiny", "arguments": {"channels": 3, "widths": [4, 8], "blocks": 1}},
    "data": {"photographs": {"kind": "photographs", "folders": ["pictures"], "holdout": 2}},
    "crop": 16,
    "problems": [{"task": "denoise-medium", "data": "photographs", "channels": 3, "batch": 2, "weight": 3.0}],
    "training": {
        "steps": 4,
        "batch": 1,
        "ema": 0.5,
        "log_every": 2,
        "validate_every": 2,
        "validation_batch": 2,
        "tensorboard": False,
        "panels": False,
    },
}


@pytest.fixture
def root(tmp_path):
    """Pictures whose mean brightness says which one they are."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        write_image(folder / f"{number}.png", torch.full((1, 3, 20, 24), number / 10))
    return tmp_path


def recipe(root, *settings):
    content = TINY
    for setting in settings:
        content = override(content, setting)
    return parse_recipe(content, str(root / "recipe.yaml")).on_machine("cpu")


def shades(store):
    return {round(10 * store.image(index).mean().item()) for index in range(len(store))}


def test_held_out_pictures_are_not_trained_on(root):
    """They are the same ones whatever the crops, also where some pictures are smaller than these."""
    write_image(root / "pictures" / "small.png", torch.full((1, 3, 17, 40), 0.8))
    (root / "pictures" / "broken.png").write_bytes(b"not a picture")
    held_out = []
    for crop, too_small in ((16, 0), (20, 1)):
        pictures = prepare(recipe(root, f"crop={crop}")).pictures["photographs"]
        assert shades(pictures.training) | shades(pictures.held_out) == {*range(7), 8}
        assert not shades(pictures.training) & shades(pictures.held_out)
        assert pictures.too_small == too_small
        assert [text.split()[0].rpartition("/")[2] for text in pictures.unusable] == ["broken.png"]
        held_out.append(shades(pictures.held_out))
    assert held_out[0] == held_out[1]
    assert len(held_out[0]) == 2


def test_problems_are_as_the_recipe_says(root):
    settings = ("problems[0].noise={sigma: [0.3, 0.3]}", "validation={crop: 12}")
    trainer = prepare(recipe(root, *settings)).trainer
    (exercise,), (validation,) = trainer.exercises, trainer.validation
    assert (exercise.batch, exercise.weight) == (2, 3.0)
    assert exercise.problem.name == "denoise-medium-colour"
    for problem, size in ((exercise.problem, 16), (validation.problem, 12)):
        y, physics, x = problem.batch(3, generator=torch.Generator().manual_seed(0))
        assert y.shape == x.shape == (3, 3, size, size)
        assert physics.noise.sigma.tolist() == pytest.approx([0.3] * 3)
    assert (exercise.problem.augment, validation.problem.augment) == (True, False)
    assert (validation.count, validation.margin) == (2, 0)


def test_margins_are_as_the_recipe_says(root):
    settings = "validation={problems: [{task: denoise-medium, data: photographs, channels: 3, margin: 3}]}"
    trainer = prepare(recipe(root, settings, "problems[0].margin=4")).trainer
    assert (trainer.exercises[0].margin, trainer.validation[0].margin) == (4, 3)


@pytest.mark.parametrize(("kind", "channels", "dtype"), [("photographs", 1, "uint8"), ("mri", 1, "uint16")])
def test_grey_pictures_are_kept_grey(root, kind, channels, dtype):
    grey = ("model.arguments.channels=1", f"data.photographs.kind={kind}", f"problems[0].channels={channels}")
    prepared = prepare(recipe(root, *grey))
    store = prepared.pictures["photographs"].training
    assert (store.channels, store.pixels.dtype) == (1, getattr(torch, dtype))
    assert prepared.trainer.exercises[0].problem.batch(2, generator=torch.Generator()).x.shape == (2, 1, 16, 16)


def test_computed_tomography_is_seen_through_the_lung_window(root):
    """A stored value of 1024 is water, 0 HU: 1200 above black, of 2000 to white."""
    write_image(root / "pictures" / "water.png", torch.full((1, 1, 20, 20), 1024 / 65535), bits=16)
    grey = ("model.arguments.channels=1", "data.photographs.kind=ct", "problems[0].channels=1")
    pictures = prepare(recipe(root, *grey)).pictures["photographs"]
    stores = (pictures.training, pictures.held_out)
    means = [store.image(index).mean().item() for store in stores for index in range(len(store))]
    assert min(abs(mean - 0.6) for mean in means) < 1e-4


def test_a_run_leaves_its_recipe_its_legs_and_a_denoiser(root, tmp_path):
    chosen = recipe(root)
    outcome = prepare(chosen, folder=tmp_path / "run").run()
    assert read_recipe(tmp_path / "run" / "recipe.yaml").on_machine("cpu") == chosen
    (leg,) = map(json.loads, (tmp_path / "run" / "legs.jsonl").read_text(encoding="utf-8").splitlines())
    assert (leg["step"], leg["crops"], leg["reason"], leg["recipe"]) == (4, 8, "finished", "recipe.yaml")
    assert leg["before"] == {"denoise-medium-colour": round(outcome.before["denoise-medium-colour"], 3)}
    assert leg["after"] == {"denoise-medium-colour": round(outcome.after["denoise-medium-colour"], 3)}
    assert leg["losses"].keys() == {"denoise-medium-colour"}
    best = load_model(tmp_path / "run" / "best.safetensors")
    assert isinstance(best, DenoiserTiny)
    if outcome.best_step == outcome.step:
        kept, trained = best.state_dict(), outcome.model.denoiser.state_dict()
        assert all(torch.equal(kept[name], trained[name]) for name in kept)


def test_a_run_goes_on_with_the_same_recipe_only(root, tmp_path):
    run = tmp_path / "run"
    whole = prepare(recipe(root), folder=tmp_path / "whole").run().model.state_dict()
    first = recipe(root)
    halves = [prepare(first, folder=run, resume=True) for _ in range(2)]
    requests = iter([signal.SIGINT])
    stopped = halves[0].run(resume=True, callback=lambda _: [signal.raise_signal(request) for request in requests])
    assert (stopped.reason, stopped.step) == ("interrupted", 2)
    finished = halves[1].run(resume=True)
    assert finished.step == 4
    assert all(torch.equal(weight, whole[name]) for name, weight in finished.model.state_dict().items())
    assert len((run / "legs.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    with pytest.raises(TrainingError, match=r"another recipe: .*recipe\.problems\[0\]\.weight was 3\.0 and is 2\.0"):
        prepare(recipe(root, "problems[0].weight=2"), folder=run).run(resume=True)


def test_it_starts_from_weights(root):
    torch.manual_seed(5)
    start = DenoiserTiny(channels=3, widths=(4, 8), blocks=1)
    save_model(root / "start.safetensors", start.half())
    model = prepare(recipe(root, "model.start={weights: start.safetensors}")).trainer.model.denoiser
    assert torch.equal(model.m_tail.weight, start.m_tail.weight.float())
    first, again = (prepare(recipe(root)).trainer.model.denoiser.m_tail.weight for _ in range(2))
    other = prepare(recipe(root, "training.seed=1")).trainer.model.denoiser.m_tail.weight
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_ram_starts_from_a_drunet(root):
    torch.manual_seed(5)
    drunet, ram = DRUNet(channels=3, widths=(32, 64, 128, 256)), RAM("small")
    save_model(root / "drunet.safetensors", drunet)
    initialise_from_drunet(ram, drunet, gain=0.25)
    settings = (
        "model={name: RAM, arguments: {size: small}}",
        "model.start={denoiser: drunet.safetensors, share: 0.25}",
    )
    started = prepare(recipe(root, *settings)).trainer.model
    for name in ("m_body.enc.1.conv1.weight", "m_head.conv0.weight", "m_up1.enc.0.gain"):
        assert torch.equal(started.get_parameter(name), ram.get_parameter(name))


def test_ram_starts_from_the_tiny_denoiser(root):
    torch.manual_seed(5)
    tiny = DenoiserTiny(channels=3, widths=(8, 16, 24))
    save_model(root / "tiny.safetensors", tiny)
    settings = ("model={name: RAM, arguments: {size: small}}", "model.start={denoiser: tiny.safetensors}")
    started = prepare(recipe(root, *settings)).trainer.model.eval()
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        torch.testing.assert_close(started.denoise(x, sigma=0.1), tiny.eval()(x, 0.1), rtol=1e-3, atol=1e-5)


def test_where_a_run_has_begun_its_start_is_not_looked_for(root, tmp_path):
    torch.manual_seed(5)
    save_model(root / "start.safetensors", DenoiserTiny(channels=3, widths=(4, 8), blocks=1))
    chosen = recipe(root, "model.start={weights: start.safetensors}")
    prepare(chosen, folder=tmp_path / "run").run()
    (root / "start.safetensors").unlink()
    assert prepare(chosen, folder=tmp_path / "run", resume=True).run(resume=True).step == 4
    with pytest.raises(FormatError, match=r"recipe\.yaml: model\.start\.weights: no such file"):
        prepare(chosen, folder=tmp_path / "other", resume=True)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("data.photographs.folders[0]=none", r"recipe\.yaml: data\.photographs\.folders\[0\]: no such folder: .*none"),
        ("data.photographs.folders[0]=recipe.txt", r"folders\[0\]: expected a folder, and .*recipe\.txt is a file"),
        ("data.photographs.folders[0]=empty", r"recipe\.yaml: data\.photographs: .*empty holds no image"),
        ("data.photographs.holdout=7", r"recipe\.yaml: data\.photographs: of 7 images 1 to 6 can be held out, got 7"),
        ("model.start={weights: nothing}", r"recipe\.yaml: model\.start\.weights: unknown weights 'nothing'"),
        ("model.start={weights: other.safetensors}", r"recipe\.yaml: model\.start\.weights: .*does not fit"),
    ],
)
def test_what_is_missing_is_answered_with_its_place(root, setting, sentence):
    (root / "empty").mkdir()
    (root / "recipe.txt").write_text("", encoding="utf-8")
    save_model(root / "other.safetensors", DenoiserTiny(channels=3, widths=(4, 6), blocks=1))
    with pytest.raises(FormatError, match=sentence):
        prepare(recipe(root, setting))


def test_the_root_of_the_data_may_be_elsewhere(root):
    moved = replace(recipe(root), file="/elsewhere/recipe.yaml")
    assert len(prepare(moved, root=root).pictures["photographs"].training) == 5
    with pytest.raises(FormatError, match="no such folder: /elsewhere/pictures"):
        prepare(moved)
