"""The third dimension: what the detectors of volumes share, and resampling along it."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.operators.tomography._checks import check_positive

__all__ = ["checked_rows", "heights", "interpolate", "spread"]


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


def interpolate(values: Tensor, positions: Tensor) -> Tensor:
    """Return values (N, D, ...) at fractional indices (R,), zero beyond them: shape (N, R, ...)."""
    lower, right = _neighbours(values.shape[1], positions)
    padded = torch.nn.functional.pad(values, (0, 0) * (values.ndim - 2) + (1, 2))
    right = right.reshape(-1, *[1] * (values.ndim - 2))
    return padded.index_select(1, lower) * (1 - right) + padded.index_select(1, lower + 1) * right


def spread(values: Tensor, positions: Tensor, depth: int) -> Tensor:
    """Return the exact transpose of `interpolate`: shape (N, depth, ...)."""
    lower, right = _neighbours(depth, positions)
    right = right.reshape(-1, *[1] * (values.ndim - 2))
    padded = values.new_zeros(values.shape[0], depth + 3, *values.shape[2:])
    padded = padded.index_add(1, lower, values * (1 - right)).index_add(1, lower + 1, values * right)
    return padded[:, 1:-2]


def _neighbours(depth: int, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index below each position, counted from a margin of one before, and the share of the next one."""
    inside = positions.clamp(-1, depth) + 1
    lower = inside.floor()
    return lower.long(), inside - lower
