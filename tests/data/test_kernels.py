"""Kernels against closed forms and against the measured statistics of published ones."""

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.data import gaussian_kernel, motion_kernel


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_gaussian_kernel_is_scipys(sigma):
    """scipy filters a delta with the same sampled, normalised Gaussian when it is cut at the same radius."""
    delta = torch.zeros(31, 31, dtype=torch.float64)
    delta[15, 15] = 1
    expected = torch.from_numpy(gaussian_filter(delta.numpy(), sigma, radius=15, mode="constant"))
    kernel = gaussian_kernel(torch.tensor(sigma, dtype=torch.float64))
    torch.testing.assert_close(kernel[0, 0], expected, rtol=1e-12, atol=0)


def test_gaussian_kernel_of_even_size_is_centred_at_half_its_size():
    kernel = gaussian_kernel(0.5, size=6)
    assert kernel.shape == (1, 1, 6, 6)
    assert divmod(int(kernel.argmax()), 6) == (3, 3)


def test_gaussian_kernel_of_a_batch_equals_its_items():
    sigma = torch.tensor([0.7, 3.0])
    batch = gaussian_kernel(sigma, size=9)
    assert batch.shape == (2, 1, 9, 9)
    for kernel, value in zip(batch, sigma, strict=True):
        torch.testing.assert_close(kernel[None], gaussian_kernel(value.item(), size=9))
    torch.testing.assert_close(batch.sum(dim=(-2, -1)), torch.ones(2, 1))


def test_gaussian_kernel_is_differentiable_in_sigma():
    sigma = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: gaussian_kernel(s, size=5), sigma)


def test_gaussian_kernel_with_a_narrow_sigma_is_a_delta():
    """The weights underflow everywhere but in the centre; nothing divides by zero."""
    kernel = gaussian_kernel(1e-3, size=5)
    assert kernel.sum() == 1
    assert kernel[0, 0, 2, 2] == 1


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_gaussian_kernel_refuses_a_sigma_that_is_not_positive(sigma):
    with pytest.raises(ArgumentError, match="positive sigma"):
        gaussian_kernel(sigma)


def test_gaussian_kernel_refuses_wrong_shapes():
    with pytest.raises(ShapeError, match="one value per image"):
        gaussian_kernel(torch.ones(2, 1))
    with pytest.raises(ArgumentError, match="one pixel or more, a whole number, got 0"):
        gaussian_kernel(1.0, size=0)


PUBLISHED = {
    (0.1, 0.1): {"spread": (3.92856, 1.51532), "pixels": (19.94647, 4.37046), "peak": (0.15471, 0.04503)},
    (0.6, 0.5): {"spread": (26.98109, 21.14591), "pixels": (25.5873, 7.33997), "peak": (0.13689, 0.0602)},
    (1.2, 1.0): {"spread": (38.77062, 28.46241), "pixels": (49.40785, 8.90418), "peak": (0.07661, 0.02248)},
}
"""Mean and standard deviation, over 40000 kernels of 31 x 31 pixels of DeepInverse 0.5.0's MotionBlurGenerator by
(length scale, standard deviation), of the second moment about the centre in pixels^2, of the number of pixels that are
not zero, and of the largest value."""

PUBLISHED_OFFSET = {(0.1, 0.1): 0.00254, (0.6, 0.5): 0.04444, (1.2, 1.0): 0.23516}
"""Mean squared distance of the centre of mass from the centre of the kernel, in pixels^2, of the same kernels."""


def statistics(kernel):
    kernel = kernel[:, 0].double()
    offset = torch.arange(31.0, dtype=torch.float64) - 15
    row, column = (kernel * offset[:, None]).sum((1, 2)), (kernel * offset).sum((1, 2))
    return {
        "spread": (kernel * (offset[:, None] ** 2 + offset**2)).sum((1, 2)),
        "pixels": (kernel > 0).double().sum((1, 2)),
        "peak": kernel.amax((1, 2)),
        "offset": row**2 + column**2,
    }


@pytest.mark.parametrize(("length_scale", "std"), PUBLISHED)
def test_motion_kernels_have_the_published_distribution(length_scale, std):
    """Means within four standard errors of those of the published kernels, standard deviations within 12 percent."""
    n = 2000
    found = statistics(motion_kernel(n, length_scale=length_scale, std=std, generator=seeded(3)))
    for name, (mean, deviation) in PUBLISHED[length_scale, std].items():
        assert abs(found[name].mean() - mean) < 4 * deviation / math.sqrt(n), name
        assert abs(found[name].std() / deviation - 1) < 0.12, name
    offset = found["offset"]
    assert abs(offset.mean() - PUBLISHED_OFFSET[length_scale, std]) < 4 * offset.std() / math.sqrt(n)


def test_motion_kernels_do_not_prefer_an_axis():
    """Rows and columns have the same second moment; its ratio is one within four standard errors."""
    kernel = motion_kernel(2000, length_scale=0.6, std=0.3, generator=seeded(0))[:, 0]
    offset = torch.arange(31.0) - 15
    rows, columns = (kernel * offset[:, None] ** 2).sum((1, 2)), (kernel * offset**2).sum((1, 2))
    assert abs((rows - columns).mean()) < 4 * (rows - columns).std() / math.sqrt(2000)


def test_motion_kernels_of_a_batch_have_their_own_parameters():
    """Each is what its numbers alone give for the whole batch, but for points that rounding takes over a border."""
    length_scale, std = torch.tensor([0.1, 0.6, 1.2]), torch.tensor([0.5, 0.1, 1.0])
    kernel = motion_kernel(3, length_scale=length_scale, std=std, generator=seeded(0))
    mixed = motion_kernel(3, length_scale=0.6, std=std, generator=seeded(0))
    for index in range(3):
        numbers = {"length_scale": length_scale[index].item(), "std": std[index].item()}
        alone = motion_kernel(3, **numbers, generator=seeded(0))
        assert (kernel[index] - alone[index]).abs().sum() <= 4.01 / 159
        assert index == 1 or (mixed[index] - kernel[index]).abs().sum() > 0.5
    scalar = motion_kernel(3, length_scale=torch.tensor(0.6), std=torch.tensor(0.5), generator=seeded(0))
    assert (scalar - motion_kernel(3, length_scale=0.6, std=0.5, generator=seeded(0))).abs().sum() <= 12.01 / 159


@pytest.mark.parametrize(
    ("length_scale", "std", "error", "sentence"),
    [
        (torch.ones(2), 1.0, ShapeError, r"length_scale of shape \(3,\), got \(2,\)"),
        (1.0, torch.ones(3, 1), ShapeError, r"std of shape \(3,\), got \(3, 1\)"),
        (torch.tensor([1.0, -2.0, 1.0]), 1.0, ArgumentError, "a positive length_scale, got -2"),
        (1.0, torch.tensor(0.0), ArgumentError, "a positive std, got 0"),
    ],
)
def test_motion_kernels_refuse_parameters_that_do_not_fit(length_scale, std, error, sentence):
    with pytest.raises(error, match=sentence):
        motion_kernel(3, length_scale=length_scale, std=std)


@pytest.mark.parametrize("size", [1, 8, 31])
def test_motion_kernels_are_distributions(size):
    kernel = motion_kernel(5, length_scale=0.6, std=0.5, size=size, generator=seeded(0))
    assert kernel.shape == (5, 1, size, size)
    assert kernel.dtype == torch.float32
    assert kernel.min() >= 0
    torch.testing.assert_close(kernel.sum((2, 3)), torch.ones(5, 1))


def test_motion_kernels_count_the_points_of_the_exposure():
    """With n_steps = 63 the exposure sees 10 points, none of them outside, so that values are multiples of a tenth."""
    kernel = motion_kernel(4, length_scale=0.5, std=0.2, n_steps=63, generator=seeded(1))
    torch.testing.assert_close(kernel * 10, (kernel * 10).round())
    assert ((kernel > 0).sum((1, 2, 3)) > 1).all()


def test_motion_kernels_are_seeded_and_differ_in_a_batch():
    """S9: equal seeds give equal kernels, `torch.manual_seed` is honoured, and seed 0 is a seed like any other."""
    draw = {"length_scale": 0.6, "std": 0.5}
    first = motion_kernel(3, **draw, generator=seeded(0))
    assert torch.equal(first, motion_kernel(3, **draw, generator=seeded(0)))
    assert not torch.equal(first, motion_kernel(3, **draw, generator=seeded(1)))
    assert not torch.equal(first[0], first[1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        default = motion_kernel(3, **draw)
        assert not torch.equal(default, motion_kernel(3, **draw))
        torch.manual_seed(0)
        assert torch.equal(default, motion_kernel(3, **draw))


def test_points_outside_the_kernel_are_lost_and_the_rest_sums_to_one():
    """Of 159 points some fall outside at the hard setting: the weight of the others is then more than 1 / 159."""
    kernel = motion_kernel(50, length_scale=1.2, std=1.0, generator=seeded(0)).flatten(1)
    lightest = torch.where(kernel > 0, kernel, 1).amin(1)
    assert (lightest > 1 / 159 + 1e-6).any()
    assert (lightest > 1 / 159 - 1e-6).all()
    torch.testing.assert_close(kernel.sum(1), torch.ones(50))


def test_a_trajectory_outside_the_kernel_is_an_error():
    with pytest.raises(ArgumentError, match="outside the kernel altogether: lower std"):
        motion_kernel(50, length_scale=1.0, std=1e4, n_steps=50, generator=seeded(0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch": 0}, "one kernel or more, a whole number, got 0"),
        ({"batch": 1.0}, "a whole number, got 1.0"),
        ({"length_scale": 0.0}, "positive length_scale"),
        ({"std": -1.0}, "a positive std, got -1"),
        ({"n_steps": 6}, "n_steps of at least 7, got 6"),
        ({"size": 0}, "one pixel or more"),
        ({"size": 5.5}, "a whole number, got 5.5"),
        ({"size": (5, 5)}, r"a whole number, got \(5, 5\)"),
    ],
)
def test_motion_kernel_refuses_nonsense(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        motion_kernel(**{"batch": 1, "length_scale": 0.5, "std": 0.5, **arguments})
