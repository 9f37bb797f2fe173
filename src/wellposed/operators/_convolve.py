"""Valid convolution in any number of dimensions, and its exact adjoint: directly or by FFT, whichever is cheaper.

Shapes: images (B, C, *space), kernels (B or 1, C or 1, *taps). With taps k the result has size n - k + 1 along an axis:
y[i] = sum_j kernel[j] x[i + k - 1 - j].
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["convolve", "convolve_adjoint", "direct_is_cheaper", "fast_length"]

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def direct_is_cheaper(space: tuple[int, ...], taps: tuple[int, ...]) -> bool:
    """Tell whether summing over the taps costs less than three FFTs (measured: eight multiplications per FFT level)."""
    return math.prod(taps) <= 8 * math.log2(max(2, math.prod(space)))


def fast_length(size: int) -> int:
    """Return the smallest length >= size whose prime factors are 2, 3 and 5, for which FFTs are fast."""
    length = size
    while not _is_smooth(length):
        length += 1
    return length


def convolve(x: Tensor, kernel: Tensor, *, direct: bool) -> Tensor:
    """Return the valid convolution of each image with its kernel."""
    taps = kernel.shape[2:]
    if direct:
        return _correlate(x, kernel.flip(tuple(range(2, kernel.ndim))))
    lengths = [fast_length(size) for size in x.shape[2:]]
    full = _filter(x, kernel, lengths, conjugate=False)
    return full[(..., *(slice(tap - 1, size) for tap, size in zip(taps, x.shape[2:], strict=True)))]


def convolve_adjoint(y: Tensor, kernel: Tensor, *, direct: bool) -> Tensor:
    """Return the transpose of `convolve`: correlation with the conjugate kernel, of size n + k - 1."""
    margins = [tap - 1 for tap in reversed(kernel.shape[2:])]
    if direct:
        return _correlate(functional.pad(y, [side for margin in margins for side in (margin, margin)]), kernel.conj())
    padded = functional.pad(y, [side for margin in margins for side in (margin, 0)])
    lengths = [fast_length(size) for size in padded.shape[2:]]
    full = _filter(padded, kernel, lengths, conjugate=True)
    return full[(..., *(slice(size) for size in padded.shape[2:]))]


def _correlate(x: Tensor, kernel: Tensor) -> Tensor:
    """Slide each kernel over its own channel: one grouped convolution for the whole batch."""
    batch, channels = x.shape[:2]
    weight = kernel.expand(batch, channels, *kernel.shape[2:]).reshape(batch * channels, 1, *kernel.shape[2:])
    slide = _CONVOLUTIONS[kernel.ndim - 2]
    y = slide(x.reshape(1, batch * channels, *x.shape[2:]), weight.to(x.dtype), groups=batch * channels)
    return y.reshape(batch, channels, *y.shape[2:])


def _filter(x: Tensor, kernel: Tensor, lengths: list[int], *, conjugate: bool) -> Tensor:
    axes = tuple(range(2, x.ndim))
    spectrum = torch.fft.rfftn(kernel, s=lengths, dim=axes)
    if x.is_complex():
        parts = [_filter(part, kernel, lengths, conjugate=conjugate) for part in (x.real, x.imag)]
        return torch.complex(*parts)
    spectrum = spectrum.conj() if conjugate else spectrum
    return torch.fft.irfftn(torch.fft.rfftn(x, s=lengths, dim=axes) * spectrum, s=lengths, dim=axes)


def _is_smooth(length: int) -> bool:
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    return length == 1
