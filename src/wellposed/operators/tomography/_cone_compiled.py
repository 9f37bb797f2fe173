"""Cone beams by compiled code on the CPU: what lays the volumes out and divides the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.operators.tomography._cone_plain import Cone
from wellposed.operators.tomography._threads import in_parallel

_MARGIN = 3
_PARTS = 8


def project(x: Tensor, cone: Cone) -> Tensor:
    """Return line integrals, in pixels, (B, C, A, R, bins) of volumes (B, C, D, H, W)."""
    from wellposed.operators.tomography._kernels import project_cone

    views, bins = cone.lines.start.shape[1:]
    y = x.new_empty(*x.shape[:2], views, len(cone.heights), bins)
    for b, c, arrays, numbers in _each(x.shape[:2], cone, x.shape[2]):
        voxels = x[b, c].detach().numpy()
        rows, columns = _buffers(voxels.shape, voxels.dtype)
        inner = slice(1, -2)
        rows[:, inner, inner], columns[:, inner, inner] = voxels.transpose(1, 2, 0), voxels.transpose(2, 1, 0)
        result = np.empty((views, bins, len(cone.heights)), voxels.dtype)

        def some_views(part: int, parts: int) -> None:
            limits = part * views // parts, (part + 1) * views // parts
            project_cone(rows, columns, *arrays, *numbers, result, *limits)  # noqa: B023

        in_parallel(some_views, at_most=views, parts_per_thread=_PARTS)
        y[b, c].numpy()[:] = result.transpose(0, 2, 1)
    return y


def backproject(y: Tensor, cone: Cone, size: tuple[int, int, int]) -> Tensor:
    """Return the exact transpose of `project`: volumes (B, C, D, H, W) of a size."""
    from wellposed.operators.tomography._kernels import backproject_cone

    x = y.new_empty(*y.shape[:2], *size)
    for b, c, arrays, numbers in _each(y.shape[:2], cone, size[0]):
        rays = np.ascontiguousarray(y[b, c].detach().numpy().transpose(0, 2, 1))
        rows, columns = _buffers(size, rays.dtype)

        def some_lines(part: int, parts: int) -> None:
            backproject_cone(rows, columns, *arrays, *numbers, rays, part, parts)  # noqa: B023

        in_parallel(some_lines, at_most=min(size[1:]))
        inner = slice(1, -2)
        across, down = rows[:, inner, inner].transpose(2, 0, 1), columns[:, inner, inner].transpose(2, 1, 0)
        np.add(across, down, out=x[b, c].numpy())
    return x


def smear(views: Tensor, cone: Cone, size: tuple[int, int, int], pitch: float, first: Tensor) -> Tensor:
    """Sum, over the views (N, A, bins, R), what the ray through each voxel meets, over its distance squared.

    Parameters
    ----------
    views : Tensor, shape (N, A, bins, R)
    cone : Cone
        Of one geometry.
    size : tuple of int, (D, H, W)
    pitch : float
    first : Tensor, shape (A,)
    """
    from wellposed.operators.tomography._kernels import smear_cone

    depth, height, width = size
    volumes = views.new_zeros(len(views), height, width, depth)
    angles = cone.angles[0].double()
    arrays = [tensor.numpy() for tensor in (views.contiguous(), angles.cos(), angles.sin(), first.double())]
    rows = cone.heights.double() * cone.thickness
    row_pitch = float(rows[1] - rows[0]) if len(rows) > 1 else 1.0
    numbers = (pitch, float(rows[0]), row_pitch, cone.divergence, cone.thickness)
    target = volumes.numpy()

    def some_rows(part: int, parts: int) -> None:
        smear_cone(*arrays, *numbers, target, part * height // parts, (part + 1) * height // parts)

    in_parallel(some_rows, at_most=height, parts_per_thread=_PARTS)
    return volumes.movedim(-1, 1)


def _each(batch: torch.Size, cone: Cone, depth: int) -> Iterator[tuple[int, int, list[object], tuple[float, ...]]]:
    """Yield the indices of each volume, the arrays of its geometry, and its numbers, counted from the margins."""
    rows = cone.heights.detach().double()
    step = float(rows[1] - rows[0]) if len(rows) > 1 else 1.0
    numbers = ((depth - 1) / 2 + 1, float(rows[0]), step, cone.divergence, cone.thickness)
    for b in range(batch[0]):
        p = b if len(cone.angles) > 1 else 0
        start, slope, along_rows = (value[p].detach() for value in cone.lines)
        angles = cone.angles[p].detach().double()
        geometry = (start + 1, slope.contiguous(), along_rows.contiguous(), angles.cos(), angles.sin())
        for c in range(batch[1]):
            yield b, c, [tensor.numpy() for tensor in geometry], numbers


def _buffers(size: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Return zeros for rows (H, W + 3, D + 3) and columns (W, H + 3, D + 3) of a volume with a margin."""
    depth, height, width = size
    rows = np.zeros((height, width + _MARGIN, depth + _MARGIN), dtype)
    return rows, np.zeros((width, height + _MARGIN, depth + _MARGIN), dtype)
