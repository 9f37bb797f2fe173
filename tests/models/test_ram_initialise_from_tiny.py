"""RAM started from the small denoiser is that denoiser on the proximal step, and all of it can learn."""

import pytest
import torch

from wellposed.core.errors import ArgumentError
from wellposed.models import RAM, DenoiserTiny, initialise_from_tiny
from wellposed.noise import Gaussian
from wellposed.operators import Downsample, Mask
from wellposed.physics import Physics


def tiny(channels=3, widths=(8, 16, 24), blocks=2):
    torch.manual_seed(0)
    return DenoiserTiny(channels, widths, blocks).eval()


def started(source, share=0.0):
    torch.manual_seed(1)
    ram = RAM("small").eval()
    initialise_from_tiny(ram, source, share=share)
    return ram


def image(channels, batch=1):
    return torch.rand(batch, channels, 64, 64, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
@pytest.mark.parametrize(
    "sizes", [{}, {"blocks": 1}, {"blocks": 3}, {"widths": (32, 64, 96)}, {"widths": (32, 80, 256)}]
)
def test_it_denoises_as_the_small_denoiser_does(sizes):
    source, x, sigma = tiny(**sizes), image(3, batch=2), torch.tensor([0.05, 0.2])
    expected = source(x, sigma)
    torch.testing.assert_close(started(source).denoise(x, sigma=sigma), expected, rtol=1e-4, atol=1e-5)
    assert (expected - source(x, 0.1)).abs().max() > 1e-3


@torch.no_grad()
def test_so_do_the_bundled_weights():
    source = DenoiserTiny(3, weights="denoiser-tiny-rgb").eval()
    x = image(3)
    torch.testing.assert_close(started(source).denoise(x, sigma=0.1), source(x, 0.1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_refines_the_proximal_step_whatever_the_physics():
    """The measurements weigh three times their signal-to-noise ratio."""
    source, x = tiny(), image(3)
    operator = Downsample(2, (3, 64, 64), filter=torch.full((1, 1, 2, 2), 0.25))
    y = operator(x)
    ratio = y.abs().mean() / (0.1 + 1e-4)
    guess = operator.prox(operator.adjoint(y), y, 3 / (1e-4 + 1 / ratio))
    found = started(source)(y, Physics(operator, Gaussian(0.1)))
    torch.testing.assert_close(found, source(guess, 0.1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_grey_images_are_shown_as_three_equal_colours():
    source, x = tiny(), image(1)
    expected = source(x.expand(-1, 3, -1, -1), 0.1 * 3**0.5).mean(1, keepdim=True)
    torch.testing.assert_close(started(source).denoise(x, sigma=0.1), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_share_is_how_far_it_starts_from_the_denoiser():
    source, x = tiny(), image(3)
    near, far = ((started(source, share).denoise(x, sigma=0.1) - source(x, 0.1)).std() for share in (0.01, 0.1))
    assert 1e-5 < near < 0.2 * far


def test_with_a_share_all_weights_of_colour_images_learn():
    ram = started(tiny(), share=0.1)
    physics = Physics(Mask((image(1) > 0.5).float(), (3, 64, 64)), Gaussian(0.1))
    (ram(physics(image(3)), physics) - image(3)).abs().mean().backward()
    still = [
        name
        for name, weight in ram.named_parameters()
        if not any(part in name for part in ("conv0.", "conv1.weight_", "head0", "head1", "tail0", "tail1", "fact"))
        and not name.startswith(("m_head.conv1", "m_tail.conv1"))
        and "zero_conv_skip" not in name
        and (weight.grad is None or not weight.grad.abs().max() > 0)
    ]
    assert still == []


@pytest.mark.parametrize(
    "sizes",
    [{"channels": 1}, {"blocks": 4}, {"widths": (40, 64, 96)}, {"widths": (32, 81, 96)}, {"widths": (8, 16)}],
)
def test_a_denoiser_that_does_not_fit_is_refused(sizes):
    with pytest.raises(ArgumentError, match=r"RAM of size 'small'.*got"):
        started(tiny(**sizes))
