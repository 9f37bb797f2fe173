"""RAM against the published network's outputs, and what must hold whatever its weights."""

import json

import pytest
import torch

import wellposed as wp
from tests.support.reference import FOLDER, field, needs_reference, reference_module, stored
from wellposed.core.errors import FormatError, ShapeError, UnknownNameError, UnsupportedError
from wellposed.models import load_weights
from wellposed.models.ram import RAM

NOISE = wp.noise.Gaussian(0.05)
SIZE = (3, 64, 80)


def relative(value, truth):
    return float((value - truth).norm() / truth.norm())


@pytest.fixture(scope="module")
def published():
    """The base model with the weights on which the published network's outputs were recorded."""
    model = RAM().eval()
    reference_module("deterministic").fill_(model, gain=0.6)
    return model.requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return RAM("small").eval().requires_grad_(requires_grad=False)


def test_the_base_has_the_published_size():
    assert sum(value.numel() for value in RAM().parameters()) == 35_618_813


@needs_reference
def test_the_layout_is_the_published_one():
    keys = dict(json.loads((FOLDER / "state_dict_keys.json").read_text())["ram"])
    assert {name: list(value.shape) for name, value in RAM().state_dict().items()} == keys


def test_published_files_load(tmp_path):
    """A file of the published layout, as `torch.save` makes it; one of another size is refused and changes nothing."""
    torch.manual_seed(0)
    source, target = RAM("small"), RAM("small")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "ram.pth.tar")
    load_weights(target, tmp_path / "ram.pth.tar")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    with pytest.raises(FormatError, match=r"does not fit RAM: m_head\.conv0\.weight is \(32, 3, 3, 3\) where"):
        load_weights(RAM(), tmp_path / "ram.pth.tar")


CASES = {
    "ram.denoise.rgb": (lambda _: wp.operators.Identity(), NOISE, 3),
    "ram.denoise.gray": (lambda _: wp.operators.Identity(), NOISE, 1),
    "ram.inpaint.rgb": (lambda vectors: wp.operators.Mask(vectors["ram.inpaint.mask"], SIZE), NOISE, 3),
    "ram.blur_circular.rgb": (lambda vectors: wp.operators.Blur(vectors["kernel7"], SIZE, "circular"), NOISE, 3),
    "ram.blur_valid.rgb": (lambda vectors: wp.operators.Blur(vectors["kernel7"], SIZE), NOISE, 3),
    "ram.sr4.rgb": (lambda _: wp.operators.Downsample(4, SIZE), wp.noise.Gaussian(0.01), 3),
    "ram.poisson_gaussian.gray": (lambda _: wp.operators.Identity(), wp.noise.PoissonGaussian(0.02, 0.03), 1),
}


@needs_reference
@pytest.mark.parametrize("name", CASES)
def test_published_outputs(published, name):
    make, noise, channels = CASES[name]
    vectors = stored()
    operator = make(vectors)
    y = operator(field(channels, 64, 80))
    limit = 2e-3 if name == "ram.blur_valid.rgb" else 1e-5
    assert relative(published(y, wp.Physics(operator, noise)), vectors[name]) < limit


@needs_reference
def test_published_output_for_a_complex_image(published):
    parts = field(2, 64, 80) - 0.5
    image = published.denoise(torch.complex(parts[:, :1], parts[:, 1:]), sigma=0.05)
    assert relative(torch.cat([image.real, image.imag], 1), stored()["ram.denoise.complex2ch"]) < 1e-5


@needs_reference
def test_levels_can_be_given_instead(published):
    y, truth = field(1, 64, 80), stored()["ram.poisson_gaussian.gray"]
    blind = wp.Physics(wp.operators.Identity())
    assert relative(published(y, blind, sigma=0.03, gain=0.02), truth) < 1e-5
    assert (
        relative(published(y, blind, sigma=torch.full((1, 1, 64, 80), 0.03), gain=torch.tensor([0.02])), truth) < 1e-5
    )
    assert relative(published(y, blind, sigma=0.3, gain=0.02), truth) > 1e-2
    assert relative(published(y, blind, sigma=0.03, gain=0.2), truth) > 1e-2


@pytest.mark.parametrize("size", [(30, 41), (64, 64), (65, 80)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_size_and_a_noise_map_of_that_size(small, size, channels):
    """O16: sizes that are no multiple of 16, also for maps."""
    x = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(1))
    flat = small.denoise(x, sigma=0.1)
    assert flat.shape == x.shape
    torch.testing.assert_close(small.denoise(x, sigma=torch.full((2, 1, *size), 0.1)), flat, atol=1e-5, rtol=1e-4)


def test_a_batch_equals_its_items(small):
    """Also where the images have kernels and noise levels of their own, and one is dim."""
    generator = torch.Generator().manual_seed(2)
    kernel = torch.rand(2, 1, 5, 5, generator=generator) / 25
    sigma = torch.tensor([0.02, 0.2])
    operator = wp.operators.Blur(kernel, (1, 64, 64), padding="circular")
    y = operator(torch.rand(2, 1, 64, 64, generator=generator)) * torch.tensor([1.0, 0.01]).view(2, 1, 1, 1)
    both = small(y, wp.Physics(operator, wp.noise.Gaussian(sigma)))
    for i in range(2):
        physics = wp.Physics(operator.with_params(kernel=kernel[i : i + 1]), wp.noise.Gaussian(sigma[i : i + 1]))
        torch.testing.assert_close(both[i : i + 1], small(y[i : i + 1], physics), atol=1e-5, rtol=1e-4)


def test_dim_images_are_brightened_inside(small):
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    x = x / x.max()
    dim = small.denoise(1e-4 * x, sigma=1e-5)
    torch.testing.assert_close(dim, 1e-4 * small.denoise(x, sigma=0.1), rtol=1e-3, atol=1e-8)
    assert torch.isfinite(small.denoise(torch.zeros(1, 1, 64, 64), sigma=0.1)).all()


def test_tuples_of_measurements(small):
    operator = wp.operators.Stack((wp.operators.Downsample(2, (1, 64, 64)), wp.operators.Identity((1, 64, 64))))
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(4))
    y = operator(x)
    before = tuple(part.clone() for part in y)
    assert small(y, wp.Physics(operator, wp.noise.Gaussian(0.1))).shape == x.shape
    assert all(torch.equal(a, b) for a, b in zip(before, y, strict=True))


def test_complex_images_of_mri(small):
    mask = (torch.arange(64) % 2 == 0).float().expand(1, 1, 64, 64)
    operator = wp.operators.CartesianMRI(mask, (1, 64, 64))
    x = torch.randn(1, 1, 64, 64, dtype=torch.complex64, generator=torch.Generator().manual_seed(5))
    assert small(operator(x), wp.Physics(operator, wp.noise.Gaussian(0.01))).dtype == torch.complex64


@pytest.mark.parametrize("option", [{"proximal": False}, {"embedding": False, "krylov": False}], ids=str)
def test_ablations_change_the_network(option):
    torch.manual_seed(0)
    whole = RAM("small").eval()
    less = RAM("small", **option).eval()
    less.load_state_dict({key: value for key, value in whole.state_dict().items() if key in less.state_dict()})
    physics = wp.Physics(wp.operators.Downsample(2, (1, 64, 64)), wp.noise.Gaussian(0.1))
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    y = physics(x, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        assert relative(less(y, physics), whole(y, physics)) > 1e-3


def test_every_weight_that_is_used_learns():
    """All but the convolutions that the published files hold for nothing, and the heads of other images."""
    torch.manual_seed(0)
    model = RAM("small")
    physics = wp.Physics(wp.operators.Downsample(2, (3, 64, 64)), wp.noise.Gaussian(0.1))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(7))
    model(physics(x, generator=torch.Generator().manual_seed(7)), physics).square().mean().backward()
    idle = {name for name, value in model.named_parameters() if value.grad is None}
    others = (
        "tail0.",
        "tail1.",
        "head0.",
        "head1.",
        "m_head.conv0.",
        "m_head.conv1.",
        "m_tail.conv0.",
        "m_tail.conv1.",
    )
    expected = {name for name, _ in model.named_parameters() if any(part in name for part in others)}
    expected |= {name for name, _ in model.named_parameters() if "decoding_conv" in name and "zero_conv_skip" in name}
    assert idle == expected


HALF = {
    "real": wp.operators.Downsample(2, (1, 64, 64)),
    "complex": wp.operators.CartesianMRI((torch.arange(64) % 3 == 0).expand(1, 1, 1, 64), (1, 64, 64)),
}


@pytest.mark.parametrize("kind", HALF)
def test_half_precision_by_autocast_stays_near(kind, small):
    """The physics keeps its own precision; only the convolutions are in bfloat16."""
    physics = wp.Physics(HALF[kind], wp.noise.Gaussian(0.05))
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(8))
    y = physics(x.to(torch.complex64) if kind == "complex" else x, generator=torch.Generator().manual_seed(8))
    full = small(y, physics)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = small(y, physics)
    assert half.dtype == full.dtype
    assert 0 < relative(half, full) < 0.02


def test_wrong_input_is_told(small):
    with pytest.raises(ShapeError, match="one to three real channels"):
        small.denoise(torch.rand(1, 4, 64, 64))
    with pytest.raises(ShapeError, match="RAM expects sigma"):
        small.denoise(torch.rand(1, 1, 64, 64), sigma=torch.ones(1, 1, 3, 3))
    with pytest.raises(UnknownNameError, match="did you mean 'small'"):
        RAM("smal")

    class Square(wp.operators.Operator):
        def __init__(self):
            super().__init__((1, 64, 64), (1, 64, 64))

        def _forward(self, x):
            return x**2

    with pytest.raises(UnsupportedError, match="Square is not linear"):
        small(torch.rand(1, 1, 64, 64), wp.Physics(Square()))
