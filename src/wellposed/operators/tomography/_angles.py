"""What angles may be."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.shapes import check_tensor
from wellposed.core.values import has_values

__all__ = ["checked_angles"]

_MOST = 4 * math.pi


def checked_angles(owner: str, angles: Tensor) -> Tensor:
    """Return angles of shape (B or 1, A), or say what is wrong with them; (A,) becomes (1, A).

    Raises
    ------
    DTypeError
        If they are no tensor.
    ShapeError
        If they have another shape.
    ArgumentError
        If one of them is not finite, or they are not real.
    """
    check_tensor(owner, "angles", angles)
    if angles.ndim == 1 and not isinstance(angles, torch.nn.Parameter):
        angles = angles[None]
    if angles.ndim != 2 or angles.numel() == 0:
        raise ShapeError(f"{owner} expects angles of shape (A,), or (B or 1, A), got {tuple(angles.shape)}.")
    if angles.is_complex():
        raise ArgumentError(f"{owner} expects real angles, got {angles.dtype}.")
    if has_values(angles):
        if not bool(torch.isfinite(angles).all()):
            raise ArgumentError(f"{owner} expects finite angles, got NaN or infinity.")
        largest = float(angles.detach().abs().max())
        if largest > _MOST:
            warnings.warn(
                f"{owner} takes angles in radians and got one of {largest:g}, more than two full turns: if they are in "
                "degrees, convert them with wellposed.data.degrees(angles).",
                stacklevel=4,
            )
    return angles
