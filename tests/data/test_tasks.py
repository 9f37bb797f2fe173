"""Tasks: the published numbers, reproducible draws, and images that are made to fit or refused."""

import pickle
from dataclasses import replace

import pytest
import torch

from wellposed.core.errors import DTypeError, ShapeError, UnknownNameError
from wellposed.core.rng import streams
from wellposed.data import RANDOM_TASKS, TASKS, FixedGaussian, gaussian_kernel, get_task, motion_kernel
from wellposed.noise import Gaussian
from wellposed.operators import (
    BayerMosaic,
    Blur,
    CartesianMRI,
    Downsample,
    Identity,
    Mask,
    NonCartesianMRI,
    ParallelBeam2D,
)

PUBLISHED = {
    "denoise-easy": (Identity, 0.01),
    "denoise-medium": (Identity, 0.05),
    "denoise-0.1": (Identity, 0.1),
    "denoise-hard": (Identity, 0.2),
    "denoise-15": (Identity, 15 / 255),
    "denoise-25": (Identity, 25 / 255),
    "denoise-50": (Identity, 50 / 255),
    "motion-easy": (Blur, 0.01),
    "motion-medium": (Blur, 0.05),
    "motion-hard": (Blur, 0.1),
    "gaussian-easy": (Blur, 0.01),
    "gaussian-medium": (Blur, 0.05),
    "gaussian-hard": (Blur, 0.1),
    "inpaint-50": (Mask, 0.01),
    "sr2": (Downsample, 0.01),
    "sr4": (Downsample, 0.01),
    "sr4-clean": (Downsample, 0.0),
    "demosaic": (BayerMosaic, 0.01),
    "mri-x4": (CartesianMRI, 5e-4),
    "mri-x8": (CartesianMRI, 5e-4),
    "mcmri-x8": (CartesianMRI, 5e-4),
    "radial-x4": (NonCartesianMRI, 5e-4),
    "ct-10": (ParallelBeam2D, 0.01),
    "ct-51": (ParallelBeam2D, 1e-4),
    "ct-51-poisson": (ParallelBeam2D, None),  # photon noise, and noise relative to the image: test_ct_tasks.py
    "ldct-180": (ParallelBeam2D, None),
}

MEASURED = {"gaussian": (3, 34, 50), "motion": (3, 34, 50), "denoise": (3, 64, 80), "inpaint": (3, 64, 80)} | {
    "sr2": (3, 32, 40),
    "sr4": (3, 16, 20),
    "sr4-clean": (3, 16, 20),
    "demosaic": (1, 64, 80),
    "mri": (1, 64, 80),
    "mcmri-x8": (15, 64, 80),
    "radial-x4": (1, 31, 80),
    "ct-10": (1, 10, 103),
    "ct-51": (1, 51, 103),
    "ct-51-poisson": (1, 51, 103),
    "ldct-180": (1, 180, 103),
}
"""Shapes of the measurements of a colour image of 64 x 80 pixels."""


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def photograph(batch=2, channels=3, height=64, width=80):
    return torch.rand(batch, channels, height, width, generator=seeded(9))


def test_every_task_is_known_here():
    assert set(TASKS) == set(PUBLISHED)
    assert [task.name for task in TASKS.values()] == list(TASKS)
    assert len({task.summary for task in TASKS.values()}) == len(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_measurements_have_the_published_operator_and_noise(name):
    """S3: y - A(x) has the noise level asked for, within four standard errors, wherever anything is measured."""
    operator_class, sigma = PUBLISHED[name]
    task = get_task(name)
    x = task.fit(photograph())
    before = x.clone()
    y, physics = task.sample(x, generator=seeded(0))
    assert type(physics.operator) is operator_class
    assert y.shape[1:] == MEASURED[name if name in MEASURED else name.split("-")[0]]
    assert torch.equal(x, before)
    if sigma is None:
        return
    clean = physics.operator(x)
    noise = (torch.view_as_real(y - clean) if y.is_complex() else y - clean)[clean != 0]
    assert abs(noise.std() - sigma) <= 4 * sigma / (2 * noise.numel()) ** 0.5
    assert abs(noise.mean()) <= 4 * sigma / noise.numel() ** 0.5


@pytest.mark.parametrize("name", TASKS)
def test_draws_are_seeded(name):
    """S9: equal seeds give equal measurements, other seeds others, and `torch.manual_seed` is honoured."""
    task = get_task(name)
    x = task.fit(photograph())
    first, physics = task.sample(x, generator=seeded(0))
    again, again_physics = task.sample(x, generator=seeded(0))
    assert torch.equal(first, again)
    for parameter, value in physics.operator.params.items():
        assert torch.equal(value, again_physics.operator.params[parameter])
    nothing_is_random = name == "sr4-clean"
    assert torch.equal(first, task.sample(x, generator=seeded(1))[0]) == nothing_is_random
    with torch.random.fork_rng():
        torch.manual_seed(0)
        default = task.sample(x)[0]
        torch.manual_seed(0)
        assert torch.equal(default, task.sample(x)[0])


@pytest.mark.parametrize("name", ["motion-medium", "inpaint-50", "mri-x4"])
def test_the_operator_does_not_depend_on_the_noise_level_and_differs_in_a_batch(name):
    task = get_task(name)
    x = task.fit(photograph(batch=3))
    parameter = "kernel" if name.startswith("motion") else "mask"
    _, physics = task.sample(x, generator=seeded(4))
    _, noisier = replace(task, noise=FixedGaussian(0.7)).sample(x, generator=seeded(4))
    drawn = physics.operator.params[parameter]
    assert torch.equal(drawn, noisier.operator.params[parameter])
    assert drawn.shape[0] == 3
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize(
    ("level", "length_scale", "std"), [("easy", 0.1, 0.1), ("medium", 0.6, 0.5), ("hard", 1.2, 1.0)]
)
def test_motion_kernels_are_the_published_ones(level, length_scale, std):
    _, physics = get_task(f"motion-{level}").sample(photograph(), generator=seeded(5))
    stream = streams(seeded(5), "operator")["operator"]
    expected = motion_kernel(2, length_scale=length_scale, std=std, size=31, generator=stream)
    assert torch.equal(physics.operator.kernel, expected)
    assert physics.operator.padding == "valid"


@pytest.mark.parametrize(("level", "width"), [("easy", 1.0), ("medium", 2.0), ("hard", 4.0)])
def test_gaussian_kernels_are_the_published_ones(level, width):
    _, physics = get_task(f"gaussian-{level}").sample(photograph(), generator=seeded(5))
    torch.testing.assert_close(physics.operator.kernel, gaussian_kernel(width, 31))
    assert physics.operator.padding == "valid"


@pytest.mark.parametrize(("name", "columns", "center"), [("mri-x4", 32, 10), ("mri-x8", 16, 5)])
def test_mri_masks_are_fastmris(name, columns, center):
    """Of 128 columns a fourth with 8 percent in the centre, or an eighth with 4 percent; lines run along the height."""
    task = get_task(name)
    _, physics = task.sample(task.fit(photograph(width=128)), generator=seeded(0))
    mask = physics.operator.mask
    assert mask.shape == (2, 1, 64, 128)
    assert (mask == mask[:, :, :1]).all()
    assert (mask[:, 0, 0].sum(1) == columns).all()
    first = 64 - center // 2
    assert mask[..., first : first + center].all()


def test_inpainting_hides_the_same_half_in_all_channels():
    _, physics = get_task("inpaint-50").sample(photograph(), generator=seeded(0))
    mask = physics.operator.mask
    assert mask.shape == (2, 1, 64, 80)
    assert abs(mask.mean() - 0.5) < 4 * 0.5 / mask.numel() ** 0.5


@pytest.mark.parametrize("factor", [2, 4])
def test_super_resolution_is_bicubic_by_its_factor(factor):
    x = photograph()
    _, physics = get_task(f"sr{factor}").sample(x, generator=seeded(0))
    assert torch.equal(physics.operator(x), Downsample(factor, (3, 64, 80), filter="bicubic")(x))


def test_demosaicking_keeps_red_green_green_blue():
    x = photograph()
    _, physics = get_task("demosaic").sample(x, generator=seeded(0))
    mosaic = physics.operator(x)[:, 0]
    assert torch.equal(mosaic[:, ::2, ::2], x[:, 0, ::2, ::2])
    assert torch.equal(mosaic[:, ::2, 1::2], x[:, 1, ::2, 1::2])
    assert torch.equal(mosaic[:, 1::2, ::2], x[:, 1, 1::2, ::2])
    assert torch.equal(mosaic[:, 1::2, 1::2], x[:, 2, 1::2, 1::2])


@pytest.mark.parametrize("name", TASKS)
def test_double_precision_stays_double(name):
    task = get_task(name)
    x = task.fit(photograph(batch=1).double())
    y, physics = task.sample(x, generator=seeded(0))
    assert y.dtype == x.dtype
    assert physics.operator(x).dtype == x.dtype


@pytest.mark.parametrize(
    ("name", "height", "width"), [("sr2", 66, 72), ("sr4", 64, 72), ("demosaic", 66, 72), ("motion-hard", 67, 73)]
)
def test_fit_crops_at_the_bottom_and_right(name, height, width):
    x = photograph(height=67, width=73)
    task = get_task(name)
    fitted = task.fit(x)
    assert torch.equal(fitted, x[..., :height, :width])
    assert torch.equal(task.fit(fitted), fitted)


def test_fit_gives_grey_tasks_the_luminance():
    x = photograph()
    task = replace(get_task("denoise-easy"), images="grey")
    torch.testing.assert_close(task.fit(x), 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:])
    assert torch.equal(task.fit(x[:, :1]), x[:, :1])
    with pytest.raises(DTypeError, match="expects real images"):
        task.fit(torch.complex(x, x))
    with pytest.raises(ShapeError, match=r"makes them \(2, 1, 64, 80\)"):
        task.sample(x)


def test_levels_may_differ_between_the_images_of_a_batch():
    """A noise family of one's own: the second image has three times the noise of the first."""
    task = replace(get_task("denoise-easy"), noise=lambda *_: Gaussian(torch.tensor([0.1, 0.3])))
    x = photograph()
    y, physics = task.sample(x, generator=seeded(0))
    assert physics.noise.sigma.tolist() == pytest.approx([0.1, 0.3])
    assert (y - x).std((1, 2, 3)).tolist() == pytest.approx([0.1, 0.3], rel=0.03)


def test_fit_gives_mri_the_luminance_with_phase_zero():
    x = photograph()
    fitted = get_task("mri-x4").fit(x)
    assert fitted.dtype == torch.complex64
    torch.testing.assert_close(fitted.real, 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:])
    assert not fitted.imag.any()
    assert torch.equal(get_task("mri-x4").fit(x[:, :1]).real, x[:, :1])
    complex_coils = torch.complex(x, x.flip(1))
    assert torch.equal(get_task("mri-x4").fit(complex_coils), complex_coils)


@pytest.mark.parametrize(
    ("name", "image", "error", "sentence"),
    [
        ("motion-easy", (1, 3, 30, 64), ShapeError, "motion-easy needs images of at least 31 x 31 pixels, got 30 x 64"),
        ("gaussian-hard", (1, 1, 64, 8), ShapeError, "gaussian-hard needs images of at least 31 x 31"),
        ("sr4", (1, 1, 3, 8), ShapeError, "at least 4 x 4 pixels, got 3 x 8: use larger images"),
        ("mri-x8", (1, 1, 16, 7), ShapeError, "at least 8 x 8 pixels"),
        ("demosaic", (1, 1, 8, 8), ShapeError, r"needs colour images \(B, 3, H, W\), got \(1, 1, 8, 8\)"),
        ("mri-x4", (1, 2, 8, 8), ShapeError, "C = 1 or 3"),
        ("denoise-easy", (3, 8, 8), ShapeError, r"add the batch axis with x\[None\]"),
    ],
)
def test_images_that_do_not_fit_are_refused(name, image, error, sentence):
    with pytest.raises(error, match=sentence):
        get_task(name).fit(torch.rand(image))
    with pytest.raises(error, match=sentence):
        get_task(name).sample(torch.rand(image))


def test_integers_and_complex_colours_are_refused():
    with pytest.raises(DTypeError, match=r"x.float\(\) / 255"):
        get_task("sr2").fit(torch.ones(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(DTypeError, match="expects real images"):
        get_task("demosaic").fit(torch.ones(1, 3, 8, 8, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sr4", r"makes them \(2, 3, 64, 72\) and torch.float32"),
        ("mri-x4", r"x = task.fit\(x\) makes them \(2, 1, 67, 73\) and torch.complex64"),
    ],
)
def test_sample_does_not_repair_silently(name, sentence):
    with pytest.raises(ShapeError, match=sentence):
        get_task(name).sample(photograph(height=67, width=73))


def test_training_tasks_are_found_by_name_too():
    assert get_task("random-deblur") is RANDOM_TASKS["random-deblur"]


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'random-deblur'"):
        get_task("random-deblurr")
    with pytest.raises(UnknownNameError, match="unknown task 'moton-medium'; did you mean 'motion-medium'"):
        get_task("moton-medium")


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_pickled_for_worker_processes(name):
    """S11: what a data loader sends to its workers draws the same there."""
    task = get_task(name)
    x = task.fit(photograph(batch=1))
    copy = pickle.loads(pickle.dumps(task))
    assert torch.equal(copy.sample(x, generator=seeded(2))[0], task.sample(x, generator=seeded(2))[0])


def test_multi_coil_mri_has_fifteen_coils_that_are_turned_for_each_image():
    task = get_task("mcmri-x8")
    _, physics = task.sample(task.fit(photograph(width=128)), generator=seeded(0))
    maps, mask = physics.operator.coil_maps, physics.operator.mask
    assert maps.shape == (2, 15, 64, 128)
    torch.testing.assert_close(maps.abs().square().sum(1), torch.ones(2, 64, 128))
    assert (maps[0] - maps[1]).abs().max() > 0.1
    assert (mask[:, 0, 0].sum(1) == 16).all()
