"""What sizes and detectors may be."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.shapes import fixed_shape
from wellposed.operators.tomography._lines import Plane

__all__ = ["check_positive", "check_source", "checked_image_shape", "warn_if_cut_off"]


def check_source(
    owner: str, source_distance: float, detector_distance: float, size: tuple[int, int], pixel_size: float
) -> None:
    """Raise `ArgumentError` unless the source is outside the circle around the image, and the detector behind it."""
    check_positive(owner, source_distance=source_distance)
    radius = (math.hypot(*size) / 2 + 1) * pixel_size
    if source_distance <= radius:
        raise ArgumentError(
            f"{owner}: a source at {source_distance:g} from the centre is inside the image, whose corners are up to "
            f"{radius:g} away (with a pixel around): move it out, in the unit of pixel_size {pixel_size:g}."
        )
    if not 0 <= detector_distance < math.inf:
        raise ArgumentError(f"{owner} expects detector_distance to be zero or more, got {detector_distance!r}.")


def check_positive(owner: str, **values: Any) -> None:
    """Raise `ArgumentError` unless each number is finite and above zero."""
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ArgumentError(f"{owner} expects {name} to be a number above zero, got {value!r}.")


def checked_image_shape(owner: str, image_shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Return an image shape with the given axes, all of known size, such as "C, H, W"."""
    sizes = fixed_shape(owner, image_shape)
    if len(sizes) != len(axes.split(",")) or None in sizes:
        raise ShapeError(f"{owner} expects an image shape ({axes}) with all its sizes, got {sizes}.")
    return sizes


def warn_if_cut_off(owner: str, plane: Plane, angles: Tensor, first: Tensor, *, unit: float) -> None:
    """Warn if the detector lacks more than an element of the image's shadow, and say how much, in `unit` a pixel."""
    last = first + plane.pitch * (plane.bins - 1)
    corners = torch.tensor([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)], dtype=angles.dtype).to(angles.device)
    x, y = corners[:, 0, None, None] * plane.width, corners[:, 1, None, None] * plane.height
    cosine, sine = angles.cos(), angles.sin()
    shadow = (x * cosine + y * sine) / (1 - plane.divergence * (x * sine - y * cosine))
    low = (first - plane.pitch / 2 - shadow.amin(0)).clamp(min=0)
    high = (shadow.amax(0) - last - plane.pitch / 2).clamp(min=0)
    cut = float((low + high).max())
    if cut > plane.pitch:
        warnings.warn(
            f"{owner}: the shadow of the image is {cut * unit:.4g} wider than the detector, {plane.bins} elements of "
            f"{plane.pitch * unit:g} (in the unit of pixel_size), and the rest is not measured: harmless where the "
            "image is zero, else raise n_detectors.",
            stacklevel=5,
        )
