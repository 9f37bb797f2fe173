"""Photographs to try things on, from the pictures that scikit-image's wheel carries: nothing is downloaded."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name, optional_import

__all__ = ["Photograph", "demo_photograph"]

Photograph: TypeAlias = Literal["astronaut", "chelsea", "coffee", "rocket"]
"""The colour photographs to choose from: a person, a cat, a cup, a launch."""

_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def demo_photograph(name: Photograph = "astronaut", *, size: int | None = None) -> Tensor:
    """Return a colour photograph with values in [0, 1].

    Parameters
    ----------
    name : {"astronaut", "chelsea", "coffee", "rocket"}
    size : int, optional
        Side of the central square to cut out; by default the whole picture.

    Returns
    -------
    Tensor, shape (1, 3, H, W) or (1, 3, size, size), float32

    Raises
    ------
    UnknownNameError
        If there is no such photograph.
    ArgumentError
        If it is smaller than `size`.
    MissingDependencyError
        If scikit-image is not installed.

    Examples
    --------
    >>> demo_photograph(size=64).shape
    torch.Size([1, 3, 64, 64])
    """
    check_name("photograph", name, _PHOTOGRAPHS)
    pixels = getattr(optional_import("skimage.data", extra="cli"), name)()
    photograph = torch.from_numpy(pixels).movedim(-1, 0)[None] / 255
    if size is None:
        return photograph.contiguous()
    height, width = photograph.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ArgumentError(
            f"the photograph {name!r} has {height} x {width} pixels: size is 1 to {min(height, width)}."
        )
    top, left = (height - size) // 2, (width - size) // 2
    return photograph[..., top : top + size, left : left + size].contiguous()
