"""Hounsfield units: what CT images are given in, what rays are attenuated by, and what networks see."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import ArgumentError

__all__ = [
    "LUNG_WINDOW",
    "attenuation_to_hounsfield",
    "hounsfield_to_attenuation",
    "hounsfield_to_unit",
    "unit_to_hounsfield",
]

_WATER_PER_MM = 0.0192
LUNG_WINDOW = (-1200.0, 800.0)
"""The window in which the tasks `ct-10` and `ct-51` were published."""


def hounsfield_to_attenuation(hounsfield: Tensor, *, water: float = _WATER_PER_MM) -> Tensor:
    r"""Return the linear attenuation coefficient, :math:`\mu = \mu_w (1 + \mathrm{HU} / 1000)`, never below zero.

    Parameters
    ----------
    hounsfield : Tensor
        Water is 0, air -1000; below air, where no body is, is as air.
    water : float
        :math:`\mu_w`, by default 0.0192 per mm, that of water at 70 keV, an effective energy of clinical scanners.

    References
    ----------
    Hubbell and Seltzer, *Tables of X-ray mass attenuation coefficients*, NIST 1995.

    Examples
    --------
    >>> import torch
    >>> hounsfield_to_attenuation(torch.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000, 0.0192, 0.0384])
    """
    _check_water(water)
    return water * (1 + hounsfield / 1000).clamp(min=0)


def attenuation_to_hounsfield(attenuation: Tensor, *, water: float = _WATER_PER_MM) -> Tensor:
    """Return the Hounsfield units of linear attenuation coefficients, the inverse of `hounsfield_to_attenuation`."""
    _check_water(water)
    return 1000 * (attenuation / water - 1)


def hounsfield_to_unit(hounsfield: Tensor, *, window: tuple[float, float] = LUNG_WINDOW) -> Tensor:
    """Return Hounsfield units clipped to a window and scaled to [0, 1], as networks and metrics expect images.

    Parameters
    ----------
    hounsfield : Tensor
    window : tuple of float
        What becomes 0 and 1; by default the lung window -1200 to 800, in which the tasks `ct-10` and `ct-51` were
        published (arXiv:2503.08915, appendix A).

    Raises
    ------
    ArgumentError
        If the window is empty.

    Examples
    --------
    >>> import torch
    >>> hounsfield_to_unit(torch.tensor([-2000.0, -200.0, 800.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    low, high = _checked_window(window)
    return ((hounsfield - low) / (high - low)).clamp(0, 1)


def unit_to_hounsfield(image: Tensor, *, window: tuple[float, float] = LUNG_WINDOW) -> Tensor:
    """Return images in [0, 1] in Hounsfield units, the inverse of `hounsfield_to_unit` within the window."""
    low, high = _checked_window(window)
    return low + (high - low) * image


def _checked_window(window: tuple[float, float]) -> tuple[float, float]:
    low, high = window
    if not low < high:
        raise ArgumentError(f"a window of Hounsfield units goes up, from low to high; got {window}.")
    return low, high


def _check_water(water: float) -> None:
    if not water > 0:
        raise ArgumentError(f"the attenuation of water is above zero, per unit of length; got {water}.")
