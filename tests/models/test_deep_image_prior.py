"""The deep image prior on small pictures: better than the adjoint, seeded, stopped by what it has not seen."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.models import DeepImagePrior, Hourglass

SIZE = 24


def picture(channels=1):
    """A disc, a square and a gradient."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    disc = ((rows - 0.2) ** 2 + columns**2 < 0.3).float()
    square = ((rows + 0.5).abs() < 0.3) * ((columns - 0.4).abs() < 0.4)
    return (0.2 * columns + 0.4 * disc + 0.3 * square + 0.25).expand(1, channels, SIZE, SIZE)


def inpainting(sigma=0.05):
    mask = (torch.rand(1, 1, SIZE, SIZE, generator=seeded()) > 0.5).float()
    return wp.Physics(wp.operators.Mask(mask, (1, SIZE, SIZE)), wp.noise.Gaussian(sigma))


def deblurring():
    kernel = wp.data.gaussian_kernel(1.5, size=7)
    return wp.Physics(wp.operators.Blur(kernel, (1, SIZE, SIZE), padding="circular"), wp.noise.Gaussian(0.02))


def small(**options):
    return DeepImagePrior(**{"max_steps": 150, "width": 16, "levels": 2, **options})


def psnr(x_hat):
    return wp.metrics.psnr(x_hat, picture(), data_range=1.0).item()


@pytest.mark.parametrize(
    ("physics", "gain"), [(inpainting(), 12.0), (deblurring(), 1.0)], ids=["inpainting", "deblurring"]
)
def test_it_beats_the_adjoint(physics, gain):
    y = physics(picture(), generator=seeded())
    assert psnr(small()(y, physics)) > psnr(physics.A_adjoint(y)) + gain


def test_held_out_measurements_end_the_fit_and_choose_the_image():
    """Denoising strong noise: with all steps taken and without a running mean the last image follows the noise."""
    physics = wp.Physics(wp.operators.Identity((1, SIZE, SIZE)), wp.noise.Gaussian(0.3))
    y = physics(picture(), generator=seeded())
    seen = []
    stopped = small(max_steps=600, patience=60)(y, physics, lambda step, steps: seen.append((step, steps)))
    assert seen[0] == (1, 600)
    assert seen[-1][0] < 400
    assert psnr(stopped) > psnr(y) + 4


def test_the_seed_decides_everything_and_no_one_elses_is_touched():
    physics = inpainting()
    y = physics(picture(), generator=seeded())
    kept, state = y.clone(), torch.get_rng_state()
    one, same, other = (small(max_steps=5, seed=seed)(y, physics) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(y, kept)


def test_a_batch_equals_its_items():
    physics = inpainting(torch.tensor([0.05, 0.1]))
    y = physics(picture().repeat(2, 1, 1, 1), generator=seeded())
    steps = []
    together = small(max_steps=6)(y, physics, lambda step, total: steps.append((step, total)))
    assert steps == [(step, 12) for step in range(1, 13)]
    for i in range(2):
        assert torch.equal(together[i : i + 1], small(max_steps=6)(y[i : i + 1], inpainting()))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(scale):
    physics = inpainting()
    y = physics(picture(), generator=seeded()).double()
    operator = physics.operator.double()
    plain, scaled = (small(max_steps=5)(factor * y, wp.Physics(operator)) for factor in (1.0, scale))
    torch.testing.assert_close(scaled / scale, plain, rtol=1e-3, atol=1e-4)


def test_it_is_a_method_for_reconstruct():
    """Which turns gradients off; under inference mode too."""
    physics = inpainting()
    y = physics(picture(), generator=seeded())
    expected = small(max_steps=4)(y, physics)
    assert not expected.requires_grad
    assert torch.equal(wp.reconstruct(y, physics, small(max_steps=4)), expected)
    with torch.inference_mode():
        assert torch.equal(small(max_steps=4)(y, physics), expected)


def test_complex_images_and_measurements_in_parts():
    mask = (torch.arange(SIZE) % 2).float().view(1, 1, 1, SIZE)
    scan = wp.operators.CartesianMRI(mask, (1, SIZE, SIZE))
    y = wp.Physics(scan)(picture() + 0j)
    assert small(max_steps=2)(y, wp.Physics(scan)).dtype == torch.complex64
    stack = wp.operators.Stack((inpainting().operator, deblurring().operator))
    assert small(max_steps=2)(wp.Physics(stack)(picture()), wp.Physics(stack)).shape == (1, 1, SIZE, SIZE)


def test_every_number_changes_the_answer():
    physics = inpainting()
    y = physics(picture(), generator=seeded())
    settings = [
        {},
        {"learning_rate": 0.02},
        {"held_out": 0.3},
        {"jitter": 0.5},
        {"average": 0.5},
        {"width": 4},
        {"levels": 1},
    ]
    images = [small(**{"max_steps": 8, **each})(y, physics) for each in settings]
    assert all(not torch.equal(images[0], other) for other in images[1:])


def test_the_hourglass_makes_images_of_any_size():
    network = Hourglass(3, 2, width=4, levels=3)
    assert network(torch.rand(1, 3, 17, 30)).shape == (1, 2, 17, 30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"held_out": 0.0}, "held_out between 0 and 1"),
        ({"max_steps": 0}, "max_steps to be"),
        ({"learning_rate": 0.0}, "learning_rate above 0"),
        ({"average": 1.0}, "below 1"),
        ({"seed": -1}, "seed to be"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        DeepImagePrior(**options)


def test_volumes_are_refused():
    physics = wp.Physics(wp.operators.Identity((1, 4, 8, 8)))
    with pytest.raises(UnsupportedError, match=r"makes images \(B, C, H, W\)"):
        small()(torch.rand(1, 1, 4, 8, 8), physics)
