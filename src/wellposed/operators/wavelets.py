"""Orthonormal wavelets: images in which photographs are nearly all zero."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.arguments import check_counts
from wellposed.core.names import check_name
from wellposed.core.shapes import fixed_shape
from wellposed.operators._parseval import ParsevalFrame, check_has_space

__all__ = ["Wavelets"]

WAVELETS = tuple(f"db{moments}" for moments in range(1, 9))


class Wavelets(ParsevalFrame):
    r"""The orthonormal wavelet transform of images or volumes of any size, periodic.

    .. math:: y = W x, \qquad W^T W = W W^T = I

    At each level every axis of space is split into averages, which come first, and differences; the next level splits
    what is averages along all axes. An axis of odd length leaves its last pixel as it is, among the averages; one that
    has become shorter than two is not split further.

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    wavelet : str
        "db1" (Haar) to "db8": Daubechies' wavelets by their number of vanishing moments.
    levels : int

    Raises
    ------
    UnknownNameError
        If there is no such wavelet.
    ArgumentError
        If `levels` is not a whole number above zero.

    References
    ----------
    Daubechies, *Ten lectures on wavelets*, SIAM 1992, chapter 6. Mallat, *A wavelet tour of signal processing*, 3rd
    edition, 2009, chapter 7.

    Examples
    --------
    >>> W = Wavelets((1, 2, 2), "db1", levels=1)
    >>> W(torch.tensor([[[[1.0, 1.0], [1.0, 1.0]]]])).round(decimals=4).flatten().abs().tolist()
    [2.0, 0.0, 0.0, 0.0]
    """

    tags = frozenset({"unitary"})
    image_shape: tuple[int, ...]

    def __init__(self, image_shape: tuple[int, ...], wavelet: str = "db4", levels: int = 4) -> None:
        image_shape = fixed_shape("Wavelets", image_shape)
        check_name("wavelet", wavelet, WAVELETS)
        check_counts("Wavelets", levels=levels)
        check_has_space("Wavelets", image_shape)
        super().__init__(image_shape, image_shape)
        self.wavelet, self.levels = wavelet, levels

    def details(self) -> Tensor:
        """Return one for coefficients that are differences and zero for the averages that are left, (1, 1, H, W)."""
        mask = torch.ones(1, 1, *self.image_shape[1:], dtype=self.dtype, device=self.device)
        mask[_corner(self._boxes()[-1])] = 0
        return mask

    def _forward(self, x: Tensor) -> Tensor:
        if x.is_complex():
            return torch.complex(self._forward(x.real), self._forward(x.imag))
        y = x
        for box in self._boxes()[:-1]:
            corner = _corner(box)
            part = y[corner]
            for axis in self._axes():
                part = _split(part, axis, self._filters(x))
            y = _with_corner(y, part, box)
        return y

    def _adjoint(self, y: Tensor) -> Tensor:
        if y.is_complex():
            return torch.complex(self._adjoint(y.real), self._adjoint(y.imag))
        x = y
        for box in reversed(self._boxes()[:-1]):
            part = x[_corner(box)]
            for axis in reversed(self._axes()):
                part = _merge(part, axis, self._filters(y))
            x = _with_corner(x, part, box)
        return x

    def _boxes(self) -> list[tuple[int, ...]]:
        """Return the sizes of the averages before each level, and after the last."""
        boxes = [self.image_shape[1:]]
        for _ in range(self.levels):
            boxes.append(tuple((size + 1) // 2 for size in boxes[-1]))
        return boxes

    def _filters(self, like: Tensor) -> Tensor:
        return torch.tensor(daubechies(int(self.wavelet[2:])), dtype=like.dtype, device=like.device)[:, None]


def _corner(box: tuple[int, ...]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(0, size) for size in box))


def _with_corner(whole: Tensor, part: Tensor, box: tuple[int, ...]) -> Tensor:
    if tuple(whole.shape[2:]) == box:
        return part
    changed = whole.clone()
    changed[_corner(box)] = part
    return changed


def _split(x: Tensor, axis: int, filters: Tensor) -> Tensor:
    """Return averages, then differences along one axis: a convolution with stride two that wraps around."""
    rows = x.movedim(axis, -1)
    even = rows.shape[-1] // 2 * 2
    if even == 0:
        return x
    reach = filters.shape[-1] - 2
    lines = rows[..., :even].reshape(-1, 1, even)
    repeats = 1 + reach // even
    wrapped = torch.cat([lines, *[lines] * repeats], dim=-1)[..., : even + reach]
    averages, differences = functional.conv1d(wrapped, filters, stride=2).unbind(1)
    shape = (*rows.shape[:-1], even // 2)
    halves = [averages.reshape(shape), rows[..., even:], differences.reshape(shape)]
    return torch.cat(halves, dim=-1).movedim(-1, axis)


def _merge(y: Tensor, axis: int, filters: Tensor) -> Tensor:
    """Return the signal whose averages and differences these are: the transpose of `_split`."""
    rows = y.movedim(axis, -1)
    half = rows.shape[-1] // 2
    if half == 0:
        return y
    odd = rows.shape[-1] % 2
    averages, rest, differences = rows.split([half, odd, half], dim=-1)
    pair = torch.stack([averages.reshape(-1, half), differences.reshape(-1, half)], dim=1)
    spread = functional.conv_transpose1d(pair, filters, stride=2)
    missing = -spread.shape[-1] % (2 * half)
    folded = functional.pad(spread, (0, missing)).unflatten(-1, (-1, 2 * half)).sum(2).squeeze(1)
    folded = folded.reshape(*rows.shape[:-1], 2 * half)
    return torch.cat([folded, rest], dim=-1).movedim(-1, axis)


@lru_cache(maxsize=len(WAVELETS))
def daubechies(moments: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the filters of averages and differences, by spectral factorisation: Daubechies (1992), section 6.1."""
    powers = [math.comb(moments - 1 + k, k) for k in range(moments)]
    polynomial = np.ones(1)
    for y in np.roots(powers[::-1]):
        pair = np.roots([1, 4 * y - 2, 1])
        polynomial = np.convolve(polynomial, [1, -pair[np.argmin(np.abs(pair))]])
    for _ in range(moments):
        polynomial = np.convolve(polynomial, [1, 1])
    low = polynomial.real * (math.sqrt(2) / polynomial.real.sum())
    high = low[::-1] * (-1.0) ** np.arange(1, len(low) + 1)
    return tuple(low.tolist()), tuple(high.tolist())
