"""The sizes of RAM's ablations, what they see, and what a pass costs."""

from pathlib import Path

import pytest
import torch

from benchmarks.sides import Ours
from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError
from wellposed.models import DenoiserTiny, DRUNet
from wellposed.models.ram import RAM
from wellposed.models.ram.blocks import Conditioning, PhysicsBlock
from wellposed.models.ram.pyramid import build_pyramid
from wellposed.operators import Blur, CartesianMRI, FromFunctions, Mask

# Table 4 of the paper, in millions: DRUNet backbone, with embedding of y, with Krylov modules.
PUBLISHED_SIZES = {(False, False): 32.6, (True, False): 33.4, (True, True): 35.6}


@pytest.mark.parametrize(("options", "millions"), PUBLISHED_SIZES.items(), ids=str)
def test_ablations_have_the_published_sizes(options, millions):
    with torch.device("meta"):
        model = RAM(embedding=options[0], krylov=options[1])
    assert round(sum(value.numel() for value in model.parameters()) / 1e6, 1) == millions


def test_krylov_modules_need_the_embedding():
    with pytest.raises(ArgumentError, match="krylov=False with embedding=False"):
        RAM("small", embedding=False)


def test_what_a_block_sees():
    """Without an embedding nothing of the physics, with one the measurements, with a Krylov module the operator too."""
    x, measured = random_tensor(1, 4, 6, 6, seed=0), random_tensor(1, 2, 6, 6, seed=1)

    def change(block, conditioning):
        return (block(x, conditioning) - block(x, Conditioning(measured, lambda z: z))).abs().max()

    others = Conditioning(2 * measured, lambda z: z), Conditioning(measured, lambda z: 2 * z)
    for options, sees in PUBLISHED_SIZES.items():
        torch.manual_seed(0)
        block = PhysicsBlock(4, embedding=options[0], krylov=options[1]).double()
        assert [bool(change(block, other) > 1e-3) for other in others] == list(options), sees


def test_a_block_is_its_formula():
    torch.manual_seed(0)
    block = PhysicsBlock(5).double()
    block.gain.data.fill_(0.7)
    x, measured = random_tensor(2, 5, 6, 7, seed=0), random_tensor(2, 2, 6, 7, seed=1)
    decoder, encoder = block.PhysicsBlock.decoding_conv["tail0"], block.PhysicsBlock.encoding_conv["head0"]
    features = block.conv1(x).relu()
    first, second = decoder.convin(features).chunk(2, dim=1)
    images = torch.cat([measured, first, first.sin(), second, second.sin()], dim=1)
    mixed = encoder.convin(images) + encoder.zero_conv_skip(images)
    implied = encoder.conv20(encoder.conv10(mixed).relu()) + encoder.skipconv0(mixed)
    expected = x + block.conv2(features) + 0.7 * implied.relu()
    torch.testing.assert_close(block(x, Conditioning(measured, torch.sin)), expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        before = x.clone()
        torch.testing.assert_close(block(x, Conditioning(measured, torch.sin)), expected, rtol=1e-10, atol=1e-12)
        assert torch.equal(x, before)


OPERATORS = {
    "shared mask": Mask(random_tensor(1, 1, 16, 24), (2, 16, 24)),
    "kernel per image": Blur(random_tensor(3, 1, 3, 3), (2, 16, 24), padding="circular"),
    "complex": CartesianMRI(random_tensor(1, 1, 16, 24), (1, 16, 24)),
    "for three images only": FromFunctions(
        lambda x: x * torch.arange(1.0, 4.0, dtype=x.dtype).view(3, 1, 1, 1),
        lambda x: x * torch.arange(1.0, 4.0, dtype=x.dtype).view(3, 1, 1, 1),
        (2, 16, 24),
        (2, 16, 24),
    ).double(),
}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_images_side_by_side_are_images_one_by_one(operator):
    """Whether they go through in one batch or not; and the finest scale is the operator itself."""
    dtype = torch.complex128 if operator.image_field == "complex" else torch.float64
    back = random_tensor(3, *operator.image_shape, seed=2, dtype=dtype)
    for conditioning, factor in zip(build_pyramid(operator, back, (1, 2)), (1, 2), strict=True):
        both = random_tensor(3, 4, 16 // factor, 24 // factor, seed=3)
        each = [conditioning.normal(image) for image in both.chunk(2, dim=1)]
        torch.testing.assert_close(conditioning.normal(both), torch.cat(each, dim=1), rtol=1e-10, atol=1e-12)
        if factor == 1:
            seen = operator.gram(torch.complex(*both[:, :2].chunk(2, dim=1)) if back.is_complex() else both[:, :2])
            seen = torch.cat([seen.real, seen.imag], dim=1) if back.is_complex() else seen
            torch.testing.assert_close(each[0], seen, rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not tell the peak of memory")
def test_memory_of_a_pass():
    """A colour image of 256 x 256 in a fresh process, whose memory no earlier test has raised: that takes seconds."""
    peak = Ours(threads=1, repeat=1).peak_mib("ram_denoise_256")["forward"]
    features = 64 * 256 * 256 * 4 / 2**20
    assert 3 * features < peak < 500


NETWORKS = {
    "RAM": (lambda: RAM("small"), lambda model, x: model.denoise(x, sigma=0.05)),
    "DRUNet": (lambda: DRUNet(3, widths=(32, 64, 128, 256)), lambda model, x: model(x, 0.05)),
    "DenoiserTiny": (lambda: DenoiserTiny(3), lambda model, x: model(x, 0.05)),
}


@pytest.mark.parametrize(("make", "denoise"), NETWORKS.values(), ids=NETWORKS)
def test_half_precision_is_as_near_as_rounding(make, denoise):
    """Some 25 convolutions in a row, whose roundings of 2^-9 add up like a random walk; before any training."""
    torch.manual_seed(0)
    model = make().eval()
    ramp = torch.linspace(0, 1, 64)
    x = 0.5 + 0.3 * torch.sin(9 * ramp)[:, None] * torch.cos(5 * ramp) + 0.2 * (ramp[:, None] > ramp)
    x = x.expand(1, 3, 64, 64).contiguous()
    with torch.no_grad():
        full = denoise(model, x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = denoise(model, x)
    assert 0 < float((half.float() - full).norm() / full.norm()) < 25**0.5 * 2**-9
