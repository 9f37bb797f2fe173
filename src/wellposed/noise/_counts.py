"""Photon counting: what the Poisson families share."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.values import values_hold

_LARGEST_RATE = 1e18


def nonnegative(owner: str, clean: Tensor, *, clip: bool) -> Tensor:
    """Return intensities that can be counted: `clean`, or its positive part if `clip`.

    Raises
    ------
    ArgumentError
        If one is negative (and not clipped) or NaN.
    """
    intensity = clean.clamp(min=0) if clip else clean
    if not values_hold(intensity >= 0):
        raise ArgumentError(
            f"{owner} expects measurements >= 0, got a minimum of {clean.min().item():g}: "
            "scale or shift them, or count negative ones as zero with clip=True."
        )
    return intensity


def draw_counts(rate: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw Poisson counts with the shape, dtype and device of `rate`; a constant to autograd.

    Raises
    ------
    ArgumentError
        If a rate is too large for counts of 64 bits.
    """
    if not values_hold(~(rate > _LARGEST_RATE)):
        raise ArgumentError(
            f"{rate.max().item():g} photons are too many to count, {_LARGEST_RATE:g} is the most: "
            "raise the gain, or use Gaussian noise of the same variance."
        )
    device = rate.device if generator is None else generator.device
    return torch.poisson(rate.detach().to(device), generator=generator).to(rate.device)
