"""RAM started from a DRUNet is that DRUNet on the proximal step; its Krylov modules are silent, but can learn."""

import pytest
import torch

from wellposed.core.errors import ArgumentError
from wellposed.models import RAM, DRUNet, initialise_from_drunet
from wellposed.noise import Gaussian, PoissonGaussian
from wellposed.operators import Identity, Mask
from wellposed.physics import Physics

WIDTHS = (32, 64, 128, 256)


def drunet(channels=3, widths=WIDTHS, blocks=4, seed=0):
    torch.manual_seed(seed)
    return DRUNet(channels, widths, blocks).eval()


def started(source, **options):
    torch.manual_seed(1)
    ram = RAM("small", **options).eval()
    initialise_from_drunet(ram, source)
    return ram


def image(channels, dtype=torch.float32, batch=1):
    return torch.rand(batch, channels, 64, 64, generator=torch.Generator().manual_seed(2)).to(dtype)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
def test_it_denoises_as_the_drunet_does(channels):
    source, x, sigma = drunet(channels), image(channels, batch=2), torch.tensor([0.05, 0.2])
    expected = source(x, sigma)
    torch.testing.assert_close(started(source).denoise(x, sigma=sigma), expected, rtol=1e-4, atol=1e-6)
    assert (expected - source(x, 0.1)).abs().max() > 1e-4


@torch.no_grad()
def test_it_refines_what_the_physics_sends_back():
    """Without the proximal step that is the backprojection, whatever the Krylov modules decode from it."""
    source, x = drunet(), image(3)
    mask = (image(1) > 0.5).float()
    physics = Physics(Mask(mask, (3, 64, 64)), Gaussian(0.1))
    y = physics(x)
    recovered = started(source, proximal=False)(y, physics)
    torch.testing.assert_close(recovered, source(mask * y, 0.1), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_grey_images_are_shown_as_three_equal_colours():
    """Equal noise in three colours is sqrt(3) times as strong, along the one direction where there is any."""
    source, x = drunet(), image(1)
    expected = source(x.expand(-1, 3, -1, -1), 0.1 * 3**0.5).mean(1, keepdim=True)
    torch.testing.assert_close(started(source).denoise(x, sigma=0.1), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_complex_images_are_shown_as_both_parts_and_their_mean():
    source, x = drunet(), torch.complex(image(1), image(3)[:, :1])
    shown = torch.cat([x.real, x.imag, (x.real + x.imag) / 2], dim=1)
    seen = source(shown, 0.1 * 1.25**0.5)
    matrix = torch.tensor([[1, 0], [0, 1], [0.5, 0.5]])
    parts = torch.einsum("zc,bcij->bzij", torch.linalg.inv(matrix.T @ matrix) @ matrix.T, seen)
    recovered = started(source).denoise(x, sigma=0.1)
    torch.testing.assert_close(torch.view_as_real(recovered[:, 0]), parts.movedim(1, -1), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_photon_noise_is_not_seen_at_first():
    ram, x = started(drunet()), image(3)
    torch.testing.assert_close(ram.denoise(x, sigma=0.1, gain=0.5), ram.denoise(x, sigma=0.1, gain=0.0))


def test_the_silent_modules_learn():
    """Every gain has a gradient, so that the first step wakes what is behind it."""
    ram = started(drunet())
    physics = Physics(Identity((3, 64, 64)), PoissonGaussian(gain=0.1, sigma=0.1))
    (ram(image(3), physics) - image(3)).abs().mean().backward()
    gains = [parameter for name, parameter in ram.named_parameters() if name.endswith(".gain")]
    assert len(gains) == 28
    assert all(gain.grad.item() != 0 for gain in gains)


@torch.no_grad()
def test_a_gain_lets_the_modules_speak():
    source, ram = drunet(), RAM("small").eval()
    initialise_from_drunet(ram, source, gain=0.5)
    assert {ram.get_parameter(f"m_up{scale}.enc.3.gain").item() for scale in (1, 2, 3)} == {0.5}
    assert (ram.denoise(image(3), sigma=0.1) - source(image(3), 0.1)).abs().max() > 1e-3


def test_more_channels_than_the_drunet_has_stay_as_they_were():
    torch.manual_seed(1)
    before = RAM("small").m_head.get_parameter("conv2.weight")
    assert torch.equal(started(drunet(channels=1)).m_head.get_parameter("conv2.weight"), before)


@pytest.mark.parametrize(
    "source",
    [{"widths": (64, 128, 256, 512)}, {"blocks": 3}, {"blocks": 5}, {"channels": 4}, {"widths": (32, 64, 128)}],
    ids=str,
)
def test_another_drunet_is_refused_and_changes_nothing(source):
    ram = RAM("small")
    before = {name: tensor.clone() for name, tensor in ram.state_dict().items()}
    with pytest.raises(ArgumentError, match=r"RAM of size 'small' starts from .* \(32, 64, 128, 256\) and 4 blocks"):
        initialise_from_drunet(ram, drunet(**source))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ram.state_dict().items())
