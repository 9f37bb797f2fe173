"""The centred, orthonormal Fourier transform of MRI: the zero frequency lies in the middle of the array."""

import torch
from torch import Tensor

__all__ = ["centred_fft", "centred_ifft"]


def centred_fft(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Transform images whose origin is at half their size to k-space whose DC is at half its size."""
    return torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(x, axes), dim=axes, norm="ortho"), axes)


def centred_ifft(y: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Invert `centred_fft`, of which it is also the adjoint."""
    return torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(y, axes), dim=axes, norm="ortho"), axes)
