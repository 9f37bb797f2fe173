r"""The normal operator of a nonuniform Fourier transform: a convolution, on a grid of twice the size.

.. math:: (A^H A x)_n = \sum_{n'} t_{n - n'} x_{n'}, \qquad t_m = \frac{1}{N} \sum_j e^{i k_j \cdot m}
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.operators._nufft import Grid, to_image

__all__ = ["convolve", "toeplitz_spectrum"]

_TOLERANCE = 1e-12


def toeplitz_spectrum(trajectory: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the spectrum of t on the doubled grid, which is real: shape (B or 1, 1, *doubled sizes).

    It is computed in double precision, since it is used again and again, and returned in that of the trajectory.
    """
    points, doubled = trajectory.double(), tuple(2 * size for size in sizes)
    ones = torch.ones(len(points), 1, points.shape[1], dtype=torch.complex128, device=points.device)
    kernel = to_image(ones, points, Grid(doubled, _TOLERANCE)) * (math.sqrt(math.prod(doubled)) / math.prod(sizes))
    axes = tuple(range(-len(sizes), 0))
    for axis in axes:
        kernel = kernel * (torch.arange(kernel.shape[axis], device=kernel.device) > 0).view(-1, *[1] * (-axis - 1))
    return torch.fft.fftn(torch.fft.ifftshift(kernel, axes), dim=axes).real.to(trajectory.dtype)


def convolve(x: Tensor, spectrum: Tensor, dimensions: int) -> Tensor:
    """Convolve images with the kernel of a spectrum; lines of zeros are not transformed, nor lines that are cut off."""
    sizes = x.shape[-dimensions:]
    for axis in range(-1, -dimensions - 1, -1):
        x = torch.fft.fft(x, n=2 * sizes[axis], dim=axis)
    x = x * spectrum
    for axis in range(-dimensions, 0):
        x = torch.fft.ifft(x, dim=axis).narrow(axis, 0, sizes[axis])
    return x
