"""What operators that are diagonal in Fourier space share: transfer functions, and applying them to real or complex images."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["diagonal_pinv", "filter_circular", "transfer_function"]


def transfer_function(kernel: Tensor, space: tuple[int, ...]) -> Tensor:
    """Return the half spectrum of a real kernel (B, C, *taps) centred at half its size, on a periodic grid."""
    axes = tuple(range(2, kernel.ndim))
    margins = [size - taps for size, taps in zip(space, kernel.shape[2:], strict=True)]
    padded = functional.pad(kernel, [side for margin in reversed(margins) for side in (0, margin)])
    return torch.fft.rfftn(padded.roll([-(taps // 2) for taps in kernel.shape[2:]], dims=axes), dim=axes)


def filter_circular(x: Tensor, spectrum: Tensor) -> Tensor:
    """Multiply images (B, C, *space) by a half spectrum: a real, periodic filter."""
    if x.is_complex():
        return torch.complex(filter_circular(x.real, spectrum), filter_circular(x.imag, spectrum))
    axes = tuple(range(2, x.ndim))
    return torch.fft.irfftn(torch.fft.rfftn(x, dim=axes) * spectrum, s=x.shape[2:], dim=axes)


def diagonal_pinv(spectrum: Tensor) -> Tensor:
    """Invert a spectrum (P, C, ...) where it is not zero to rounding, relative to its largest value in each image."""
    size = spectrum.abs()
    largest = size.flatten(1).amax(1).view(-1, *[1] * (spectrum.ndim - 1))
    limit = largest * torch.finfo(size.dtype).eps * max(spectrum.shape[2:])
    kept = size > limit
    return torch.where(kept, 1 / torch.where(kept, spectrum, 1), 0)
