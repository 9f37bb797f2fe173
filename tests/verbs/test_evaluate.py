"""Evaluation: the scores are those of the formulas, and depend on nothing but the image, its name and the seed."""

import json
import math

import pytest
import torch
from skimage.metrics import structural_similarity

from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, SolverError, UnknownNameError
from wellposed.data import TASKS, FixedGaussian, Task, get_task, write_image
from wellposed.operators import Mask
from wellposed.verbs.evaluate import Evaluation, Score, evaluate, run_trial


def image(seed=0, channels=3, size=16):
    """Return a smooth picture between 0 and 1."""
    coarse = torch.rand(1, channels, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def timeless(result):
    return [(row.psnr, row.ssim, row.naive_psnr, row.naive_ssim, row.naive) for row in result.rows]


def decibels(x_hat, x):
    return -10 * math.log10(float((x_hat - x).double().square().mean()))


def test_scores_are_those_of_the_formulas():
    """Not clipped: the estimate reaches above 1, and counts as it is."""
    x = image()
    x_hat = 1.3 * x
    (row,) = evaluate("denoise-easy", [x], lambda _y, _physics: x_hat).rows
    assert row.psnr == pytest.approx(decibels(x_hat, x), abs=1e-4)
    reference = structural_similarity(
        x_hat[0].numpy(),
        x[0].numpy(),
        channel_axis=0,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert row.ssim == pytest.approx(reference, abs=1e-4)


def test_the_naive_reconstruction_is_the_better_of_two():
    """Of 4x fewer pixels the adjoint is 16 times too dark; of noise alone both are the measurements."""
    x = image(size=32)
    trial = run_trial(get_task("sr4"), x, "adjoint", name="0")
    assert trial.score.naive == "pinv"
    assert torch.equal(trial.naive, trial.physics.operator.pinv(trial.y))
    assert trial.score.naive_psnr == pytest.approx(decibels(trial.naive, x), abs=1e-4)
    assert trial.score.psnr == pytest.approx(decibels(trial.physics.operator.adjoint(trial.y), x), abs=1e-4)
    assert trial.score.naive_psnr > trial.score.psnr + 5


def test_where_there_is_no_pseudo_inverse_the_adjoint_is_the_naive_reconstruction():
    class Hopeless(Mask):
        def _pinv(self, _y):
            raise SolverError

    task = Task(
        "hopeless", "", lambda x, _: Hopeless(torch.full((1, 1, 16, 16), 0.1), tuple(x.shape[1:])), FixedGaussian(0.01)
    )
    trial = run_trial(task, image(), "adjoint", name="0")
    assert trial.score.naive == "adjoint"
    assert torch.equal(trial.naive, trial.physics.operator.adjoint(trial.y))


def test_a_perfect_reconstruction_has_infinite_psnr_which_json_calls_null():
    """O19: not 80 dB, nor any other number that was made up."""
    x = image()
    result = evaluate("denoise-easy", [x], lambda _y, _physics: x)
    assert (result.rows[0].psnr, result.rows[0].ssim) == (math.inf, 1)
    assert json.loads(result.to_json())["rows"][0]["psnr"] is None


def test_the_image_is_fitted_to_the_task_and_the_whole_of_it_is_compared():
    """A valid blur sees less than the image; the metric asks for all of it."""
    shapes = []

    def method(y, physics):
        shapes.append((tuple(y.shape), physics.image_shape))
        return torch.zeros(1, *physics.image_shape)

    x = image(size=34)
    (row,) = evaluate("sr4", [x], method).rows
    assert row.psnr == pytest.approx(decibels(torch.zeros(1), x[..., :32, :32]), abs=1e-4)
    (row,) = evaluate("gaussian-easy", [x], method).rows
    assert row.psnr == pytest.approx(decibels(torch.zeros(1), x), abs=1e-4)
    assert shapes == [((1, 3, 8, 8), (3, 32, 32)), ((1, 3, 4, 4), (3, 34, 34))]


def test_a_margin_does_not_count():
    """An error of 0.1 in the outermost three pixels is seen with a margin of 2, and not with one of 3."""
    x = image(size=20)
    x_hat = x.clone()
    x_hat[..., :3, :] += 0.1
    scores = {
        margin: evaluate("denoise-easy", [x], lambda _y, _physics: x_hat, margin=margin).rows[0] for margin in (0, 2, 3)
    }
    assert scores[0].psnr == pytest.approx(-10 * math.log10(0.01 * 3 / 20), abs=1e-3)
    assert scores[2].psnr == pytest.approx(-10 * math.log10(0.01 * 1 / 16), abs=1e-3)
    assert (scores[3].psnr, scores[3].ssim) == (math.inf, 1)


@pytest.mark.parametrize("kind", ["tensor", "file"])
def test_other_images_and_their_order_change_nothing(tmp_path, kind):
    images = [image(seed) for seed in range(3)]
    if kind == "file":
        images = [tmp_path / f"{seed}.npy" for seed in range(3)]
        for seed, path in enumerate(images):
            write_image(path, image(seed))
    together = timeless(evaluate("inpaint-50", images, "adjoint"))
    assert len(set(together)) == 3
    assert timeless(evaluate("inpaint-50", images[:1], "adjoint")) == together[:1]
    if kind == "file":
        assert timeless(evaluate("inpaint-50", images[::-1], "adjoint")) == together[::-1]


def test_equal_images_are_measured_differently():
    rows = timeless(evaluate("inpaint-50", [image(), image()], "adjoint"))
    assert rows[0] != rows[1]


def test_the_seed_chooses_the_measurements():
    results = [timeless(evaluate("denoise-medium", [image()], "adjoint", seed=seed)) for seed in (0, 0, 1)]
    assert results[0] == results[1] != results[2]


def test_torch_is_left_alone():
    before = torch.get_rng_state()
    evaluate("inpaint-50", [image()], "adjoint")
    assert torch.equal(torch.get_rng_state(), before)


def test_images_are_left_alone():
    x = image()
    evaluate("inpaint-50", [x], lambda y, _physics: y.mul_(0))
    assert torch.equal(x, image())


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_evaluated(name):
    """MRI compares complex images; its truth is the luminance with phase zero."""
    result = evaluate(name, [image(size=32)], "adjoint")
    assert result.task == name
    assert all(math.isfinite(value) for value in result.mean().values())


def test_a_task_may_be_given_itself():
    task = get_task("denoise-hard")
    assert timeless(evaluate(task, [image()], "adjoint")) == timeless(evaluate("denoise-hard", [image()], "adjoint"))


def test_total_variation_beats_the_naive_reconstruction():
    result = evaluate("inpaint-50", [image()], "tv")
    assert result.method == "tv"
    assert result.mean()["psnr"] > result.mean()["naive_psnr"] + 5


def test_progress_is_told():
    done = []
    evaluate("denoise-easy", [image(), image(1)], "adjoint", callback=done.append)
    assert done == [1, 2]


def test_means_and_json():
    rows = (Score("a", 20.0, 0.5, 10.0, 0.25, "pinv", 1.0), Score("b", 30.0, 0.75, 20.0, 0.75, "adjoint", 3.0))
    result = Evaluation("sr4", "tv", 7, rows)
    mean = {"psnr": 25.0, "ssim": 0.625, "naive_psnr": 15.0, "naive_ssim": 0.5, "seconds": 2.0}
    assert result.mean() == mean
    described = json.loads(result.to_json())
    assert described == {
        "task": "sr4",
        "method": "tv",
        "seed": 7,
        "rows": [
            {
                "image": "a",
                "psnr": 20.0,
                "ssim": 0.5,
                "naive_psnr": 10.0,
                "naive_ssim": 0.25,
                "naive": "pinv",
                "seconds": 1.0,
            },
            {
                "image": "b",
                "psnr": 30.0,
                "ssim": 0.75,
                "naive_psnr": 20.0,
                "naive_ssim": 0.75,
                "naive": "adjoint",
                "seconds": 3.0,
            },
        ],
        "mean": mean,
        "data_range": 1.0,
    }


def test_a_method_is_known_by_its_name():
    def mine(y, physics):
        return y

    class Network(torch.nn.Module):
        def forward(self, y, _physics):
            return y

    assert evaluate("denoise-easy", [image()], mine).method == "mine"
    assert evaluate("denoise-easy", [image()], Network()).method == "Network"


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("denoise-esay", [image()]), UnknownNameError, "did you mean 'denoise-easy'"),
        (("sr4", [image()], "tvv"), UnknownNameError, "unknown method 'tvv'; did you mean 'tv'"),
        (("sr4", []), ArgumentError, "at least one image"),
        (("sr4", [image().numpy()]), DTypeError, "image 0 to be a torch.Tensor, got ndarray: convert"),
        (("sr4", "folder"), ArgumentError, "several images or paths, got 'folder': wp.data.list_images"),
        (("sr4", [255 * image()]), ArgumentError, r"^0: .*in \[0, 1\], got values from .* to 2\d\d.*: rescale"),
        (("sr4", [image() - 0.5]), ArgumentError, r"in \[0, 1\], got values from -0\."),
        (("sr4", [image() * torch.nan]), ArgumentError, "got values from nan to nan"),
        (("mri-x4", [image(channels=1) * 3j]), ArgumentError, r"in \[0, 1\], got values from"),
        (
            ("sr4", [torch.ones(2, 3, 16, 16)]),
            ShapeError,
            r"^0: .*one image of shape \(1, C, H, W\), got \(2, 3, 16, 16\)",
        ),
        (("sr4", [torch.ones(3, 16, 16)]), ShapeError, "one image of shape"),
        (("demosaic", [image(), image(channels=1)]), ShapeError, "^1: the task demosaic needs colour images"),
        (("sr4", [image()], lambda y, _physics: y), ShapeError, "psnr compares images of one shape"),
    ],
)
def test_bad_input(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate(*arguments)


def test_an_image_that_does_not_fit_is_named(tmp_path):
    write_image(tmp_path / "small.png", image(size=16))
    with pytest.raises(ShapeError, match=r"^small\.png: the task motion-easy needs images of at least 31 x 31"):
        evaluate("motion-easy", [tmp_path / "small.png"])
