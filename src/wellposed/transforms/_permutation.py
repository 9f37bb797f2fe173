"""Motions that put each number of an image in another place."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.transforms.base import Motion


class Permutation(Motion):
    """Fetch what stands at each place from another place.

    Parameters
    ----------
    index : Tensor of int64, shape (B or 1, N)
        Where to fetch from; places are counted in C order over `axes`.
    axes : tuple of int
        First and last of the neighbouring axes that are permuted, counted from the end.
    """

    def __init__(self, index: Tensor, axes: tuple[int, int]) -> None:
        self.index, self.axes = index, axes

    def __call__(self, x: Tensor) -> Tensor:
        first, last = (axis % x.ndim for axis in self.axes)
        flat = x.flatten(first, last)
        if flat.shape[first] != self.index.shape[1] or self.index.shape[0] not in (1, x.shape[0]):
            raise ShapeError(
                f"a motion drawn for {self.index.shape[0]} images and {self.index.shape[1]} places got images of "
                f"shape {tuple(x.shape)}: draw one for these."
            )
        sizes = [1] * flat.ndim
        sizes[0], sizes[first] = self.index.shape
        return flat.gather(first, self.index.view(sizes).expand(flat.shape)).unflatten(first, x.shape[first : last + 1])

    def inverse(self) -> Permutation:
        return Permutation(self.index.argsort(dim=1), self.axes)

    def __matmul__(self, first: Motion) -> Motion:
        if not isinstance(first, Permutation) or first.axes != self.axes:
            return super().__matmul__(first)
        count = max(len(self.index), len(first.index))
        mine, theirs = self.index.expand(count, -1), first.index.expand(count, -1)
        return Permutation(theirs.gather(1, mine), self.axes)


def one_of(table: list[Tensor], choice: Tensor) -> Permutation:
    """Return for each image one of several rearrangements (H, W) of the pixel numbers."""
    return Permutation(torch.stack(table).flatten(1)[choice], (-2, -1))


def pixel_numbers(x: Tensor) -> Tensor:
    """Return the places of an image's pixels, shape (H, W)."""
    height, width = x.shape[-2:]
    return torch.arange(height * width, device=x.device).view(height, width)
