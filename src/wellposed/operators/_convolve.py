"""Valid convolution in any number of dimensions, summed over the taps, and its exact adjoint.

Shapes: images (B, C, *space), kernels (B or 1, C or 1, *taps). With taps k the result has size n - k + 1 along an axis:
y[i] = sum_j kernel[j] x[i + k - 1 - j].
"""

import math

from torch import Tensor
from torch.nn import functional

__all__ = ["convolve", "convolve_adjoint", "direct_is_cheaper"]

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def direct_is_cheaper(space: tuple[int, ...], taps: tuple[int, ...]) -> bool:
    """Tell whether summing over the taps costs less than three FFTs (measured: eight multiplications per FFT level)."""
    return math.prod(taps) <= 8 * math.log2(max(2, math.prod(space)))


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Return the valid convolution of each image with its kernel."""
    return _correlate(x, kernel.flip(tuple(range(2, kernel.ndim))))


def convolve_adjoint(y: Tensor, kernel: Tensor) -> Tensor:
    """Return the transpose of `convolve`: correlation with the kernel, of size n + k - 1."""
    margins = [tap - 1 for tap in reversed(kernel.shape[2:])]
    return _correlate(functional.pad(y, [side for margin in margins for side in (margin, margin)]), kernel)


def _correlate(x: Tensor, kernel: Tensor) -> Tensor:
    """Slide each kernel over its own channel: one grouped convolution for the whole batch."""
    batch, channels = x.shape[:2]
    weight = kernel.expand(batch, channels, *kernel.shape[2:]).reshape(batch * channels, 1, *kernel.shape[2:])
    slide = _CONVOLUTIONS[kernel.ndim - 2]
    y = slide(x.reshape(1, batch * channels, *x.shape[2:]), weight.to(x.dtype), groups=batch * channels)
    return y.reshape(batch, channels, *y.shape[2:])
