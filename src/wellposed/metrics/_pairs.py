"""What every metric checks before it compares: two images of one shape and kind, and a data range that is given."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.core.shapes import check_tree


def check_pair(metric: str, x_hat: Tensor, x: Tensor) -> None:
    """Raise unless both are images (B, C, H, W) or volumes (B, C, D, H, W) of one shape, both real or both complex."""
    for image in (x_hat, x):
        is_volume = getattr(image, "ndim", 4) == 5
        check_tree(metric, "images", image, (None,) * (4 if is_volume else 3))
    if x_hat.shape != x.shape:
        raise ShapeError(
            f"{metric} compares images of one shape, got {tuple(x_hat.shape)} and {tuple(x.shape)}: "
            "nothing is broadcast; use x.expand_as(x_hat) where that is meant."
        )
    if x_hat.is_complex() != x.is_complex():
        raise DTypeError(
            f"{metric} compares two real or two complex images, got {x_hat.dtype} and {x.dtype}: "
            "compare the magnitudes with .abs(), or make the real image complex."
        )


def checked_range(metric: str, data_range: Tensor | float, x: Tensor) -> Tensor:
    """Return the data range as a positive real tensor of shape () or (B,) on the device of `x`."""
    if isinstance(data_range, Tensor):
        if data_range.shape not in {(), (x.shape[0],)}:
            raise ShapeError(
                f"{metric} expects data_range to be a number or one value per image of shape ({x.shape[0]},), "
                f"got {tuple(data_range.shape)}."
            )
        valid = bool(((data_range > 0) & torch.isfinite(data_range)).all())
    else:
        valid = math.isfinite(data_range) and data_range > 0
    if not valid:
        raise ArgumentError(
            f"{metric} expects a positive data_range, the largest possible value minus the smallest, got {data_range}."
        )
    return torch.as_tensor(data_range, device=x.device, dtype=real_dtype(x.dtype))
