"""Motions that resample an image at moved points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.core.errors import ShapeError
from wellposed.core.names import check_name
from wellposed.core.precision import in_own_precision
from wellposed.transforms.base import Motion

Border: TypeAlias = Literal["reflection", "border", "zeros"]
Interpolation: TypeAlias = Literal["bilinear", "bicubic", "nearest"]
Points: TypeAlias = Callable[[Tensor], Tensor]
"""A map of points (1 or B, H, W, 2): to the right and down, from the centre, in halves of the longer side."""


class Warp(Motion):
    """Fetch each pixel's value from another point, by interpolation.

    Compositions of warps compose the maps of points and interpolate once.

    Parameters
    ----------
    source : callable
        Where the value at each point comes from.
    target : callable
        Its inverse: where the value at each point goes to.
    """

    exact = False

    def __init__(self, source: Points, target: Points, border: Border, interpolation: Interpolation) -> None:
        self.source, self.target, self.border, self.interpolation = source, target, border, interpolation

    def __call__(self, x: Tensor) -> Tensor:
        images = x.flatten(1, -3)
        channels = complex_to_channels(images) if images.is_complex() else images
        points = self.source(centred_points(channels))
        if len(points) not in (1, len(x)):
            raise ShapeError(f"a motion drawn for {len(points)} images got {len(x)}: draw one for these.")
        sizes = torch.tensor(x.shape[:-3:-1], dtype=points.dtype, device=x.device)
        grid = points * (sizes.max() / (sizes - 1).clamp_min(1))
        moved = grid_sample(
            channels, grid.expand(len(x), -1, -1, -1), self.interpolation, self.border, align_corners=True
        )
        return (channels_to_complex(moved) if x.is_complex() else moved).reshape(x.shape)

    def inverse(self) -> Warp:
        return Warp(self.target, self.source, self.border, self.interpolation)

    def __matmul__(self, first: Motion) -> Motion:
        if not isinstance(first, Warp):
            return super().__matmul__(first)
        mine, theirs = self, first
        return Warp(
            lambda points: theirs.source(mine.source(points)),
            lambda points: mine.target(theirs.target(points)),
            self.border,
            self.interpolation,
        )


def check_resampling(border: str, interpolation: str) -> None:
    check_name("border", border, ("reflection", "border", "zeros"))
    check_name("interpolation", interpolation, ("bilinear", "bicubic", "nearest"))


def centred_points(x: Tensor) -> Tensor:
    """Return where the pixels of real images lie, shape (1, H, W, 2)."""
    height, width = x.shape[-2:]
    half = max(height, width) / 2
    down = (torch.arange(height, dtype=x.dtype, device=x.device) - (height - 1) / 2) / half
    right = (torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2) / half
    return torch.stack(torch.meshgrid(right, down, indexing="xy"), dim=-1)[None]


def projective_warp(matrix: Tensor, border: Border, interpolation: Interpolation) -> Warp:
    """Return the warp that moves points by matrices (B or 1, 3, 3) in homogeneous coordinates."""
    return Warp(_projection(torch.linalg.inv(matrix)), _projection(matrix), border, interpolation)


def _projection(matrix: Tensor) -> Points:
    @in_own_precision
    def project(points: Tensor) -> Tensor:
        moved = points @ matrix[:, None, :, :2].mT + matrix[:, None, None, :, 2]
        return moved[..., :2] / moved[..., 2:]

    return project
