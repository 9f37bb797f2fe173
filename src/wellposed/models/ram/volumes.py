"""Volumes, slice by slice, a few at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import Shape, is_nested
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.models.base import Level
from wellposed.operators import LinearOperator
from wellposed.operators._slices import of_images, on_slices
from wellposed.physics import Physics

__all__ = ["by_slices", "is_volume"]

_PIXELS_AT_ONCE = 2**17
_VOLUME_AXES = 5


def is_volume(operator: LinearOperator) -> bool:
    """Tell whether images of an operator are (C, D, H, W)."""
    return not is_nested(operator.image_shape) and len(operator.image_shape) == 4


def by_slices(model: Callable[..., Tensor], y: Tree, physics: Physics, levels: Mapping[str, Level | None]) -> Tensor:
    """Recover the slices of volumes one by one, as a batch of images.

    Parameters
    ----------
    model : callable
        `model(y, physics, **levels)` for images.
    y : Tensor or tuple of Tensor, shape (B, C', D, H', W')
        Real or complex; the depth is the axis behind the channels.
    physics : Physics
        On volumes, with an operator that `on_slices` knows.
    levels : dict of str to float or Tensor, shape (), (B,) or (B or 1, 1, D or 1, H or 1, W or 1); or None
        The noise levels, by default those of the physics.

    Returns
    -------
    Tensor, shape (B, C, D, H, W)
    """
    operator = physics.linear_operator
    y = operator._checked_measurement(y)
    levels = {name: _given_or_mapped(physics, name, level) for name, level in levels.items()}
    volumes = []
    for index in range(tree_leaves(y)[0].shape[0]):
        mine = Physics(on_slices(of_images(operator, index, index + 1)), of_images(physics.noise, index, index + 1))
        slices = tree_map(lambda leaf, index=index: leaf[index].movedim(1, 0), y)
        known = {name: _of_volume(name, level, index) for name, level in levels.items()}
        volumes.append(_recover(model, slices, mine, known).movedim(0, 1))
    return torch.stack(volumes)


def _recover(model: Callable[..., Tensor], y: Tree, physics: Physics, levels: Mapping[str, Level | None]) -> Tensor:
    """Recover the slices (D, C, H, W) of one volume, as many at a time as memory allows."""
    leaves = tree_leaves(y)
    at_once = max(1, _PIXELS_AT_ONCE // max(_pixels(physics.image_shape), *(leaf[0].numel() for leaf in leaves)))
    parts = []
    for first in range(0, len(leaves[0]), at_once):
        last = min(first + at_once, len(leaves[0]))
        few = Physics(of_images(physics.linear_operator, first, last), physics.noise)
        known = {
            name: level[first:last] if isinstance(level, Tensor) and level.ndim and len(level) > 1 else level
            for name, level in levels.items()
        }
        parts.append(model(tree_map(lambda leaf, a=first, b=last: leaf[a:b], y), few, **known))
    return torch.cat(parts)


def _given_or_mapped(physics: Physics, name: str, level: Level | None) -> Level | None:
    """Return the level given, else that of the noise model if it is a map over volumes; None leaves it to the model."""
    own = getattr(physics.noise, name, None)
    return own if level is None and isinstance(own, Tensor) and own.ndim == _VOLUME_AXES else level


def _of_volume(name: str, level: Level | None, index: int) -> Level | None:
    """Return the level of one volume: a number, or a map for each slice."""
    if not isinstance(level, Tensor) or level.ndim == 0:
        return level
    if level.ndim not in (1, _VOLUME_AXES):
        raise ShapeError(
            f"RAM expects {name} of volumes to be a number, one per volume of shape (B,), or a map (B, 1, D, H, W) "
            f"whose axes may be 1, got {tuple(level.shape)}."
        )
    mine = level[index if len(level) > 1 else 0]
    return mine if level.ndim == 1 else mine.movedim(1, 0)


def _pixels(shape: Shape) -> int:
    return math.prod(cast("int", size) for size in shape[1:] if size is not None)
