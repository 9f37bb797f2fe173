"""A small instance of every kind of operator that behaves differently: what `wellposed doctor` and the tests run."""

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.core.rng import uniform_like
from wellposed.operators.algebra import Adjoint, Compose, Gram, Scaled, Stack, Sum
from wellposed.operators.base import LinearOperator
from wellposed.operators.bayer import BayerMosaic
from wellposed.operators.blur import Blur
from wellposed.operators.cartesian_mri import CartesianMRI
from wellposed.operators.coarse import Coarse
from wellposed.operators.crop import Crop
from wellposed.operators.downsample import Downsample
from wellposed.operators.finite_differences import FiniteDifferences
from wellposed.operators.functions import FromFunctions
from wellposed.operators.identity import Identity
from wellposed.operators.mask import Mask
from wellposed.operators.non_cartesian_mri import NonCartesianMRI
from wellposed.operators.nufft import NUFFT
from wellposed.operators.per_slice import PerSlice
from wellposed.operators.sequential_mri import SequentialMRI
from wellposed.operators.spectral_response import SpectralResponse
from wellposed.operators.tomography import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.operators.undecimated_wavelets import UndecimatedWavelets
from wellposed.operators.wavelets import Wavelets

__all__ = ["EXAMPLES"]


def _random(*shape: int) -> Tensor:
    """Return fixed numbers in [0.5, 1.5), away from zero."""
    return uniform_like(torch.empty(shape), torch.Generator().manual_seed(len(shape) + sum(shape))) + 0.5


def _binary(*shape: int) -> Tensor:
    return (_random(*shape) > 1).float()


def _maps(*shape: int) -> Tensor:
    """Return fixed complex numbers away from zero."""
    return torch.polar(_random(*shape), 6 * _random(*shape).flip(-1))


def _points(*shape: int) -> Tensor:
    """Return fixed points in [-0.9, 0.9) radians per pixel."""
    return 1.8 * (_random(*shape) - 1)


def _kernel(*shape: int) -> Tensor:
    kernel = _random(*shape)
    return kernel / kernel.flatten(2).sum(2).view(*shape[:2], *[1] * (len(shape) - 2))


def _angles(*shape: int) -> Tensor:
    return 2 * _random(*shape)


def _reverse(x: Tensor) -> Tensor:
    return x.flip(-1)


EXAMPLES: dict[str, Callable[[], LinearOperator]] = {
    "Identity": lambda: Identity((2, 5, 4)),
    "Mask": lambda: Mask(_binary(1, 1, 5, 4), (2, 5, 4)),
    "Mask, weights per image and channel": lambda: Mask(_random(3, 2, 5, 4) - 1),
    "Mask, 3D": lambda: Mask(_binary(1, 1, 3, 4, 2), (1, 3, 4, 2)),
    "BayerMosaic": lambda: BayerMosaic((3, 5, 4)),
    "BayerMosaic, GBRG": lambda: BayerMosaic((3, 4, 5), pattern="GBRG"),
    "Blur, valid": lambda: Blur(_kernel(1, 1, 3, 2), (2, 6, 5)),
    "Blur, valid, FFT, kernel per image": lambda: Blur(_kernel(3, 1, 3, 4), (2, 6, 5), method="fft"),
    "Blur, circular": lambda: Blur(_kernel(1, 1, 3, 2), (2, 5, 6), padding="circular"),
    "Blur, circular, FFT, kernel per channel": lambda: Blur(
        _kernel(1, 2, 3, 3), (2, 5, 6), padding="circular", method="fft"
    ),
    "Blur, reflect": lambda: Blur(_kernel(1, 1, 3, 4), (1, 5, 6), padding="reflect"),
    "Blur, replicate": lambda: Blur(_kernel(1, 1, 4, 3), (1, 5, 6), padding="replicate", method="fft"),
    "Blur, zero": lambda: Blur(_kernel(1, 1, 5, 3), (1, 5, 6), padding="zero"),
    "Blur, kernel of one pixel": lambda: Blur(torch.full((1, 1, 1, 1), 0.7), (1, 4, 5), padding="reflect"),
    "Blur, 3D": lambda: Blur(_kernel(1, 1, 2, 3, 2), (1, 3, 4, 4), padding="valid"),
    "Blur, 3D, circular, FFT": lambda: Blur(_kernel(1, 1, 2, 3, 2), (1, 3, 4, 3), padding="circular", method="fft"),
    "Downsample, bicubic x2": lambda: Downsample(2, (1, 6, 8)),
    "Downsample, box x3": lambda: Downsample(3, (2, 6, 9), filter="box"),
    "Downsample, sinc x4": lambda: Downsample(4, (1, 8, 8), filter="sinc"),
    "Downsample, filter per image": lambda: Downsample(2, (1, 4, 6), filter=_kernel(3, 1, 5, 3)),
    "CartesianMRI": lambda: CartesianMRI(_binary(1, 1, 1, 6), (1, 5, 6)),
    "CartesianMRI, mask per image": lambda: CartesianMRI(_binary(3, 1, 4, 5), (1, 4, 5)),
    "CartesianMRI, 3D": lambda: CartesianMRI(_binary(1, 1, 3, 4, 2), (1, 3, 4, 2)),
    "CartesianMRI, coils": lambda: CartesianMRI(_binary(1, 1, 1, 5), (1, 4, 5), _maps(1, 4, 4, 5)),
    "CartesianMRI, two sets of maps, per image": lambda: CartesianMRI(
        _binary(1, 1, 4, 3), (2, 4, 3), _maps(3, 2, 4, 4, 3)
    ),
    "CartesianMRI, coils, 3D": lambda: CartesianMRI(_binary(1, 1, 3, 1, 2), (1, 3, 4, 2), _maps(1, 2, 3, 4, 2)),
    "CartesianMRI, frames, coils": lambda: CartesianMRI(
        _binary(1, 1, 3, 1, 5), (1, 3, 4, 5), _maps(1, 2, 4, 5), dynamic=True
    ),
    "CartesianMRI, frames of volumes, mask per image, two sets of maps": lambda: CartesianMRI(
        _binary(3, 1, 2, 2, 1, 3), (2, 2, 2, 1, 3), _maps(1, 2, 2, 2, 1, 3), dynamic=True
    ),
    "NUFFT": lambda: NUFFT(_points(1, 7, 2), (2, 4, 5)),
    "NUFFT, trajectory per image": lambda: NUFFT(_points(3, 6, 2), (1, 4, 3)),
    "NonCartesianMRI, 3D": lambda: NonCartesianMRI(_points(1, 2, 3, 3), (1, 2, 3, 4)),
    "NonCartesianMRI, coils": lambda: NonCartesianMRI(_points(1, 2, 4, 2), (1, 4, 3), _maps(1, 2, 4, 3)),
    "SequentialMRI": lambda: SequentialMRI(_binary(1, 1, 3, 4, 5), (2, 4, 5)),
    "SequentialMRI, 3D": lambda: SequentialMRI(_binary(1, 1, 2, 3, 1, 4), (1, 3, 2, 4)),
    "SequentialMRI, coils": lambda: SequentialMRI(_binary(1, 1, 3, 1, 4), (1, 5, 4), _maps(1, 2, 5, 4)),
    "Coarse": lambda: Coarse(Mask(_binary(1, 1, 4, 6), (2, 4, 6)), 2),
    "Coarse, weights and filter per image": lambda: Coarse(Mask(_random(3, 1, 6, 3)), 3, filter=_kernel(3, 1, 3, 4)),
    "Coarse, circular blur": lambda: Coarse(Blur(_kernel(1, 2, 3, 2), (2, 4, 6), padding="circular"), 2),
    "Coarse, valid blur": lambda: Coarse(Blur(_kernel(1, 1, 2, 3), (1, 4, 6)), 2),
    "Coarse, k-space per image": lambda: Coarse(CartesianMRI(_binary(3, 1, 4, 6), (1, 4, 6)), 2, filter="box"),
    "Coarse, multiple": lambda: Coarse(Scaled(BayerMosaic((3, 4, 6), "GBRG"), torch.tensor([-2.0, 0.7, 1.5])), 2),
    "Crop": lambda: Crop((2, 5, 6), corner=(1, 2), size=(3, 3)),
    "FiniteDifferences": lambda: FiniteDifferences((2, 4, 5)),
    "FiniteDifferences, 3D": lambda: FiniteDifferences((1, 3, 2, 4)),
    "ParallelBeam2D": lambda: ParallelBeam2D(_angles(3), (1, 4, 3), 8, detector_offset=0.13),
    "ParallelBeam2D, angles and offsets per image": lambda: ParallelBeam2D(
        _angles(3, 2) - 1, (2, 2, 3), 5, 1.3, torch.tensor([0.1, -0.2, 0.3]), pixel_size=0.9
    ),
    "FanBeam2D": lambda: FanBeam2D(_angles(3), (1, 3, 4), 4.1, 3.3, 16, 1.1, 0.13),
    "ParallelBeam3D": lambda: ParallelBeam3D(_angles(2), (2, 3, 3, 2), 6, 4, row_pitch=0.8, detector_offset=0.13),
    "ConeBeam3D": lambda: ConeBeam3D(_angles(2), (1, 2, 2, 3), 4.1, 3.3, 6, 4, 1.6, 1.7, 0.13, 0.2),
    "FromFunctions": lambda: FromFunctions(_reverse, _reverse, (1, 4, 3), (1, 4, 3)),
    "SpectralResponse": lambda: SpectralResponse(_random(1, 2, 3) - 1, (3, 4, 5)),
    "SpectralResponse, per image": lambda: SpectralResponse(_random(3, 4, 2) - 1, (2, 3, 4)),
    "SpectralResponse, 3D, rank one": lambda: SpectralResponse(torch.full((1, 2, 3), 0.25), (3, 2, 3, 4)),
    "PerSlice": lambda: PerSlice(Downsample(2, (2, 4, 6)), depth=3),
    "PerSlice, mask per volume": lambda: PerSlice(CartesianMRI(_binary(3, 1, 4, 5), (1, 4, 5)), depth=2),
    "PerSlice, tuple": lambda: PerSlice(Stack((Blur(_kernel(1, 1, 3, 2), (1, 4, 5)), Mask(_random(1, 1, 4, 5)))), 3),
    "Adjoint": lambda: Adjoint(Downsample(2, (1, 4, 6))),
    "Gram": lambda: Gram(Blur(_kernel(1, 1, 3, 3), (1, 5, 5))),
    "Compose": lambda: Compose(Crop((1, 5, 6), (1, 1), (3, 4)), Blur(_kernel(1, 1, 3, 3), (1, 5, 6), padding="zero")),
    "Sum": lambda: Sum((Mask(_random(1, 1, 4, 4)), Blur(_kernel(1, 1, 3, 3), (1, 4, 4), padding="circular"))),
    "Scaled": lambda: Scaled(Crop((1, 4, 5), (0, 1), (3, 3)), -2.5),
    "Scaled, complex, per image": lambda: Scaled(
        CartesianMRI(_binary(1, 1, 4, 4), (1, 4, 4)), torch.tensor([1 + 2j, -1j, 0.5])
    ),
    "UndecimatedWavelets": lambda: UndecimatedWavelets((2, 4, 5), "db2", levels=2),
    "UndecimatedWavelets, 3D": lambda: UndecimatedWavelets((1, 2, 4, 3), "db1", levels=1),
    "Wavelets": lambda: Wavelets((2, 4, 6), "db2", levels=2),
    "Wavelets, odd": lambda: Wavelets((1, 5, 3), "db1", levels=1),
    "Wavelets, 3D": lambda: Wavelets((1, 2, 4, 3), "db3", levels=2),
    "Stack": lambda: Stack((Downsample(2, (1, 4, 6)), Mask(_binary(1, 1, 4, 6)))),
}
"""Makers of float32 operators by name; the word before the first comma is the class."""
