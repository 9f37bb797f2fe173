"""The noise as RAM sees it: levels of the physics or given ones, as maps that reach into the padding."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.models.base import Level, level_map
from wellposed.noise import Compose, PerPart

__all__ = ["noise_map", "padded_map", "per_image_level"]


def noise_map(noise: Any, name: str, given: Level | None, image: Tensor) -> Tensor:
    r"""Return the level given, else that of the noise model under this name, else zero.

    Of measurements that come in parts, each with its noise, it is the largest level of a part, as in the published
    implementation. Of noise upon noise it is the sum of the gains, and the root of the sum of the squares of
    :math:`\sigma`, by which the variance remains :math:`\gamma \bar y + \sigma^2`.

    Returns
    -------
    Tensor, shape (B or 1, 1, H or 1, W or 1)
    """
    if given is not None:
        return level_map("RAM", name, given, image)
    if isinstance(noise, PerPart):
        return reduce(torch.maximum, (noise_map(part, name, None, image) for part in noise.noises))
    if isinstance(noise, Compose):
        levels = [noise_map(part, name, None, image) for part in noise.noises]
        return reduce(torch.hypot if name == "sigma" else torch.add, levels)
    return level_map("RAM", name, getattr(noise, name, 0.0), image)


def per_image_level(level: Tensor) -> Tensor:
    """Return the largest value of a map in each image, shape (B,)."""
    return level.flatten(1).amax(1)


def padded_map(level: Tensor, size: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Spread a map over images of `size` and continue it beyond their top and left by its border values."""
    top, left = padding
    return functional.pad(level.expand(-1, -1, *size), [left, 0, top, 0], mode="replicate")
