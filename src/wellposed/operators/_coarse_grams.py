"""What A_s^H A_s looks like from the coarse grid: a convolution, circular, decimated or windowed, or a varying stencil.

Each form knows the table of numbers that describes it, computed once from the physical parameters, and how to apply
it. `FORMS` says which operator has which; an operator that it does not name, or names None for, is composed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.autograd import is_recorded
from wellposed.operators._borders import extend
from wellposed.operators._spectra import filter_circular, transfer_function
from wellposed.operators.algebra import Compose
from wellposed.operators.base import LinearOperator
from wellposed.operators.bayer import BayerMosaic
from wellposed.operators.blur import Blur
from wellposed.operators.cartesian_mri import CartesianMRI
from wellposed.operators.downsample import Downsample
from wellposed.operators.identity import Identity
from wellposed.operators.mask import Mask

__all__ = ["FORMS", "GramForm", "SpectralForm"]


_NUMBERS_IN_CACHE = 2**19


class GramForm(ABC):
    """How to apply A_s^H A_s without leaving the coarse grid."""

    @abstractmethod
    def table(self, coarse: Compose) -> Tensor:
        """Return the numbers that describe the gram of A_s, which comes as the composition of A and U_s."""

    @abstractmethod
    def gram(self, table: Tensor, x: Tensor) -> Tensor:
        """Return A_s^H A_s x."""


class SpectralForm(GramForm):
    """A form whose norm and whose inverse, damped, are closed as well."""

    @abstractmethod
    def norm(self, table: Tensor) -> Tensor:
        """Return the largest singular value of A_s, one per image of the parameters."""

    @abstractmethod
    def solve(self, table: Tensor, right: Tensor, gamma: Tensor) -> Tensor:
        """Return (I + gamma A_s^H A_s)^{-1} right."""


class Circulant(SpectralForm):
    """A real circular convolution, known by its answer to a point: where A commutes with shifts by a coarse pixel.

    The table holds the eigenvalues, shape (P, C, h, w // 2 + 1): the power of A U_s, averaged over its aliases.
    """

    def table(self, coarse: Compose) -> Tensor:
        return self._transform(cast("Tensor", coarse._gram(_point(coarse.zero_image())))).real

    def gram(self, table: Tensor, x: Tensor) -> Tensor:
        return self._filter(x, table)

    def norm(self, table: Tensor) -> Tensor:
        return table.flatten(1).amax(1).sqrt()

    def solve(self, table: Tensor, right: Tensor, gamma: Tensor) -> Tensor:
        return self._filter(right, 1 / (1 + gamma * table))

    def _transform(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(x)

    def _filter(self, x: Tensor, spectrum: Tensor) -> Tensor:
        return filter_circular(x, spectrum)


class ComplexCirculant(Circulant):
    """A circular convolution of complex images whose kernel is complex: all frequencies count, shape (P, C, h, w)."""

    def _transform(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(x)

    def _filter(self, x: Tensor, spectrum: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(x) * spectrum)


@dataclass(frozen=True)
class Decimated(SpectralForm):
    """A real circular convolution K of the coarse grid of which one pixel in `stride` is kept: G = K^H S^H S K.

    The table is the transfer function of K at all frequencies, shape (P, C, h, w).
    """

    stride: int

    def table(self, coarse: Compose) -> Tensor:
        return torch.fft.fft2(cast("Tensor", coarse.adjoint(_point(coarse.zero_measurement())))).conj()

    def gram(self, table: Tensor, x: Tensor) -> Tensor:
        half = _half(table)
        return filter_circular(self._spread(self._kept(filter_circular(x, half))), half.conj())

    def norm(self, table: Tensor) -> Tensor:
        return self._power(table).flatten(1).amax(1).sqrt()

    def solve(self, table: Tensor, right: Tensor, gamma: Tensor) -> Tensor:
        """Invert on the grid of the measurements, where S K K^H S^H is a convolution (the identity of Woodbury)."""
        half, power = _half(table), _half(self._power(table))
        measured = self._kept(filter_circular(right, half))
        damped = filter_circular(measured, gamma / (1 + gamma * power))
        return right - filter_circular(self._spread(damped), half.conj())

    def _kept(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]

    def _spread(self, y: Tensor) -> Tensor:
        """Put zeros between the pixels: the transpose of keeping one in `stride`."""
        gap = self.stride - 1
        return functional.pad(y[..., :, None, :, None], (0, gap, 0, 0, 0, gap)).flatten(-2).flatten(-3, -2)

    def _power(self, table: Tensor) -> Tensor:
        """Return the eigenvalues of S K K^H S^H: the mean of |K|^2 over the frequencies that become the same one."""
        aliases = table.abs().square().unflatten(-1, (self.stride, -1)).unflatten(-3, (self.stride, -1))
        return aliases.mean((-4, -2))


@dataclass(frozen=True)
class Stencil(GramForm):
    r"""A sum over the coarse neighbours whose weights differ from pixel to pixel: where A^H A is diagonal.

    .. math:: (G x)_i = \sum_d g_d(i)\, x_{i + d}, \qquad g_d(i) = \sum_j h_j\, h_{j + f d}\, m^2_{f i - j + c}

    with h the filter of U_s, of k taps, so that only the neighbours with :math:`|d| < k / f` count: 7 x 7 for the sinc
    filter. The table holds :math:`g_d(i)`, shape (P, C, rows of d, columns of d, h, w).
    """

    diagonal: Callable[[], Tensor]
    """Returns that of A^H A, shape (P, 1 or C, H, W)."""

    def table(self, coarse: Compose) -> Tensor:
        """Correlate the diagonal with all the overlaps: in one batch where the filter is shared, else in groups."""
        downsample = cast("Downsample", coarse.inner.H)
        factor, taps, diagonal = downsample.factor, downsample.filter, self.diagonal()
        batch, channels = max(len(diagonal), len(taps)), max(diagonal.shape[1], taps.shape[1])
        groups = (1, 1) if taps.shape[:2] == (1, 1) else (batch, channels)
        margins = [(size - 1 - size // 2, max(0, size // 2 - factor + 1)) for size in taps.shape[2:]]
        padded = extend(diagonal.expand(batch, channels, -1, -1), margins, "circular")
        images = padded.reshape(-1, math.prod(groups), *padded.shape[2:])
        overlaps = _overlaps(taps, factor).flip(-2, -1)
        weight = overlaps.expand(*groups, *overlaps.shape[2:]).reshape(-1, 1, *taps.shape[2:])
        table = functional.conv2d(images, weight, stride=factor, groups=math.prod(groups))
        return table.reshape(batch, channels, *overlaps.shape[2:4], *table.shape[2:])

    def gram(self, table: Tensor, x: Tensor) -> Tensor:
        rows, columns, height, width = table.shape[2:]
        padded = extend(x, [(rows // 2, rows // 2), (columns // 2, columns // 2)], "circular")
        neighbours = padded.unfold(2, height, 1).unfold(3, width, 1)
        if x.device.type == "cpu" and not is_recorded(x) and not is_recorded(table):
            result = torch.zeros_like(x, memory_format=torch.contiguous_format)
            for row, column in product(range(rows), range(columns)):
                result.addcmul_(table[:, :, row, column], neighbours[:, :, row, column])
            return result
        at_once = max(1, _NUMBERS_IN_CACHE // (columns * x.numel()))
        parts = zip(table.split(at_once, dim=2), neighbours.split(at_once, dim=2), strict=True)
        return reduce(torch.add, ((weights * pixels).sum((2, 3)) for weights, pixels in parts))


@dataclass(frozen=True)
class Windowed(GramForm):
    r"""A real circular convolution K of the fine grid, of which a window is measured: valid blur.

    .. math:: G = U_s^H K^H W K\, U_s, \qquad
              \widehat{K U_s x}(k) = \hat h(k)\, \hat K(k)\, \hat x(k \bmod n)

    with n the size of the coarse grid, so that only the window W asks for the fine grid: by two transforms, where one
    factor after the other takes four and two interpolations. The table holds :math:`\hat h \hat K`, shape
    (P, C, H, W // 2 + 1).
    """

    blur: Blur

    def table(self, coarse: Compose) -> Tensor:
        blur = self.blur
        origin = [taps - 1 for taps in blur.kernel.shape[2:]]
        interpolator = cast("Tensor", coarse.inner._forward(_point(coarse.zero_image())))
        return torch.fft.rfft2(interpolator) * transfer_function(blur.kernel, blur.image_shape[1:], origin)

    def gram(self, table: Tensor, x: Tensor) -> Tensor:
        if x.is_complex():
            return torch.complex(self.gram(table, x.real), self.gram(table, x.imag))
        height, (fine_height, fine_width) = x.shape[2], self.blur.image_shape[1:]
        rows, columns = self.blur.measurement_shape[1:]
        factor, kept = fine_height // height, table.shape[-1]
        repeated = torch.fft.fft2(x).repeat(1, 1, 1, factor // 2 + 1)[..., None, :, :kept]
        spectrum = (repeated * table.unflatten(2, (factor, height))).flatten(2, 3)
        measured = torch.fft.irfft2(spectrum, s=(fine_height, fine_width))[..., :rows, :columns]
        spectrum = torch.fft.rfft2(measured, s=(fine_height, fine_width)) * table.conj()
        aliases = spectrum.unflatten(2, (factor, height)).mean(2)
        return torch.fft.irfft2(aliases, s=(height, fine_width))[..., ::factor]


def _overlaps(taps: Tensor, factor: int) -> Tensor:
    """Return h_j h_{j + f d} for each d, shape (P, C, rows of d, columns of d, kH, kW)."""
    reach = [-(-size // factor) - 1 for size in taps.shape[2:]]
    height, width = taps.shape[2:]
    padded = functional.pad(taps, [factor * reach[1]] * 2 + [factor * reach[0]] * 2)
    shifted = padded.unfold(2, height, factor).unfold(3, width, factor)
    return taps[:, :, None, None] * shifted


def _point(zero: Any) -> Tensor:
    """Turn images of zeros into images of one point, at the first pixel."""
    zero[..., 0, 0] = 1
    return zero


def _half(spectrum: Tensor) -> Tensor:
    """Return the half of the spectrum of a real filter that `rfft2` keeps."""
    return spectrum[..., : spectrum.shape[-1] // 2 + 1]


def _of_blur(blur: Blur, _factor: int) -> GramForm | None:
    if blur.padding == "circular":
        return Circulant()
    return Windowed(blur) if blur.padding == "valid" else None


def _of_mask(mask: Mask, _factor: int) -> GramForm:
    return Stencil(mask.mask.square)


def _of_mosaic(mosaic: BayerMosaic, factor: int) -> GramForm:
    """Return a convolution if a coarse pixel is a whole number of squares of the pattern."""
    if factor % 2 == 0:
        return Circulant()
    return Stencil(lambda: mosaic._gram(torch.ones_like(cast("Tensor", mosaic.zero_image()))))


def _of_downsampling(downsample: Downsample, factor: int) -> GramForm | None:
    """Return a closed form if one of the two grids is part of the other."""
    if factor % downsample.factor == 0:
        return Circulant()
    if downsample.factor % factor == 0:
        return Decimated(downsample.factor // factor)
    return None


def _of_k_space(mri: CartesianMRI, _factor: int) -> GramForm | None:
    return None if mri.dynamic or mri.coil_maps is not None else ComplexCirculant()


FORMS: dict[type[LinearOperator], Callable[[Any, int], GramForm | None]] = {
    BayerMosaic: _of_mosaic,
    Blur: _of_blur,
    CartesianMRI: _of_k_space,
    Downsample: _of_downsampling,
    Identity: lambda _identity, _factor: Circulant(),
    Mask: _of_mask,
}
"""By class of A: a function of A and the factor that returns the form of A_s^H A_s, or None if it has none."""
