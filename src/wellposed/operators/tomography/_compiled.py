"""Sums along lines by compiled code on the CPU: what lays the images out and divides the work."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from wellposed.operators.tomography._lines import Lines, Weights
from wellposed.operators.tomography._threads import in_parallel

_GROUP = 8
_ALONE = 4
"""So many images left over are no slower one by one than as a group that is filled up with zeros."""

_MARGIN = 3


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def can_compile(tensor: Tensor) -> bool:
    """Tell whether there is compiled code for tensors like this one."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) and _has_numba()


def sum_along(x: Tensor, lines: Lines, weights: Weights) -> Tensor:
    """Return the weighted sums (B, C, A, bins) of the pixels of images (B, C, H, W) next to each line."""
    y = x.new_empty(*x.shape[:2], *lines.start.shape[1:])
    for images, sinograms, geometry in _by_geometry(x, y, lines):
        for part in _groups(len(images)):
            _sum_group(images[part], sinograms[part], geometry, weights)
    return y


def spread_along(y: Tensor, lines: Lines, weights: Weights, size: tuple[int, int]) -> Tensor:
    """Return the exact transpose of `sum_along`: images (B, C, H, W) of a size."""
    x = y.new_empty(*y.shape[:2], *size)
    for images, sinograms, geometry in _by_geometry(x, y, lines):
        for part in _groups(len(images)):
            _spread_group(images[part], sinograms[part], geometry, weights)
    return x


def _by_geometry(x: Tensor, y: Tensor, lines: Lines) -> Iterator[tuple[Tensor, Tensor, Lines]]:
    """Yield images (n, H, W), sinograms (n, A, bins) and the lines they share, (A, bins), counted from the margin."""
    x, y, start, slope, along_rows = (tensor.detach() for tensor in (x, y, *lines))
    for i in range(len(start)):
        images, sinograms = (x.flatten(0, 1), y.flatten(0, 1)) if len(start) == 1 else (x[i], y[i])
        yield images, sinograms, Lines(start[i] + 1, slope[i].contiguous(), along_rows[i].contiguous())


def _groups(count: int) -> Iterator[slice]:
    whole = count - count % _GROUP if count % _GROUP <= _ALONE else count
    yield from (slice(i, min(i + _GROUP, count)) for i in range(0, whole, _GROUP))
    yield from (slice(i, i + 1) for i in range(whole, count))


def _sum_group(images: Tensor, sinograms: Tensor, lines: Lines, weights: Weights) -> None:
    from wellposed.operators.tomography._kernels import KERNELS

    count, height, width = images.shape
    rows, columns = _buffers(images)
    rows[:, 1 : width + 1, :count] = images.permute(1, 2, 0)
    columns[:, 1 : height + 1, :count] = images.permute(2, 1, 0)
    group, views = rows.shape[-1], len(lines.start)
    result = sinograms.permute(1, 2, 0) if group == 1 else sinograms.new_empty(*sinograms.shape[1:], group)
    arrays = [tensor.numpy() for tensor in (rows, columns, *lines)]

    def some_views(part: int, parts: int) -> None:
        limits = part * views // parts, (part + 1) * views // parts
        KERNELS[group][0](*arrays, weights.value, result.numpy(), *limits)

    in_parallel(some_views, at_most=views)
    if group > 1:
        sinograms.copy_(result[..., :count].permute(2, 0, 1))


def _spread_group(images: Tensor, sinograms: Tensor, lines: Lines, weights: Weights) -> None:
    from wellposed.operators.tomography._kernels import KERNELS

    count, height, width = images.shape
    rows, columns = _buffers(images)
    group = rows.shape[-1]
    rays = sinograms.new_zeros(*sinograms.shape[1:], group)
    rays[..., :count] = sinograms.permute(1, 2, 0)
    arrays = [tensor.numpy() for tensor in (rows, columns, *lines)]

    def some_lines(part: int, parts: int) -> None:
        KERNELS[group][1](*arrays, weights.value, rays.numpy(), part, parts)

    in_parallel(some_lines, at_most=min(height, width))
    both = rows[:, 1 : width + 1] + columns[:, 1 : height + 1].transpose(0, 1)
    images.copy_(both[..., :count].permute(2, 0, 1))


def _buffers(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return zeros for rows (H, W + 3, G) and columns (W, H + 3, G) of some images with a margin."""
    count, height, width = images.shape
    group = 1 if count == 1 else _GROUP
    rows = images.new_zeros(height, width + _MARGIN, group)
    return rows, images.new_zeros(width, height + _MARGIN, group)
