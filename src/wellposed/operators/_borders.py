"""How an image continues beyond its borders, and the exact transpose of that continuation.

Each rule is a map from padded to original indices along each axis, so that the transpose of padding is a scatter of
sums, for any dtype and any order of derivative.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Border", "extend", "extend_adjoint"]

Border = Literal["zero", "circular", "reflect", "replicate"]
Margins = list[tuple[int, int]]
"""Pixels added before and after, one pair for each axis of space."""


def extend(x: Tensor, margins: Margins, border: Border) -> Tensor:
    """Continue images (B, C, *space) beyond their borders."""
    sides = [side for pair in reversed(margins) for side in pair]
    if border == "zero":
        return functional.pad(x, sides)
    if border != "circular" or _once_around(margins, x.shape[2:]):
        return functional.pad(x, sides, mode=border)
    for axis, (before, after) in enumerate(margins, start=2):
        x = x.index_select(axis, _sources(x.shape[axis], before, after, border, x.device))
    return x


def extend_adjoint(y: Tensor, margins: Margins, border: Border) -> Tensor:
    """Add what lies beyond the borders to the pixels that it came from: the transpose of `extend`."""
    for axis, (before, after) in enumerate(margins, start=2):
        size = y.shape[axis] - before - after
        centre = y.narrow(axis, before, size)
        if border != "zero" and before + after:
            sources = _sources(size, before, after, border, y.device)
            beyond = torch.cat([sources[:before], sources[before + size :]])
            outside = torch.cat([y.narrow(axis, 0, before), y.narrow(axis, before + size, after)], dim=axis)
            centre = centre.index_add(axis, beyond, outside)
        y = centre
    return y


def _once_around(margins: Margins, sizes: Sequence[int]) -> bool:
    """Tell whether no margin is larger than the image."""
    return all(max(pair) <= size for pair, size in zip(margins, sizes, strict=True))


def _sources(size: int, before: int, after: int, border: Border, device: torch.device) -> Tensor:
    """Return which pixel each padded position repeats."""
    index = torch.arange(-before, size + after, device=device)
    if border == "circular":
        return index % size
    if border == "replicate":
        return index.clamp(0, size - 1)
    period = max(1, 2 * (size - 1))
    folded = index % period
    return torch.where(folded < size, folded, period - folded)
