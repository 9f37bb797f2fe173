"""Parallel beams by compiled code on the CPU: what lays the images out, with numpy as `_compiled`, and divides work."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from wellposed.operators.tomography._threads import in_parallel

_PARTS = 8
_CACHE_LINE, _RESONANT = 16, 64


def project(images: Tensor, sinograms: Tensor, circle: list[Any], pitch: float, pixel: float) -> None:
    """Write the line integrals (N, A, bins) of images (N, H, W); `circle` holds cosines, sines and first rays."""
    from wellposed.operators.tomography import _shear_kernels

    pixels, target = images.numpy(), sinograms.numpy()
    count, height, width = pixels.shape
    rows, columns = pixels, _zeros(pixels, width, height)
    columns[..., :height] = pixels.transpose(0, 2, 1)
    if width % _RESONANT == 0 or not pixels.flags.c_contiguous:
        rows = _zeros(pixels, height, width)
        rows[..., :width] = pixels
    views = count * sinograms.shape[1]

    def some_views(part: int, parts: int) -> None:
        limits = part * views // parts, (part + 1) * views // parts
        _shear_kernels.project(rows, columns, height, width, *circle, pitch, pixel, target, *limits)

    in_parallel(some_views, at_most=views, parts_per_thread=_PARTS)


def backproject(images: Tensor, sinograms: Tensor, circle: list[Any], pitch: float, pixel: float) -> None:
    """Write the exact transpose of `project`, into images that are contiguous."""
    from wellposed.operators.tomography import _shear_kernels

    pixels, source = images.numpy(), np.ascontiguousarray(sinograms.numpy())
    count, height, width = pixels.shape
    pixels[:] = 0
    rows = _zeros(pixels, height, width) if width % _RESONANT == 0 else pixels
    columns = _zeros(pixels, width, height)
    halves = [(rows, width, True), (columns, height, False)]
    blocks = [count * -(-size // _shear_kernels.BLOCK) for size in (height, width)]

    def some_blocks(part: int, parts: int) -> None:
        for (target, across, of_rows), total in zip(halves, blocks, strict=True):
            limits = part * total // parts, (part + 1) * total // parts
            _shear_kernels.backproject(target, across, *circle, pitch, pixel, source, of_rows, *limits)

    in_parallel(some_blocks, at_most=max(blocks), parts_per_thread=_PARTS)
    np.add(rows[..., :width], columns[..., :height].transpose(0, 2, 1), out=pixels)


def _zeros(like: Any, height: int, width: int) -> Any:
    """Return as many images of zeros, a little apart where else the rows of a block would share a set of the cache."""
    apart = _CACHE_LINE if width % _RESONANT == 0 else 0
    return np.zeros((len(like), height, width + apart), like.dtype)
