"""Which measurements are kept back: drawn at random, one pattern for each image."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.rng import uniform_like

Density: TypeAlias = Literal["uniform", "gaussian"]
Pattern: TypeAlias = Literal["points", "rows", "columns", "frames"]

_BISECTIONS = 40
_WHOLE: dict[Pattern, tuple[int, ...]] = {"points": (), "rows": (-1,), "columns": (-2,), "frames": (-2, -1)}
"""The axes along which a pattern is the same."""


def draw_kept(y: Tensor, probability: Tensor, pattern: Pattern, generator: torch.Generator | None) -> Tensor:
    """Draw what the network sees, shape (B, 1, *sizes): 1 with the given probability, the same for all channels.

    Of frames there are always as many as the probability says.
    """
    sizes = [len(y), 1, *_sizes(y, pattern)]
    chance = uniform_like(torch.empty(sizes, dtype=real_dtype(y.dtype), device=y.device), generator)
    if pattern == "frames":
        chance = (chance.argsort(2).argsort(2) + 0.5) / sizes[2]
    return (chance < probability).to(probability.dtype).expand(len(y), 1, *y.shape[2:])


def kept_probability(y: Tensor, ratio: float, density: Density, pattern: Pattern, centre: int) -> Tensor:
    """Return the probability that a measurement is shown to the network, shape (1, 1, *sizes).

    What is kept back has the density given, and none of it lies in a square of `centre` numbers in the middle.
    """
    sizes = _sizes(y, pattern)
    if pattern == "frames":
        share = min(max(round(ratio * sizes[0]), 1), sizes[0] - 1) / sizes[0]
        return torch.full((1, 1, *sizes), share, dtype=real_dtype(y.dtype), device=y.device)
    places = [_places(size, y) for size in sizes]
    grid = torch.meshgrid(*places, indexing="ij")
    middle = torch.stack([axis.abs() < centre / size for axis, size in zip(grid, sizes, strict=True)]).all(0)
    profile = torch.ones_like(grid[0])
    if density == "gaussian":
        profile = torch.stack([(-2 * axis.square()).exp() for axis in grid]).prod(0)
    return 1 - _with_mean(torch.where(middle, 0, profile), 1 - ratio)[None, None]


def _sizes(y: Tensor, pattern: Pattern) -> list[int]:
    """Return the sizes of the pattern's axes behind the channels."""
    return [1 if axis - y.ndim in _WHOLE[pattern] else size for axis, size in enumerate(y.shape)][2:]


def _places(size: int, y: Tensor) -> Tensor:
    """Return the places along an axis, 0 at its centre (where DC is) and 1 at its ends."""
    return (torch.arange(size, dtype=real_dtype(y.dtype), device=y.device) - size // 2) / max(size / 2, 1)


def _with_mean(profile: Tensor, mean: float) -> Tensor:
    """Scale a profile, cut off at 1, so that its mean is the one wanted or, if that cannot be, as near as can be."""
    low, high = torch.zeros_like(profile.max()), torch.full_like(profile.max(), 1e6)
    for _ in range(_BISECTIONS):
        factor = (low + high) / 2
        too_small = (factor * profile).clamp_max(1).mean() < mean
        low, high = torch.where(too_small, factor, low), torch.where(too_small, high, factor)
    return (high * profile).clamp_max(1)
