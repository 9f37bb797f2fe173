"""The noise as RAM sees it: two numbers, or maps, for each image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.errors import ShapeError

__all__ = ["as_map", "level_of", "padded_map", "per_image_level"]


def level_of(noise: Any, name: str, given: float | Tensor | None) -> float | Tensor:
    """Return a noise level: the one given, else that of the noise model under this name, else zero."""
    if given is not None:
        return given
    return getattr(noise, name, 0.0)


def as_map(level: float | Tensor, like: Tensor) -> Tensor:
    """Return a level as a map (B, 1, 1, 1) or (B, 1, H, W) for images `like` (B, C, H, W).

    Raises
    ------
    ShapeError
        If it is neither a number, nor of shape (B,), nor a map of the images' size.
    """
    batch, _, height, width = like.shape
    value = torch.as_tensor(level, dtype=like.dtype.to_real(), device=like.device)
    if value.ndim == 0 or tuple(value.shape) in ((1,), (batch,)):
        return value.reshape(-1, 1, 1, 1).expand(batch, 1, 1, 1)
    fits = value.ndim == 4 and all(
        size in (1, full) for size, full in zip(value.shape, (batch, 1, height, width), strict=True)
    )
    if not fits:
        raise ShapeError(
            f"RAM expects a noise level that is a number, of shape ({batch},), or a map of shape "
            f"({batch}, 1, {height}, {width}); got {tuple(value.shape)}."
        )
    return value.expand(batch, 1, *value.shape[2:])


def per_image_level(level: Tensor) -> Tensor:
    """Return the mean of a map over each image, shape (B,)."""
    return level.flatten(1).mean(1)


def padded_map(level: Tensor, size: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Spread a map over images of `size` and continue it beyond their top and left by its border values."""
    top, left = padding
    return functional.pad(level.expand(-1, -1, *size), [left, 0, top, 0], mode="replicate")
