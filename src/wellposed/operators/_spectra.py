"""What operators that are diagonal in Fourier space share: transfer functions, and filtering by them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.autograd import is_recorded

__all__ = ["diagonal_pinv", "fast_length", "filter_circular", "transfer_function"]


_NUMBERS_IN_CACHE = 2**19


def transfer_function(kernel: Tensor, space: Sequence[int], origin: Sequence[int]) -> Tensor:
    """Return the half spectrum of a real kernel (B, C, *taps) on a periodic grid, with `origin` its tap at zero."""
    axes = tuple(range(2, kernel.ndim))
    margins = [size - taps for size, taps in zip(space, kernel.shape[2:], strict=True)]
    padded = functional.pad(kernel, [side for margin in reversed(margins) for side in (0, margin)])
    return torch.fft.rfftn(padded.roll([-tap for tap in origin], dims=axes), dim=axes)


def filter_circular(x: Tensor, spectrum: Tensor, grid: Sequence[int] | None = None) -> Tensor:
    """Multiply images (B, C, *space) by a half spectrum: a real filter, periodic on a grid of their size or larger.

    The result has the size of the grid; images are continued by zeros up to there. On a processor a large batch goes
    through in parts that stay in its cache: fresh memory for the spectra of all would cost more than the transforms.
    """
    if x.is_complex():
        return torch.complex(filter_circular(x.real, spectrum, grid), filter_circular(x.imag, spectrum, grid))
    sizes = tuple(x.shape[2:] if grid is None else grid)
    if is_recorded(x) or is_recorded(spectrum):
        return _filter(x, spectrum, sizes, torch.mul)
    images = len(x) if x.device.type != "cpu" else max(1, _NUMBERS_IN_CACHE // x[0].numel())
    if images >= len(x):
        return _filter(x, spectrum, sizes, Tensor.mul_)
    parts = x.split(images)
    spectra = spectrum.split(images) if len(spectrum) > 1 else [spectrum] * len(parts)
    return torch.cat([_filter(*pair, sizes, Tensor.mul_) for pair in zip(parts, spectra, strict=True)])


def _filter(
    x: Tensor, spectrum: Tensor, sizes: tuple[int, ...], multiply: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    axes = tuple(range(2, x.ndim))
    return torch.fft.irfftn(multiply(torch.fft.rfftn(x, s=sizes, dim=axes), spectrum), s=sizes, dim=axes)


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
