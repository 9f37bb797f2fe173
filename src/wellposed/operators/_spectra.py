"""What operators that are diagonal in Fourier space share: transfer functions, and filtering by them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["diagonal_pinv", "fast_length", "filter_circular", "transfer_function"]


def transfer_function(kernel: Tensor, space: Sequence[int]) -> Tensor:
    """Return the half spectrum of a real kernel (B, C, *taps) centred at half its size, on a periodic grid."""
    axes = tuple(range(2, kernel.ndim))
    margins = [size - taps for size, taps in zip(space, kernel.shape[2:], strict=True)]
    padded = functional.pad(kernel, [side for margin in reversed(margins) for side in (0, margin)])
    return torch.fft.rfftn(padded.roll([-(taps // 2) for taps in kernel.shape[2:]], dims=axes), dim=axes)


def filter_circular(x: Tensor, spectrum: Tensor, grid: Sequence[int] | None = None) -> Tensor:
    """Multiply images (B, C, *space) by a half spectrum: a real filter, periodic on a grid of their size or larger.

    The result has the size of the grid; images are continued by zeros up to there.
    """
    if x.is_complex():
        return torch.complex(filter_circular(x.real, spectrum, grid), filter_circular(x.imag, spectrum, grid))
    axes, sizes = tuple(range(2, x.ndim)), tuple(x.shape[2:] if grid is None else grid)
    return torch.fft.irfftn(torch.fft.rfftn(x, s=sizes, dim=axes) * spectrum, s=sizes, dim=axes)


def fast_length(size: int) -> int:
    """Return the smallest length >= size whose prime factors are 2, 3 and 5, for which FFTs are fast."""
    length = size
    while not _is_smooth(length):
        length += 1
    return length


def diagonal_pinv(spectrum: Tensor) -> Tensor:
    """Invert a spectrum (P, C, ...) where it is not zero to rounding, relative to its largest value in each image."""
    size = spectrum.abs()
    largest = size.flatten(1).amax(1).view(-1, *[1] * (spectrum.ndim - 1))
    limit = largest * torch.finfo(size.dtype).eps * max(spectrum.shape[2:])
    kept = size > limit
    return torch.where(kept, 1 / torch.where(kept, spectrum, 1), 0)


def _is_smooth(length: int) -> bool:
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    return length == 1
