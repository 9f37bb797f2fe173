"""Local operators, restricted to a window of the image."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import NamedTuple, cast

from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.shapes import Shape
from wellposed.core.tree import Tree
from wellposed.operators.algebra import Compose, Scaled, Stack, Sum
from wellposed.operators.base import LinearOperator
from wellposed.operators.bayer import BayerMosaic
from wellposed.operators.blur import Blur
from wellposed.operators.downsample import Downsample
from wellposed.operators.identity import Identity
from wellposed.operators.mask import Mask
from wellposed.operators.spectral_response import SpectralResponse

__all__ = ["Region", "RegionTree", "cut", "cut_tree", "grid_step", "window"]


class Region(NamedTuple):
    """Pixels of an image: the product of some rows and some columns, in order but not without gaps."""

    rows: Tensor
    columns: Tensor


RegionTree = Region | tuple["RegionTree", ...]
"""The pixels of measurements: one region, or one for each part of a tuple, which is no `Region`."""

Windowed = tuple[LinearOperator, RegionTree]


@singledispatch
def window(operator: LinearOperator, region: Region) -> Windowed:  # noqa: ARG001
    """Return the operator on a window of the image, and which measurements are those of the window.

    It is exact where the window has neighbours enough; measurements near a gap, or near an end of the window that is
    no end of the image, are those of the image, and not of the window.

    Parameters
    ----------
    operator : LinearOperator
        On images (C, H, W).
    region : Region
        The window; gaps and ends are multiples of `grid_step` apart.

    Raises
    ------
    UnsupportedError
        If the operator is not local, or does not say so.
    """
    raise UnsupportedError(
        f"{type(operator).__name__} is not known to be local, so that no window of the image can be recovered "
        "from a window of the measurements: give the whole image to the model itself."
    )


def cut(value: Tensor, region: Region) -> Tensor:
    """Return the pixels of a region of images (..., H, W); axes of one pixel stay."""
    for axis, index in ((-2, region.rows), (-1, region.columns)):
        if value.shape[axis] > 1:
            value = value.index_select(axis, index.to(value.device))
    return value


def grid_step(operator: LinearOperator) -> int:
    """Return how many pixels the windows of an operator must be apart."""
    if isinstance(operator, Downsample):
        return operator.factor
    if isinstance(operator, BayerMosaic):
        return 2
    if isinstance(operator, Scaled):
        return grid_step(operator.operator)
    if isinstance(operator, Compose):
        return grid_step(operator.outer) * grid_step(operator.inner)
    if isinstance(operator, (Stack, Sum)):
        return math.lcm(*(grid_step(part) for part in _parts(operator)))
    return 1


@window.register
def _(operator: Identity, region: Region) -> Windowed:
    return Identity(_cut_shape(operator.image_shape, region)).to(operator.device, operator.dtype), region


@window.register
def _(operator: Mask, region: Region) -> Windowed:
    return Mask(cut(operator.mask, region), _cut_shape(operator.image_shape, region)), region


@window.register
def _(operator: BayerMosaic, region: Region) -> Windowed:
    down, right = (int(index[0]) % 2 for index in region)
    pattern = "".join(operator.pattern[2 * ((i + down) % 2) + (j + right) % 2] for i in range(2) for j in range(2))
    part = BayerMosaic(_cut_shape(operator.image_shape, region), pattern)  # type: ignore[arg-type]
    return part.to(operator.device, operator.dtype), region


@window.register
def _(operator: Blur, region: Region) -> Windowed:
    part = Blur(operator.kernel, _cut_shape(operator.image_shape, region), operator.padding, operator.method)
    _, height, width = part.measurement_shape
    return part, Region(region.rows[:height], region.columns[:width])


@window.register
def _(operator: Downsample, region: Region) -> Windowed:
    part = Downsample(operator.factor, _cut_shape(operator.image_shape, region), operator.filter)
    return part, Region(*(index[:: operator.factor] // operator.factor for index in region))


@window.register
def _(operator: SpectralResponse, region: Region) -> Windowed:
    return SpectralResponse(operator.response, _cut_shape(operator.image_shape, region)), region


@window.register
def _(operator: Scaled, region: Region) -> Windowed:
    part, seen = window(operator.operator, region)
    return Scaled(part, operator.scale), seen


@window.register
def _(operator: Compose, region: Region) -> Windowed:
    inner, between = window(operator.inner, region)
    outer, seen = window(operator.outer, cast("Region", between))
    return outer @ inner, seen


@window.register
def _(operator: Stack, region: Region) -> Windowed:
    parts, seen = zip(*(window(part, region) for part in _parts(operator)), strict=True)
    return Stack(parts), tuple(seen)


@window.register
def _(operator: Sum, region: Region) -> Windowed:
    parts, seen = zip(*(window(part, region) for part in _parts(operator)), strict=True)
    return Sum(parts), seen[0]


def cut_tree(y: Tree, regions: RegionTree) -> Tree:
    """Return the measurements in their regions."""
    if isinstance(regions, Region):
        return cut(cast("Tensor", y), regions)
    return tuple(cut_tree(part, region) for part, region in zip(y, regions, strict=True))


def _parts(operator: Stack | Sum) -> list[LinearOperator]:
    return cast("list[LinearOperator]", list(operator.operators))


def _cut_shape(shape: Shape, region: Region) -> tuple[int, ...]:
    return cast("tuple[int, ...]", (shape[0], len(region.rows), len(region.columns)))
