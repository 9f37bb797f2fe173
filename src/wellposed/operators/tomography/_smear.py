"""Backprojection that looks up, for each pixel, the ray through its centre: what filtered backprojection needs.

It is smoother than the transpose of the projector, and its own transpose is here too, so that gradients flow.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wellposed.core.autograd import differentiable_linear
from wellposed.operators.tomography._compiled import can_compile
from wellposed.operators.tomography._lines import Plane
from wellposed.operators.tomography._threads import in_parallel

_WORKSPACE = 2**20
_PARTS = 8


def smear(y: Tensor, plane: Plane, angles: Tensor, first: Tensor) -> Tensor:
    """Sum, over the views, the interpolated sinogram at the ray through each pixel, over its distance squared.

    Parameters
    ----------
    y : Tensor, shape (N, A, bins)
    plane : Plane
    angles, first : Tensor, shape (A,)

    Returns
    -------
    Tensor, shape (N, H, W)
    """

    def forward(sinograms: Tensor) -> Tensor:
        if can_compile(sinograms):
            return _compiled_smear(sinograms, plane, angles, first)
        images = sinograms.new_zeros(len(sinograms), plane.height * plane.width)
        for views, index, left, right in _lookups(len(sinograms), plane, angles, first):
            rows = sinograms[:, views].flatten(1)
            images += (rows[:, index] * left + rows[:, index + 1] * right).sum(1)
        return images.unflatten(1, (plane.height, plane.width))

    def transpose(images: Tensor) -> Tensor:
        sinograms = images.new_empty(len(images), len(angles), plane.bins)
        pixels = images.flatten(1)[:, None]
        for views, index, left, right in _lookups(len(images), plane, angles, first):
            rows = images.new_zeros(len(images), index.shape[0] * plane.bins)
            rows.index_add_(1, index.flatten(), (pixels * left).flatten(1))
            rows.index_add_(1, index.flatten() + 1, (pixels * right).flatten(1))
            sinograms[:, views] = rows.unflatten(1, (-1, plane.bins))
        return sinograms

    return differentiable_linear(forward, transpose, y)


def _lookups(count: int, plane: Plane, angles: Tensor, first: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Yield, for some views at a time, the element left of each pixel's ray and the weights of it and the next."""
    y, x = torch.meshgrid(
        (plane.height - 1) / 2 - torch.arange(plane.height, dtype=angles.dtype, device=angles.device),
        torch.arange(plane.width, dtype=angles.dtype, device=angles.device) - (plane.width - 1) / 2,
        indexing="ij",
    )
    x, y = x.flatten(), y.flatten()
    at_once = max(1, _WORKSPACE // (count * len(x)))
    for begin in range(0, len(angles), at_once):
        views = slice(begin, begin + at_once)
        cosine, sine = angles[views, None].cos(), angles[views, None].sin()
        depth = 1 - plane.divergence * (x * sine - y * cosine)
        position = ((x * cosine + y * sine) / depth - first[views, None]) / plane.pitch
        weight = torch.where((position >= 0) & (position <= plane.bins - 1), 1 / depth.square(), 0)
        lower = position.clamp(0, max(plane.bins - 2, 0)).floor()
        right = (position - lower) * weight if plane.bins > 1 else torch.zeros_like(weight)
        offset = plane.bins * torch.arange(len(cosine), device=angles.device)[:, None]
        yield views, lower.long() + offset, weight - right, right


def _compiled_smear(sinograms: Tensor, plane: Plane, angles: Tensor, first: Tensor) -> Tensor:
    from wellposed.operators.tomography._kernels import smear as kernel

    images = sinograms.new_zeros(len(sinograms), plane.height, plane.width)
    angles, first = angles.detach().double(), first.detach().double().contiguous()
    tensors = (sinograms.detach().contiguous(), angles.cos(), angles.sin(), first, images)
    arrays = [tensor.numpy() for tensor in tensors]

    def some_rows(part: int, parts: int) -> None:
        limits = part * plane.height // parts, (part + 1) * plane.height // parts
        kernel(*arrays, plane.pitch, plane.divergence, *limits)

    in_parallel(some_rows, at_most=plane.height, parts_per_thread=_PARTS)
    return images
