"""Scores without ground truth: any method, on measurements that are given or made, and they rank as the truth does."""

import json

import pytest
import torch

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.losses import Noise2Self, hold_out
from wellposed.verbs.evaluate import evaluate
from wellposed.verbs.measured import load_together

COARSE = torch.rand(1, 1, 5, 5, generator=seeded())
X = torch.nn.functional.interpolate(COARSE, size=48, mode="bicubic").clamp(0, 1)
HOLES = (torch.rand(1, 1, 48, 48, generator=seeded(1)) > 0.5).float()
PHYSICS = wp.Physics(wp.operators.Mask(HOLES), wp.noise.Gaussian(0.05))
Y = PHYSICS(X, generator=seeded(2))


def blind(method, measurements=((Y, PHYSICS),), **options):
    return evaluate(None, measurements, method, without_ground_truth=True, **options)


def constant(level):
    def method(y, physics):
        return torch.full_like(physics.A_adjoint(y), level)

    return method


def test_total_variation_foretells_the_missing_better_than_the_adjoint_does():
    """The truth says the same, and the error of the adjoint is the energy of what was kept back."""
    errors = {method: blind(method).mean()["error"] for method in ("adjoint", "tv")}
    assert errors["tv"] < 0.1 * errors["adjoint"]
    assert errors["adjoint"] == pytest.approx(float(X.square().mean()), rel=0.15)


def test_the_error_of_a_constant_is_what_it_is_and_the_level_of_the_noise_is_taken_away():
    for level in (0.0, 0.5):
        truth = float((X - level).square().mean())
        assert blind(constant(level)).mean()["error"] == pytest.approx(truth, rel=0.15)


def test_the_images_of_a_task_are_measured_and_then_forgotten():
    for method in ("adjoint", "tv"):
        row = evaluate("denoise-medium", [X], method, without_ground_truth=True).rows[0]
        truth = 10 ** (-evaluate("denoise-medium", [X], method).rows[0].psnr / 10)
        assert row.scheme == "recorruption"
        assert row.error == pytest.approx(truth, rel=0.25, abs=2e-4)


def test_a_row_depends_on_its_name_and_the_seed_alone(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for path in paths:
        wp.save_measurements(path, Y, PHYSICS)
    first, second = blind("adjoint", paths).rows
    assert blind("adjoint", paths[1:]).rows[0].error == second.error != first.error
    assert blind("adjoint", paths, seed=1).rows[0].error != first.error
    assert [first.name, second.name] == ["a.safetensors", "b.safetensors"]


def test_a_network_is_used_as_its_loss_does():
    class Copy(torch.nn.Module):
        def forward(self, y, _physics):
            return y

    noisy = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.2))
    sets = [(noisy(X.expand(20, 1, 48, 48), generator=seeded()), noisy)]
    plain, hidden = (blind(Copy(), sets, loss=loss).mean()["error"] for loss in (None, Noise2Self()))
    assert plain == pytest.approx(0.04 / 0.9, rel=0.1)
    assert hidden < 0.5 * plain


def test_the_report_is_json():
    done = []
    result = blind("auto", callback=done.append)
    content = json.loads(result.to_json())
    assert content["method"] == result.method == "dpir"
    assert content["rows"][0]["error"] == content["mean"]["error"] == result.mean()["error"]
    assert done == [1]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ArgumentError, match="pairs"):
        blind("adjoint", [Y])
    with pytest.raises(ArgumentError, match="at least one"):
        blind("adjoint", [])
    with pytest.raises(ArgumentError, match="neither batch nor margin"):
        blind("adjoint", margin=2)
    with pytest.raises(ArgumentError, match="without_ground_truth=True"):
        evaluate(None, [X], "adjoint")
    stack = wp.operators.Stack([PHYSICS.operator, PHYSICS.operator])
    with pytest.raises(UnsupportedError, match="0: R2R"):
        blind("adjoint", [((Y, Y), wp.Physics(stack))])


def test_several_files_are_one_batch_whose_parameters_may_differ(tmp_path):
    paths = []
    for number, sigma in enumerate((0.1, 0.2, 0.2)):
        mask = (torch.rand(1, 1, 48, 48, generator=seeded(number)) > 0.5).float()
        physics = wp.Physics(wp.operators.Mask(mask), wp.noise.Gaussian(sigma))
        paths.append(tmp_path / f"{number}.safetensors")
        wp.save_measurements(paths[-1], physics(X), physics)
    y, physics = load_together(paths)
    assert y.shape == (3, 1, 48, 48)
    assert physics.operator.mask.shape == (3, 1, 48, 48)
    torch.testing.assert_close(physics.noise.sigma, torch.tensor([0.1, 0.2, 0.2]))
    for number, path in enumerate(paths):
        one, its = wp.load_measurements(path)
        assert torch.equal(y[number], one[0])
        assert torch.equal(physics.operator.mask[number], its.operator.mask[0])
    wp.save_measurements(paths[0], X, wp.Physics(wp.operators.Identity()))
    with pytest.raises(wp.core.errors.FormatError, match="one by one"):
        load_together(paths)
    with pytest.raises(MissingFileError):
        load_together([tmp_path / "none.safetensors"])


def test_a_share_that_is_kept_back_is_never_shown():
    held_out = hold_out(Y, PHYSICS, generator=seeded())
    assert blind(lambda y, physics: physics.A_adjoint(y)).rows[0].scheme == held_out.scheme == "splitting"
