"""Sums along lines in plain torch, on any device: the rule that the compiled code follows too."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.operators.tomography._lines import Lines, Weights

_WORKSPACE = 2**20
_BEFORE, _AFTER = 2, 3


def sum_along(x: Tensor, lines: Lines, weights: Weights) -> Tensor:
    """Return the weighted sums (B, C, A, bins) of the pixels of images (B, C, H, W) next to each line."""
    height, width = x.shape[-2:]
    pixels = functional.pad(x, (_BEFORE, _AFTER, _BEFORE, _AFTER))
    pixels = pixels.reshape(len(lines.start), -1, pixels.shape[-2] * pixels.shape[-1])
    pieces = [
        (pixels.gather(-1, index) * left + pixels.gather(-1, index + step) * right).unflatten(-1, shape).sum(-1)
        for index, step, left, right, shape in _crossings(pixels.shape[1], lines, weights, height, width)
    ]
    return torch.cat(pieces, dim=-1).reshape(*x.shape[:2], *lines.start.shape[1:])


def spread_along(y: Tensor, lines: Lines, weights: Weights, size: tuple[int, int]) -> Tensor:
    """Return the exact transpose of `sum_along`: images (B, C, H, W) of a size."""
    height, width = size
    padded = (height + _BEFORE + _AFTER, width + _BEFORE + _AFTER)
    rays = y.reshape(len(lines.start), -1, lines.start[0].numel(), 1)
    pixels = y.new_zeros(len(lines.start), rays.shape[1], padded[0] * padded[1])
    done = 0
    for index, step, left, right, (count, steps) in _crossings(rays.shape[1], lines, weights, height, width):
        values = rays[:, :, done : done + count].expand(-1, -1, -1, steps).flatten(-2)
        pixels.scatter_add_(-1, index, values * left)
        pixels.scatter_add_(-1, index + step, values * right)
        done += count
    return pixels.reshape(*y.shape[:2], *padded)[..., _BEFORE:-_AFTER, _BEFORE:-_AFTER].contiguous()


def _crossings(
    channels: int, lines: Lines, weights: Weights, height: int, width: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, int]]]:
    """Yield, for some rays at a time, the padded pixels on either side of each crossing and their weights.

    A line that runs off the image stays in the margin of zeros; so do its steps beyond the shorter side.
    """
    images, rays = len(lines.start), lines.start[0].numel()
    steps = torch.arange(max(height, width), device=lines.start.device)
    count = max(1, _WORKSPACE // (channels * images * len(steps)))
    stride = width + _BEFORE + _AFTER
    for begin in range(0, rays, count):
        start, slope, rows = (
            value.flatten(1)[:, begin : begin + count, None] for value in (lines.start, lines.slope, lines.along_rows)
        )
        across, along = torch.where(rows, width, height), torch.where(rows, height, width)
        position = torch.minimum((start + slope * steps).clamp(min=-_BEFORE), (across + 1).to(start.dtype)) + _BEFORE
        lower = position.floor()
        left, right = _shares(position - lower, steps, weights)
        line = torch.where(steps < along, steps + _BEFORE, 0)
        index = torch.where(rows, line * stride + lower.long(), lower.long() * stride + line)
        step = torch.where(rows, 1, stride).expand_as(index)
        index, step = (part.flatten(1)[:, None].expand(-1, channels, -1) for part in (index, step))
        yield index, step, left.flatten(1)[:, None], right.flatten(1)[:, None], (start.shape[1], len(steps))


def _shares(fraction: Tensor, steps: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Return what the two pixels of each crossing are multiplied with."""
    if weights is Weights.value:
        return 1 - fraction, fraction
    right = torch.ones_like(fraction) if weights is Weights.start else steps.expand_as(fraction).to(fraction.dtype)
    return -right, right
