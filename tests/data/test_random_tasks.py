"""The training problems of table 5 of the RAM paper: families, ranges, and one operator for each image."""

import math
import pickle

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.tree import tree_leaves
from wellposed.data import RANDOM_TASKS, TASKS, get_task
from wellposed.operators import Blur, CartesianMRI, Downsample, Identity, Mask, ParallelBeam2D, Stack

TABLE = {
    "random-denoise": (Identity, (0.001, 0.2), (0.01, 1.0)),
    "random-deblur": (Blur, (0.01, 0.2), None),
    "random-deblur-circular": (Blur, (0.01, 0.2), None),
    "random-inpaint": (Mask, (0.01, 0.2), (0.01, 1.0)),
    "random-inpaint-channels": (Mask, (0.01, 0.1), None),
    "random-sr2": (Downsample, (0.001, 0.01), None),
    "random-sr4": (Downsample, (0.001, 0.01), None),
    "random-pansharpen": (Stack, (0.01, 0.1), None),
    "random-mri": (CartesianMRI, (0.0005, 0.1), None),
    "random-ct": (ParallelBeam2D, (1e-4, 0.01), None),
    "random-denoise-complex": (Identity, (0.001, 0.1), None),
    "random-inpaint-complex": (Mask, (0.01, 0.1), None),
}


def drawn(name, batch=400, channels=3, size=32, seed=0):
    """Return a task's images, measurements and physics; the images are small, since their content is not looked at."""
    task = get_task(name)
    x = task.fit(torch.rand(1, channels, size, size, generator=seeded(9)).expand(batch, -1, -1, -1))
    return x, *task.sample(x, generator=seeded(seed))


def test_the_table_is_whole_and_no_name_is_taken_twice():
    assert list(RANDOM_TASKS) == list(TABLE)
    assert [task.name for task in RANDOM_TASKS.values()] == list(TABLE)
    assert not RANDOM_TASKS.keys() & TASKS.keys()


@pytest.mark.parametrize("name", TABLE)
def test_levels_fill_the_range_of_the_table(name):
    """The smallest and largest of 400 draws lie within 3 percent of the ends but for a chance of 1e-5."""
    kind, (low, high), gains = TABLE[name]
    _, _, physics = drawn(name)
    sigma = physics.noise.sigma
    assert type(physics.operator) is kind
    assert sigma.shape == (400,)
    assert low <= sigma.min() < low + 0.03 * (high - low)
    assert high - 0.03 * (high - low) < sigma.max() <= high
    assert abs(sigma.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * 400)
    if gains is None:
        assert not hasattr(physics.noise, "gain")
    else:
        gain = physics.noise.gain[physics.noise.gain > 1e-7]
        assert 150 < len(gain) < 250
        assert gains[0] <= gain.min() < 0.05
        assert 0.95 < gain.max() <= gains[1]


def test_grey_images_are_deblurred_from_less_noise():
    assert drawn("random-deblur", channels=1)[2].noise.sigma.min() < 0.01


@pytest.mark.parametrize("name", TABLE)
def test_measurements_are_those_of_the_physics(name):
    """Each image has the noise of its own level: residuals over standard deviations have variance one."""
    x, y, physics = drawn(name, batch=8, size=64)
    clean = physics.operator(x)
    for noisy, exact, variance in zip(*map(tree_leaves, (y, clean, physics.noise.variance(clean))), strict=True):
        measured = (exact != 0).expand(exact.shape)
        residual = (noisy - exact)[measured] / variance[measured].sqrt()
        parts = torch.view_as_real(residual) if residual.is_complex() else residual
        assert parts.square().mean().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", [name for name in TABLE if "denoise" not in name and name != "random-pansharpen"])
def test_every_image_has_an_operator_of_its_own(name):
    _, _, physics = drawn(name, batch=6, size=64)
    value = next(iter(physics.operator.params.values()))
    assert len(value) == 6
    n_kinds = len({tuple(row.flatten().tolist()) for row in value})
    assert n_kinds == (2 if name.startswith("random-sr") else 6)


def test_blurs_are_of_motion_or_gaussian_in_equal_shares():
    """A Gaussian kernel has rank one and a motion kernel has not; both sum to one."""
    kernel = drawn("random-deblur")[2].operator.kernel[:, 0]
    torch.testing.assert_close(kernel.sum((1, 2)), torch.ones(400))
    second = torch.linalg.svdvals(kernel.double())[:, 1]
    is_gaussian = second < 1e-5
    assert abs(is_gaussian.sum() - 200) < 4 * math.sqrt(100)
    offset = torch.arange(31.0) - 15
    width = (kernel[is_gaussian].sum(2) * offset**2).sum(1).sqrt()
    assert width.min() < 0.7
    assert 4.0 < width.max() < 4.6


def test_blurs_may_be_circular():
    """By the same kernels, and every pixel is measured."""
    valid, circular = drawn("random-deblur"), drawn("random-deblur-circular")
    assert torch.equal(valid[2].operator.kernel, circular[2].operator.kernel)
    assert valid[1].shape[-2:] == (2, 2)
    assert circular[1].shape == circular[0].shape
    assert circular[2].operator.padding == "circular"


def test_motion_blurs_reach_from_the_easy_to_the_hard_ones():
    """The mean spread in pixels^2 is 4 for the published easy kernels and 39 for the hard ones."""
    kernel = drawn("random-deblur")[2].operator.kernel[:, 0]
    motion = kernel[torch.linalg.svdvals(kernel.double())[:, 1] > 1e-5]
    offset = torch.arange(31.0) - 15
    spread = (motion * (offset[:, None] ** 2 + offset**2)).sum((1, 2))
    assert spread.min() < 4
    assert 39 < spread.quantile(0.95) < 120


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("random-inpaint", 0.3, 0.9),
        ("random-inpaint-channels", 0.2, 0.9),
        ("random-inpaint-complex", 0.1, 0.9),
    ],
)
def test_the_fraction_of_pixels_is_uniform(name, low, high):
    kept = drawn(name)[2].operator.mask.mean((1, 2, 3))
    blur = 4 * 0.5 / 32
    assert low - blur < kept.min() < low + blur
    assert high - blur < kept.max() < high + blur
    assert abs(kept.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * 400)


@pytest.mark.parametrize(("name", "channels"), [("random-inpaint", 1), ("random-inpaint-channels", 3)])
def test_masks_are_shared_by_the_channels_or_are_not(name, channels):
    mask = drawn(name)[2].operator.mask
    assert mask.shape == (400, channels, 32, 32)
    assert len(mask.unique(dim=1).unbind(1)) == channels


@pytest.mark.parametrize("factor", [2, 4])
def test_super_resolution_is_bicubic_or_bilinear(factor):
    """The padded bilinear filter gives what the library's own does."""
    x, _, physics = drawn(f"random-sr{factor}", batch=64)
    low = physics.operator(x)
    known = torch.stack([Downsample(factor, (3, 32, 32), filter=name)(x[:1])[0] for name in ("bicubic", "bilinear")])
    distance = (low[:, None] - known).abs().amax((2, 3, 4))
    assert distance.amin(1).max() < 1e-6
    assert distance.amax(1).min() > 1e-3
    assert 16 < distance.argmin(1).sum() < 48


def test_pansharpening_sees_coarse_colours_and_fine_grey_values():
    x, (coarse, grey), physics = drawn("random-pansharpen", batch=2)
    assert (coarse.shape, grey.shape) == ((2, 3, 8, 8), (2, 1, 32, 32))
    expected, mean = physics.operator(x)
    torch.testing.assert_close(mean, x.mean(1, keepdim=True))
    torch.testing.assert_close(expected, Downsample(4, (3, 32, 32), filter="bilinear")(x))


def test_mri_acquires_a_fourth_or_an_eighth_of_the_columns():
    mask = drawn("random-mri", batch=100, size=128)[2].operator.mask
    columns = mask[:, 0, 0].sum(1)
    assert set(columns.tolist()) == {16.0, 32.0}
    assert 30 < (columns == 32).sum() < 70
    assert (mask == mask[:, :, :1]).all()


def test_ct_turns_ten_views_by_less_than_from_one_to_the_next():
    """And images as wide as the unit of length: upright rays of a flat image integrate to one."""
    beam = drawn("random-ct", batch=300, size=16)[2].operator
    torch.testing.assert_close(beam.angles.diff(dim=1), torch.full((300, 9), math.pi / 10))
    start = beam.angles[:, 0]
    assert 0 <= start.min() < 0.02
    assert math.pi / 10 - 0.02 < start.max() < math.pi / 10
    upright = beam.with_params(angles=torch.zeros(1, 10))
    torch.testing.assert_close(upright(torch.ones(1, 1, 16, 16))[0, 0, 0].amax(), torch.tensor(1.0))


@pytest.mark.parametrize("name", TABLE)
def test_draws_are_seeded_and_tasks_pickled(name):
    """S9 and S11: equal seeds give equal measurements, in another process too; other seeds give others."""
    x, y, _ = drawn(name, batch=2)
    again, _ = pickle.loads(pickle.dumps(get_task(name))).sample(x, generator=seeded(0))
    other, _ = get_task(name).sample(x, generator=seeded(1))
    for first, second, third in zip(*map(tree_leaves, (y, again, other)), strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, third)
