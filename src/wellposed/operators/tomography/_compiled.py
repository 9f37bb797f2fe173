"""Sums along lines by compiled code on the CPU: what lays the images out and divides the work.

Images are copied by numpy: after an operation of torch, its idle threads spin for a while and take the cores from ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.operators.tomography import _sheared
from wellposed.operators.tomography._lines import Lines, Plane, Weights
from wellposed.operators.tomography._threads import in_parallel

_GROUP = 8
_ALONE = 4
"""So many images left over are no slower one by one than as a group that is filled up with zeros."""

_BEFORE, _MARGIN = 1, 3
_PARTS = 8


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def can_compile(tensor: Tensor) -> bool:
    """Tell whether there is compiled code for tensors like this one."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) and _has_numba()


def project(x: Tensor, plane: Plane, angles: Tensor, first: Tensor, pixel: float) -> Tensor:
    """Return the line integrals (B, C, A, bins) of images (B, C, H, W); geometry as in `lines`."""
    y = x.new_empty(*x.shape[:2], angles.shape[1], plane.bins)
    for images, sinograms, arrays in _by_geometry(x, y, _circle(angles, first)):
        if plane.divergence == 0:
            _sheared.project(images, sinograms, arrays, plane.pitch, pixel)
            continue
        for part in _groups(len(images)):
            _sum_group("project", images[part], sinograms[part], arrays, (plane.pitch, plane.divergence, pixel))
    return y


def backproject(y: Tensor, plane: Plane, angles: Tensor, first: Tensor, pixel: float) -> Tensor:
    """Return the exact transpose of `project`."""
    x = y.new_empty(*y.shape[:2], plane.height, plane.width)
    for images, sinograms, arrays in _by_geometry(x, y, _circle(angles, first)):
        if plane.divergence == 0:
            _sheared.backproject(images, sinograms, arrays, plane.pitch, pixel)
            continue
        for part in _groups(len(images)):
            _spread_group("backproject", images[part], sinograms[part], arrays, (plane.pitch, plane.divergence, pixel))
    return x


def sum_along(x: Tensor, lines: Lines, weights: Weights) -> Tensor:
    """Return the weighted sums (B, C, A, bins) of the pixels of images (B, C, H, W) next to each line."""
    y = x.new_empty(*x.shape[:2], *lines.start.shape[1:])
    for images, sinograms, arrays in _by_geometry(x, y, lines._replace(start=lines.start + _BEFORE)):
        for part in _groups(len(images)):
            _sum_group("project_lines", images[part], sinograms[part], arrays, weights.value)
    return y


def spread_along(y: Tensor, lines: Lines, weights: Weights, size: tuple[int, int]) -> Tensor:
    """Return the exact transpose of `sum_along`: images (B, C, H, W) of a size."""
    x = y.new_empty(*y.shape[:2], *size)
    for images, sinograms, arrays in _by_geometry(x, y, lines._replace(start=lines.start + _BEFORE)):
        for part in _groups(len(images)):
            _spread_group("backproject_lines", images[part], sinograms[part], arrays, weights.value)
    return x


def _circle(angles: Tensor, first: Tensor) -> tuple[Tensor, ...]:
    angles = angles.detach().double()
    return angles.cos(), angles.sin(), first.double()


def _by_geometry(x: Tensor, y: Tensor, geometry: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor, list[Any]]]:
    """Yield images (n, H, W) and sinograms (n, A, bins) of one geometry, and its arrays, without their batch axis."""
    x, y = x.detach(), y.detach()
    batch = len(geometry[0])
    for i in range(batch):
        images, sinograms = (x.flatten(0, 1), y.flatten(0, 1)) if batch == 1 else (x[i], y[i])
        yield images, sinograms, [tensor[i].detach().contiguous().numpy() for tensor in geometry]


def _groups(count: int) -> Iterator[slice]:
    whole = count - count % _GROUP if count % _GROUP <= _ALONE else count
    yield from (slice(i, min(i + _GROUP, count)) for i in range(0, whole, _GROUP))
    yield from (slice(i, i + 1) for i in range(whole, count))


def _sum_group(kernel: str, images: Tensor, sinograms: Tensor, arrays: list[Any], setting: Any) -> None:
    from wellposed.operators.tomography._kernels import KERNELS

    pixels, target = images.numpy(), sinograms.numpy()
    count, height, width = pixels.shape
    rows, columns = _buffers(pixels)
    rows[:, 1 : width + 1, :count] = pixels.transpose(1, 2, 0)
    columns[:, 1 : height + 1, :count] = pixels.transpose(2, 1, 0)
    group, views = rows.shape[-1], target.shape[1]
    result = target.transpose(1, 2, 0) if group == 1 else np.empty((*target.shape[1:], group), target.dtype)

    def some_views(part: int, parts: int) -> None:
        limits = part * views // parts, (part + 1) * views // parts
        KERNELS[group][kernel](rows, columns, *arrays, setting, result, *limits)

    in_parallel(some_views, at_most=views, parts_per_thread=_PARTS)
    if group > 1:
        target[:] = result[..., :count].transpose(2, 0, 1)


def _spread_group(kernel: str, images: Tensor, sinograms: Tensor, arrays: list[Any], setting: Any) -> None:
    from wellposed.operators.tomography._kernels import KERNELS

    pixels, source = images.numpy(), sinograms.numpy()
    count, height, width = pixels.shape
    rows, columns = _buffers(pixels)
    group = rows.shape[-1]
    rays = source.transpose(1, 2, 0)
    if group > 1:
        rays = np.zeros((*source.shape[1:], group), source.dtype)
        rays[..., :count] = source.transpose(1, 2, 0)

    def some_lines(part: int, parts: int) -> None:
        KERNELS[group][kernel](rows, columns, *arrays, setting, rays, part, parts)

    in_parallel(some_lines, at_most=min(height, width))
    rows[:, 1 : width + 1] += columns[:, 1 : height + 1].transpose(1, 0, 2)
    pixels[:] = rows[:, 1 : width + 1, :count].transpose(2, 0, 1)


def _buffers(pixels: Any) -> tuple[Any, Any]:
    """Return zeros for rows (H, W + 3, G) and columns (W, H + 3, G) of some images (n, H, W) with a margin."""
    count, height, width = pixels.shape
    group = 1 if count == 1 else _GROUP
    rows = np.zeros((height, width + _MARGIN, group), pixels.dtype)
    return rows, np.zeros((width, height + _MARGIN, group), pixels.dtype)
