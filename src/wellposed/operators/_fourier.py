r"""The centred, orthonormal Fourier transform of MRI: the zero frequency lies in the middle of the array.

With c = N // 2 half the size,

.. math::

    X_k = \frac{1}{\sqrt N} \sum_n x_n e^{-2 \pi i (k - c)(n - c) / N} = q_k\, \mathrm{FFT}(p \odot x)_k, \qquad
    p_n = e^{2 \pi i c n / N}, \quad q_k = e^{2 \pi i c (k - c) / N}

so two factors, which others can absorb, take the place of two shifts. For even sizes they are signs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["frequency_phase", "image_phase"]


def image_phase(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the factor p of images of these sizes, in the precision and on the device of `like`: real if all are even.

    Examples
    --------
    >>> image_phase((4,), torch.ones(1))
    tensor([ 1., -1.,  1., -1.])
    """
    return _phase(sizes, like, centred=False)


def frequency_phase(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the factor q of k-space of these sizes; the counterpart of `image_phase`."""
    return _phase(sizes, like, centred=True)


def _phase(sizes: tuple[int, ...], like: Tensor, *, centred: bool) -> Tensor:
    dtype = like.dtype.to_real() if like.is_complex() else like.dtype
    product = torch.ones((), dtype=dtype, device=like.device)
    for axis, size in enumerate(sizes):
        factor = _line(size, size // 2 if centred else 0, like.device)
        factor = factor.real.to(dtype) if size % 2 == 0 else factor.to(dtype.to_complex())
        product = product * factor.view(-1, *[1] * (len(sizes) - 1 - axis))
    return product


def _line(size: int, origin: int, device: torch.device) -> Tensor:
    """Return exp(2 pi i c (n - origin) / N), whose angle is reduced in whole numbers."""
    turns = (size // 2) * (torch.arange(size, device=device) - origin) % size
    if size % 2 == 0:
        sign = 1.0 - 2.0 * (turns != 0)
        return torch.complex(sign.double(), torch.zeros_like(sign.double()))
    angle = 2 * math.pi / size * turns.double()
    return torch.polar(torch.ones_like(angle), angle)
