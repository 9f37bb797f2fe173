"""The third dimension: what the detectors of volumes share, and resampling along it."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.operators.tomography._checks import check_positive

__all__ = ["along_depth", "checked_rows", "heights", "resampling"]


def checked_rows(
    owner: str,
    depth: int,
    slice_spacing: float | None,
    pixel_size: float,
    n_rows: int | None,
    row_pitch: float,
    row_offset: float,
    scale: float,
) -> tuple[float, int]:
    """Return the spacing of the slices, that of the pixels unless told, and the rows that see all of the volume."""
    spacing = pixel_size if slice_spacing is None else slice_spacing
    check_positive(owner, slice_spacing=spacing, row_pitch=row_pitch)
    shadow = depth * spacing * scale + 2 * abs(row_offset)
    rows = math.ceil(shadow / row_pitch - 1e-6) if n_rows is None else n_rows
    check_whole(owner, "n_rows", rows, least=1)
    cut = shadow - rows * row_pitch
    if cut > row_pitch:
        warnings.warn(
            f"{owner}: the shadow of the volume is up to {cut:.4g} higher than the detector, {rows} rows of "
            f"{row_pitch:g} (in the unit of pixel_size), and the rest is not measured: harmless where the volume is "
            "zero, else raise n_rows.",
            stacklevel=4,
        )
    return spacing, rows


def heights(count: int, spacing: float, offset: float, like: Tensor) -> Tensor:
    """Return how high the elements of a column lie, (count,), of whose middle the height is `offset`."""
    return offset + spacing * (torch.arange(count, dtype=like.dtype, device=like.device) - (count - 1) / 2)


def resampling(depth: int, positions: Tensor) -> Tensor:
    """Return the matrix (R, depth) that takes values at whole indices to fractional ones, linearly; zero beyond."""
    indices = torch.arange(depth, dtype=positions.dtype, device=positions.device)
    return (1 - (positions[:, None] - indices).abs()).clamp_min(0)


def along_depth(matrix: Tensor, values: Tensor) -> Tensor:
    """Apply a matrix (R, D) to the second axis of values (N, D, A, n): shape (N, R, A, n)."""
    return (matrix @ values.flatten(2)).unflatten(2, values.shape[2:])
