"""Cone beams in plain torch, view by view, on any device: the rule that the compiled code follows too.

In the plane a ray is a line of the fan; on its way it climbs from the source, so that where it crosses a row, or a
column, of all slices, it lies between two pixels of the plane and between two slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.operators.tomography._lines import Lines

_WORKSPACE = 2**20
_BEFORE, _AFTER = 2, 3


class Cone(NamedTuple):
    """The lines of a cone beam in the plane, and how its rays climb."""

    lines: Lines
    angles: Tensor
    """Shape (P, A)."""

    heights: Tensor
    """Of the rows of the detector at the centre of rotation, in slices: shape (R,), rising evenly."""

    divergence: float
    """One over the distance of the source, per pixel."""

    thickness: float
    """From one slice to the next, in pixels."""


def project(x: Tensor, cone: Cone) -> Tensor:
    """Return line integrals, in pixels, (B, C, A, R, bins) of volumes (B, C, D, H, W); differentiable."""
    batch, channels = x.shape[:2]
    volumes = functional.pad(x.movedim(2, -1), (_BEFORE, _AFTER) * 3).flatten(2, 3)
    volumes = volumes.reshape(len(cone.angles), -1, *volumes.shape[2:])
    images = []
    for p in range(len(cone.angles)):
        views = []
        for a in range(cone.angles.shape[1]):
            total = x.new_zeros(())
            for index, step, right, low, high_share in _crossings(cone, p, a, volumes.shape[1], x.shape[2:]):
                columns = volumes[p][:, index] * (1 - right) + volumes[p][:, index + step] * right
                columns = columns.unflatten(1, low.shape[:2])
                lookup = low.expand(len(columns), -1, -1, -1)
                crossed = columns.gather(-1, lookup) * (1 - high_share) + columns.gather(-1, lookup + 1) * high_share
                total = total + crossed.sum(2)
            views.append(total * _lengths(cone, p, a))
        images.append(torch.stack(views, dim=1))
    return torch.stack(images).reshape(batch, channels, *images[0].shape[1:]).transpose(-1, -2)


def backproject(y: Tensor, cone: Cone, size: tuple[int, int, int]) -> Tensor:
    """Return the exact transpose of `project`: volumes (B, C, D, H, W) of a size."""
    depth, height, width = size
    rays = y.transpose(-1, -2).reshape(len(cone.angles), -1, *y.shape[2:3], y.shape[4], y.shape[3])
    padded = tuple(count + _BEFORE + _AFTER for count in (height, width, depth))
    volumes = y.new_zeros(*rays.shape[:2], padded[0] * padded[1], padded[2])
    for p in range(len(volumes)):
        volume = volumes[p]
        for a in range(cone.angles.shape[1]):
            weighted = (rays[p, :, a] * _lengths(cone, p, a))[:, :, None]
            for index, step, right, low, high_share in _crossings(cone, p, a, rays.shape[1], size):
                lookup = low.expand(rays.shape[1], -1, -1, -1)
                columns = y.new_zeros(*lookup.shape[:3], padded[2])
                columns = columns.scatter_add(-1, lookup, weighted * (1 - high_share))
                columns = columns.scatter_add(-1, lookup + 1, weighted * high_share).flatten(1, 2)
                volume.index_add_(1, index, columns * (1 - right)).index_add_(1, index + step, columns * right)
    inner = slice(_BEFORE, -_AFTER)
    return volumes.reshape(*y.shape[:2], *padded).movedim(-1, 2)[:, :, inner, inner, inner].contiguous()


def _crossings(
    cone: Cone, p: int, a: int, count: int, size: tuple[int, ...]
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Yield, for some steps of the rays of a view, the padded pixels on either side, and the padded slices."""
    depth, height, width = size
    start, slope, rows = (value[p, a, :, None] for value in cone.lines)
    sine, cosine = cone.angles[p, a].sin(), cone.angles[p, a].cos()
    at_once = max(1, _WORKSPACE // (count * len(start) * max(depth, len(cone.heights))))
    stride = width + _BEFORE + _AFTER
    across, along = torch.where(rows, width, height), torch.where(rows, height, width)
    for begin in range(0, max(height, width), at_once):
        steps = torch.arange(begin, min(begin + at_once, max(height, width)), device=start.device)
        place = start + slope * steps
        x = torch.where(rows, place, steps) - (width - 1) / 2
        y = (height - 1) / 2 - torch.where(rows, steps, place)
        position = torch.minimum(place.clamp(min=-_BEFORE), (across + 1).to(place.dtype)) + _BEFORE
        lower = position.floor()
        line = torch.where(steps < along, steps + _BEFORE, 0)
        index = torch.where(rows, line * stride + lower.long(), lower.long() * stride + line)
        step = torch.where(rows, 1, stride).expand_as(index)
        climb = 1 + cone.divergence * (y * cosine - x * sine)
        level = (depth - 1) / 2 + cone.heights * climb[..., None]
        level = level.clamp(-_BEFORE, depth + 1) + _BEFORE
        low = level.floor()
        right = (position - lower).flatten()[:, None]
        yield index.flatten(), step.flatten(), right, low.long(), level - low


def _lengths(cone: Cone, p: int, a: int) -> Tensor:
    """Return what of each ray lies between two steps, in pixels: shape (bins, R)."""
    _, slope, rows = (value[p, a, :, None] for value in cone.lines)
    sine, cosine = cone.angles[p, a].sin(), cone.angles[p, a].cos()
    toward = torch.where(rows, slope * sine + cosine, sine + slope * cosine)
    rise = cone.heights * cone.thickness * cone.divergence * toward
    return (1 + slope.square() + rise.square()).sqrt()


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

    Returns
    -------
    Tensor, shape (N, D, H, W)
    """
    depth, height, width = size
    count, _, bins, rows = views.shape
    axes = [torch.arange(length, dtype=views.dtype, device=views.device) - (length - 1) / 2 for length in size]
    y, x = (grid.flatten() for grid in torch.meshgrid(-axes[1], axes[2], indexing="ij"))
    z = axes[0][None]
    spacing = cone.heights[1] - cone.heights[0] if rows > 1 else 1.0
    volume = views.new_zeros(count, height * width, depth)
    at_once = max(1, _WORKSPACE // (count * max(depth, rows)))
    for pixels in (slice(begin, begin + at_once) for begin in range(0, height * width, at_once)):
        for a in range(views.shape[1]):
            cosine, sine = cone.angles[0, a].cos(), cone.angles[0, a].sin()
            near = 1 / (1 - cone.divergence * (x[pixels] * sine - y[pixels] * cosine))
            position = ((x[pixels] * cosine + y[pixels] * sine) * near - first[a]) / pitch
            level = (z * near[:, None] - cone.heights[0]) / spacing
            seen = ((position >= 0) & (position <= bins - 1))[:, None] & (level >= 0) & (level <= rows - 1)
            left, share = _between(position, bins)
            low, up = _between(level, rows)
            columns = views[:, a, left] * (1 - share[:, None])
            columns = columns + views[:, a, (left + 1).clamp(max=bins - 1)] * share[:, None]
            lookup = low.expand(count, -1, -1)
            met = columns.gather(-1, lookup) * (1 - up) + columns.gather(-1, (lookup + 1).clamp(max=rows - 1)) * up
            volume[:, pixels] += met * torch.where(seen, near[:, None].square(), 0)
    return volume.unflatten(1, (height, width)).movedim(-1, 1)


def _between(position: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the index below a position within [0, count), and the share of the next one."""
    inside = position.clamp(0, count - 1)
    lower = inside.floor().clamp(max=max(count - 2, 0))
    return lower.long(), inside - lower
