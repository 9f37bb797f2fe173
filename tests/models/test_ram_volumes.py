"""RAM on volumes is RAM on their slices, for physics that acts on each slice by itself; other physics is refused."""

import pytest
import torch

import wellposed as wp
from tests.support.ram import tiny_ram
from tests.support.tensors import seeded
from wellposed.core.errors import ShapeError, UnsupportedError
from wellposed.models.ram import volumes
from wellposed.operators import (
    Blur,
    CartesianMRI,
    Downsample,
    FiniteDifferences,
    Identity,
    Mask,
    PerSlice,
    Stack,
)

DEPTH = 3
SIZE = (1, DEPTH, 64, 64)
X = torch.rand(2, *SIZE, generator=seeded(0))
MASK = (torch.rand(1, 1, DEPTH, 64, 64, generator=seeded(1)) > 0.4).float()
KERNEL = torch.tensor([[[[0.0, 1.0, 0.0], [2.0, 4.0, 1.0], [0.0, 2.0, 0.0]]]]) / 10
KERNELS = torch.cat([KERNEL, 3 * KERNEL.mT])
FEW = (X > 0.3)[:1, :, 0].float()


@pytest.fixture(scope="module")
def model():
    return tiny_ram()


def blur(index):
    return Blur(KERNELS[index : index + 1], (1, 64, 64), "circular")


CASES = {
    "denoising": (lambda: Identity(SIZE), lambda _volume, _slice: Identity((1, 64, 64))),
    "mask per volume": (
        lambda: Mask(torch.cat([MASK, 2 * MASK.flip(2)])),
        lambda v, d: (1, 2)[v] * Mask((MASK, MASK.flip(2))[v][:, :, d]),
    ),
    "blur per volume": (lambda: PerSlice(Blur(KERNELS, (1, 64, 64), "circular"), DEPTH), lambda v, _slice: blur(v)),
    "downsampling": (
        lambda: PerSlice(Downsample(2, (1, 64, 64)), DEPTH),
        lambda _volume, _slice: Downsample(2, (1, 64, 64)),
    ),
}


def slice_of(y, volume, d):
    return y[volume : volume + 1, :, d]


@pytest.mark.parametrize("name", CASES)
def test_a_volume_is_its_slices(model, name, monkeypatch):
    """Two slices at a time, so that the last part is smaller."""
    monkeypatch.setattr(volumes, "_PIXELS_AT_ONCE", 2 * 64 * 64)
    make, make_slice = CASES[name]
    A, noise = make(), wp.noise.Gaussian(torch.tensor([0.05, 0.2]))
    y = A(X)
    whole = model(y, wp.Physics(A, noise))
    assert whole.shape == X.shape
    for volume, d in ((0, 0), (1, 1), (1, 2)):
        physics = wp.Physics(make_slice(volume, d), wp.noise.Gaussian(noise.sigma[volume]))
        expected = model(slice_of(y, volume, d), physics)
        torch.testing.assert_close(whole[volume : volume + 1, :, d], expected, rtol=1e-4, atol=1e-5)


def test_complex_slices_of_mri(model):
    A = PerSlice(CartesianMRI(FEW, (1, 64, 64)), DEPTH)
    x = torch.complex(X, 1 - X)
    y = A(x)
    whole = model(y, wp.Physics(A, wp.noise.Gaussian(0.05)))
    one = model(y[:1, :, 1], wp.Physics(A.operator, wp.noise.Gaussian(0.05)))
    assert whole.dtype == torch.complex64
    torch.testing.assert_close(whole[:1, :, 1], one, rtol=1e-4, atol=1e-5)


LEVELS = {
    "number": 0.1,
    "per volume": torch.tensor([0.05, 0.3]),
    "per slice": torch.linspace(0.01, 0.4, 2 * DEPTH).view(2, 1, DEPTH, 1, 1),
    "per voxel": torch.linspace(0.01, 0.4, DEPTH * 64 * 64).view(1, 1, DEPTH, 64, 64),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("given", [True, False], ids=["given", "of the noise"])
def test_levels_of_volumes(model, name, given):
    level = LEVELS[name]
    noise = wp.noise.Gaussian(level)
    whole = model.denoise(X, sigma=level) if given else model(X, wp.Physics(Identity(SIZE), noise))
    for volume, d in ((0, 1), (1, 2)):
        own = torch.as_tensor(level)
        if own.ndim == 5:
            own = own.expand(2, -1, -1, -1, -1)[volume : volume + 1, :, d]
        elif own.ndim:
            own = own[volume]
        expected = model.denoise(X[volume : volume + 1, :, d], sigma=own)
        torch.testing.assert_close(whole[volume : volume + 1, :, d], expected, rtol=1e-4, atol=1e-5)


JOINED = {
    "deep kernel": (Blur(torch.ones(1, 1, 3, 1, 1) / 3, SIZE, "circular"), "3 slices deep joins the slices"),
    "k-space in 3D": (CartesianMRI(MASK, SIZE), r"CartesianMRI on \(1, 3, 64, 64\) does not say .* PerSlice"),
    "gradient": (FiniteDifferences(SIZE), "FiniteDifferences .* does not say"),
    "one of two": (Stack((Mask(MASK, SIZE), FiniteDifferences(SIZE))), "FiniteDifferences"),
}


@pytest.mark.parametrize("name", JOINED)
def test_physics_that_joins_slices_is_refused(model, name):
    A, words = JOINED[name]
    with pytest.raises(UnsupportedError, match=words):
        model(A(X + 0j if A.image_field == "complex" else X), wp.Physics(A))


def test_wrong_levels_and_measurements_of_volumes_are_told(model):
    with pytest.raises(ShapeError, match=r"RAM expects sigma of volumes to be a number, .*got \(2, 1, 64, 64\)"):
        model.denoise(X, sigma=torch.ones(2, 1, 64, 64))
    with pytest.raises(ShapeError, match="Identity expects measurements of shape"):
        model(X[:, :, :2], wp.Physics(Identity(SIZE)))
