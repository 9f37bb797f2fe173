"""Tiles: they cover every pixel once, and nobody sees where they meet."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import wellposed as wp
from tests.support.ram import tiny_ram
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.models import ArtifactRemoval, DenoiserTiny, DnCNN, PDNet, Tiled, UNet
from wellposed.models._tiles import tiles_along
from wellposed.operators import (
    BayerMosaic,
    Blur,
    CartesianMRI,
    Downsample,
    Identity,
    Mask,
    SpectralResponse,
    Stack,
)

HEIGHT, WIDTH = 172, 84
GREY, COLOUR = (1, HEIGHT, WIDTH), (3, HEIGHT, WIDTH)
KERNEL = torch.rand(1, 1, 5, 4, generator=seeded(0))
KERNEL = KERNEL / KERNEL.sum()
MASK = (torch.rand(1, 1, HEIGHT, WIDTH, generator=seeded(1)) > 0.3).float()
SIZE, OVERLAP = 144, 32


def image(*shape):
    """Return a smooth image, whose means differ from tile to tile, with texture."""
    rows, columns = (torch.linspace(0, 1, size) for size in shape[-2:])
    return 0.7 * rows[:, None] * columns + 0.3 * torch.rand(1, *shape, generator=seeded(2))


@pytest.fixture(scope="module")
def model():
    return tiny_ram()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    length=st.integers(1, 400),
    step=st.sampled_from([1, 4, 16]),
    overlap=st.integers(0, 3),
    more=st.integers(0, 60),
    from_end=st.booleans(),
    around=st.booleans(),
)
def test_tiles_cover_an_axis_once(length, step, overlap, more, from_end, around):
    """Each holds its overlap, sits on the grid, and is not too large."""
    overlap = overlap * step
    size = 4 * overlap + step * (2 + more)
    tiles = tiles_along(length, size, overlap, step, from_end=from_end, around=around)
    kept = [pixel for tile in tiles for pixel in tile.pixels[tile.offset :][: tile.last - tile.first].tolist()]
    assert kept == list(range(length))
    origin = length % step if from_end else 0
    for tile in tiles:
        index = tile.pixels.tolist()
        assert len(index) <= max(length if length <= size else 0, size + 2 * overlap)
        assert {*range(max(0, tile.first - overlap), min(length, tile.last + overlap))} <= {*index}
        shift = 0 if index[0] == 0 else origin
        assert {(pixel - place) % step for place, pixel in enumerate(index)} == {shift}
        if around and overlap and len(tiles) > 1:
            assert (index[0] != 0) or (length - 1 in index)
            assert (index[-1] != length - 1) or (0 in index)


RAM_CASES = {
    "identity": (Identity(GREY), 0.05),
    "mask": (Mask(MASK, GREY), 0.05),
    "circular blur": (Blur(KERNEL, GREY, "circular"), 0.1),
    "valid blur": (Blur(KERNEL, GREY), 0.2),
    "downsampling": (Downsample(4, GREY), 0.02),
    "mosaic of odd size": (BayerMosaic((3, 169, 83), "GBRG"), 0.05),
    "in other units": (30 * Downsample(2, GREY), 1.0),
}


@pytest.mark.parametrize("name", RAM_CASES)
def test_ram_has_no_seams(model, name):
    """Below 1e-3 of the range of the image, also at its ends, where filters reach around."""
    A, sigma = RAM_CASES[name]
    physics = wp.Physics(A, wp.noise.Gaussian(sigma))
    y = physics(image(*A.image_shape), generator=seeded(3))
    expected = model(y, physics)
    got = Tiled(model, SIZE, OVERLAP)(y, physics)
    span = expected.max() - expected.min()
    assert span > 0.1
    assert (got - expected).abs().max() < 1e-3 * span


def test_what_is_said_of_the_whole_image_counts(model):
    """Tiles of an image that darkens have seams where each sees its own brightness only."""
    A = Blur(KERNEL, (1, 176, 80), "circular")
    physics = wp.Physics(A, wp.noise.Gaussian(0.02))
    y = A(torch.linspace(0.01, 1, 176).square()[:, None] * image(1, 176, 80))
    expected = model(y, physics)
    span = expected.max() - expected.min()
    assert (Tiled(model, SIZE, OVERLAP)(y, physics) - expected).abs().max() < 1e-3 * span
    unaware = Tiled(partial(model), SIZE, OVERLAP)
    assert (unaware(y, physics) - expected).abs().max() > 1e-3 * span


def test_batches_maps_and_a_kernel_each(model):
    """Parameters and levels of their own, given and of the noise model; tuples, each part with its noise."""
    kernels = torch.cat([KERNEL, 3 * KERNEL.flip(-1)])
    x = torch.cat([image(*GREY), image(*GREY).flip(-1)])
    sigma = torch.linspace(0.05, 0.3, 2 * HEIGHT * WIDTH).view(2, 1, HEIGHT, WIDTH)
    A = Blur(kernels, GREY, "circular")
    tiled = Tiled(model, SIZE, OVERLAP)
    for physics, levels in (
        (wp.Physics(A, wp.noise.Gaussian(sigma)), {}),
        (wp.Physics(A), {"sigma": sigma, "gain": torch.tensor([0.01, 0.1])}),
    ):
        y = A(x)
        expected = model(y, physics, **levels)
        got = tiled(y, physics, **levels)
        assert (got - expected).abs().max() < 1e-3 * (expected.max() - expected.min())


def test_pan_sharpening_in_tiles(model):
    A = Stack((Downsample(2, COLOUR), SpectralResponse(torch.full((1, 1, 3), 1 / 3), COLOUR)))
    physics = wp.Physics(A, wp.noise.PerPart((wp.noise.Gaussian(0.3), wp.noise.Gaussian(0.2))))
    y = physics(image(*COLOUR), generator=seeded(4))
    expected = model(y, physics)
    got = Tiled(model, SIZE, OVERLAP)(y, physics)
    assert (got - expected).abs().max() < 1e-3 * (expected.max() - expected.min())


OTHERS = {
    "PDNet": (lambda: PDNet(n_iter=2, width=4), 16),
    "adjoint and a denoiser": (lambda: ArtifactRemoval(DenoiserTiny(channels=1), "adjoint"), 32),
    "adjoint and a network": (lambda: ArtifactRemoval(UNet(channels=1, width=4, levels=2), "adjoint"), 16),
}


@pytest.mark.parametrize("name", OTHERS)
@torch.no_grad()
def test_other_reconstructors(name):
    """Poisson noise, whose level differs from tile to tile."""
    make, overlap = OTHERS[name]
    torch.manual_seed(0)
    network = make().eval()
    physics = wp.Physics(Blur(KERNEL, GREY, "reflect"), wp.noise.PoissonGaussian(0.01, 0.02))
    y = physics.A(image(*GREY))
    expected = network(y, physics)
    got = Tiled(network, 4 * overlap + 32, overlap)(y, physics)
    assert (got - expected).abs().max() < 1e-3 * (expected.max() - expected.min())


@pytest.mark.parametrize("sigma", [0.1, torch.tensor([0.05, 0.3]), torch.full((1, 1, 150, 191), 0.2)], ids=type)
@torch.no_grad()
def test_denoisers(sigma):
    """Sizes that are no multiple of anything, and a noise level of every kind."""
    torch.manual_seed(0)
    denoiser = DenoiserTiny(channels=1).eval()
    x = torch.cat([image(1, 150, 191), image(1, 150, 191).flip(-2)])
    expected = denoiser(x, sigma)
    got = Tiled(denoiser, size=144, overlap=32)(x, sigma)
    assert (got - expected).abs().max() < 1e-3


@torch.no_grad()
def test_blind_denoisers():
    torch.manual_seed(0)
    denoiser = DnCNN(channels=1, width=4, depth=4).eval()
    x = image(1, 150, 191)
    assert (Tiled(denoiser, 80, 16)(x) - denoiser(x)).abs().max() < 1e-6


def test_progress_is_told():
    calls = []
    Tiled(lambda x, sigma: x - sigma, 80, 16)(image(1, 100, 60), 0.5, callback=lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_model_never_sees_more_than_a_tile():
    """Memory is bounded by the tile."""
    sizes = []

    def look(x, _sigma):
        sizes.append(x.shape)
        return x

    x = image(1, 400, 333)
    assert torch.equal(Tiled(look, 96, 16)(x, 0.1), x)
    assert max(max(size[-2:]) for size in sizes) <= 96


def test_what_has_no_tiles_is_told(model):
    tiled = Tiled(model, SIZE, OVERLAP)
    mri = CartesianMRI(torch.ones(1, 1, 200, 64), (1, 200, 64))
    with pytest.raises(UnsupportedError, match="CartesianMRI is not known to be local"):
        tiled(torch.zeros(1, 1, 200, 64, dtype=torch.complex64), wp.Physics(mri))
    with pytest.raises(ShapeError, match=r"Tiled expects images \(B, C, H, W\), got shape \(1, 1, 3, 8, 8\)"):
        tiled(torch.zeros(1, 1, 3, 8, 8), wp.Physics(Identity((1, 3, 8, 8))))
    with pytest.raises(ShapeError, match="Tiled expects images"):
        Tiled(DenoiserTiny())(torch.zeros(3, 8, 8), 0.1)
    with pytest.raises(ArgumentError, match="a size of at least 144 for an overlap of 20 on a grid of 16, got 100"):
        Tiled(model, 100, 20)
    with pytest.raises(ArgumentError, match="a size of at least 240 for an overlap of 32 on a grid of 48, got 144"):
        tiled(torch.zeros(1, 1, 64, 64), wp.Physics(Downsample(3, (1, 192, 192))))
    with pytest.raises(ArgumentError, match="the model to be a function"):
        Tiled(3)
