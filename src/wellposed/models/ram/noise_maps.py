"""The noise as RAM sees it: levels of the physics or given ones, as maps that reach into the padding."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from wellposed.models.base import Level, level_map

__all__ = ["noise_map", "padded_map", "per_image_level"]


def noise_map(noise: Any, name: str, given: Level | None, image: Tensor) -> Tensor:
    """Return the level given, else that of the noise model under this name, else zero; (B or 1, 1, H or 1, W or 1)."""
    return level_map("RAM", name, getattr(noise, name, 0.0) if given is None else given, image)


def per_image_level(level: Tensor) -> Tensor:
    """Return the mean of a map over each image, shape (B,)."""
    return level.flatten(1).mean(1)


def padded_map(level: Tensor, size: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Spread a map over images of `size` and continue it beyond their top and left by its border values."""
    top, left = padding
    return functional.pad(level.expand(-1, -1, *size), [left, 0, top, 0], mode="replicate")
