"""How an axis of a large image is cut into overlapping tiles."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Tile", "tiles_along"]


class Tile(NamedTuple):
    """One tile along an axis: which pixels it holds, and where in it are those that it is kept for."""

    pixels: Tensor
    """The pixels, in order."""
    first: int
    """The first pixel that is kept; `last` is the first that is not."""
    last: int
    offset: int
    """Where the first that is kept stands in the tile."""


def tiles_along(length: int, size: int, overlap: int, step: int, *, from_end: bool, around: bool) -> list[Tile]:
    """Cut an axis into tiles that overlap.

    Tiles begin and end on a grid, so that a network that halves its images meets the same pixels as in the whole image.
    A tile at one end of the axis also holds, behind a gap, pixels at the other end, if periodic filters reach there.

    Parameters
    ----------
    length : int
        Of the axis.
    size : int
        The most pixels of a tile.
    overlap : int
        How many pixels a tile holds beyond those that it is kept for.
    step : int
        Of the grid; divides `overlap`, of which `size` is at least four and one step.
    from_end : bool
        Whether the grid begins at the last pixel and not at the first.
    around : bool
        Whether tiles at the ends hold pixels of the other end.

    Examples
    --------
    >>> [tile.pixels.tolist() for tile in tiles_along(9, 6, 1, 1, from_end=False, around=True)]
    [[0, 1, 2, 3, 8], [2, 3, 4, 5, 6], [0, 5, 6, 7, 8]]
    """
    if length <= size:
        return [Tile(torch.arange(length), 0, length, 0)]
    remainder = length % step
    shift = remainder if from_end else 0
    count = -(-length // (size - 2 * overlap - step))
    inner = [shift + (part * length // count - shift) // step * step for part in range(1, count)]
    return [
        _tile(first, last, length, overlap, remainder, from_end=from_end, around=around)
        for first, last in pairwise([0, *sorted({bound for bound in inner if bound > 0}), length])
    ]


def _tile(first: int, last: int, length: int, overlap: int, remainder: int, *, from_end: bool, around: bool) -> Tile:
    start, stop = max(0, first - overlap), min(length, last + overlap)
    before, after = range(0), range(0)
    if around and start == 0:
        after = range(length - overlap - (0 if from_end else remainder), length)
    if around and stop == length:
        before = range(overlap + (remainder if from_end else 0))
    if stop - start + len(before) + len(after) >= length:
        return Tile(torch.arange(length), first, last, first)
    index = torch.tensor([*before, *range(start, stop), *after])
    return Tile(index, first, last, len(before) + first - start)
