"""Antialiasing filters for downsampling, as one-dimensional taps; two-dimensional filters are their outer products."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.core.names import check_name

__all__ = ["FILTERS", "antialiasing_filter"]


def _box(factor: int) -> Tensor:
    """Return ones over the first taps, so that with the centre of all of them the block starts at each output pixel."""
    taps = torch.zeros(max(1, 2 * factor - 2), dtype=torch.float64)
    taps[:factor] = 1
    return taps


def _positions(taps: int, factor: int) -> Tensor:
    """Return the distances of the taps from their centre, in output pixels."""
    return (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / factor


def _bilinear(factor: int) -> Tensor:
    return 1 - _positions(2 * factor, factor).abs()


def _bicubic(factor: int) -> Tensor:
    """Return the cubic convolution kernel of Keys (1981) with a = -1/2."""
    t = _positions(4 * factor, factor).abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t < 1, near, far)


def _gaussian(factor: int) -> Tensor:
    """Return a Gaussian whose standard deviation is half an output pixel, cut at two output pixels."""
    return torch.exp(-2 * _positions(4 * factor, factor).square())


def _sinc(factor: int) -> Tensor:
    """Return a sinc under a Kaiser window whose transition band is that of Karras et al. (2021), appendix C."""
    taps = 4 * factor
    attenuation = 2.285 * (taps - 1) * math.pi * 2 * (2 - math.sqrt(2)) / factor + 7.95
    window = torch.kaiser_window(taps, periodic=False, beta=_kaiser_beta(attenuation), dtype=torch.float64)
    return torch.sinc(_positions(taps, factor)) * window


def _kaiser_beta(attenuation: float) -> float:
    """Return the shape of the window that reaches an attenuation in dB (Kaiser and Schafer 1980)."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation >= 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


FILTERS: dict[str, Callable[[int], Tensor]] = {
    "bicubic": _bicubic,
    "bilinear": _bilinear,
    "box": _box,
    "gaussian": _gaussian,
    "sinc": _sinc,
}


def antialiasing_filter(name: str, factor: int) -> Tensor:
    """Return the taps of a named filter for downsampling by `factor`, shape (1, 1, k, k), with sum 1.

    Parameters
    ----------
    name : {"bicubic", "bilinear", "box", "gaussian", "sinc"}
        "box" is the mean over the block of pixels; "gaussian" has a standard deviation of half an output pixel.
    factor : int

    References
    ----------
    Keys, *Cubic convolution interpolation*, IEEE TASSP 29 (1981). Kaiser and Schafer, IEEE TASSP 28 (1980). Karras et
    al., *Alias-free generative adversarial networks*, NeurIPS 2021, arXiv:2106.12423.

    Examples
    --------
    >>> antialiasing_filter("bilinear", 2)[0, 0, 0].mul(64).tolist()
    [1.0, 3.0, 3.0, 1.0]
    """
    taps = FILTERS[check_name("filter", name, FILTERS)](factor)
    taps = taps / taps.sum()
    return torch.outer(taps, taps)[None, None].to(torch.get_default_dtype())
