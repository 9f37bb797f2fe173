"""The rays of a plane as lines through an image: what every projector, compiled or not, follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Plane:
    """The sizes of an image and of a detector in its plane, all in pixels.

    A ray u of the view at angle t is the line x v_y - y v_x = u, v = (-sin t, cos t) + u divergence (cos t, sin t),
    where u is its distance from the centre of rotation, measured along the detector's axis (cos t, sin t); x is to the
    right and y upwards, from the centre of the image. Parallel rays have no divergence; those from a point have the
    inverse of its distance.
    """

    height: int
    width: int
    bins: int
    pitch: float
    divergence: float


class Lines(NamedTuple):
    """Where rays cross the rows, or columns, of an image; each of shape (P, A, bins).

    A ray crosses row k between two pixels, at column start + slope k, or column k at row start + slope k if it is
    nearer the horizontal.
    """

    start: Tensor
    slope: Tensor
    along_rows: Tensor

    def length(self) -> Tensor:
        """Return what of each ray lies between one row, or column, and the next, with an axis for the channels."""
        return (1 + self.slope.square()).sqrt()[:, None]


class Weights(Enum):
    """What the two pixels between which a line passes are multiplied with: numbers that the compiled code knows."""

    value = 0
    """Their shares of the linear interpolation."""
    start = 1
    """The derivatives of those in the start of the line."""
    slope = 2
    """The derivatives of those in its slope."""


def lines(plane: Plane, angles: Tensor, first: Tensor) -> Lines:
    """Return the lines of all rays, differentiable in the geometry.

    Parameters
    ----------
    plane : Plane
    angles : Tensor, shape (P, A)
    first : Tensor, shape (P, A)
        Where the first ray of each view lies: u of detector element 0, in pixels.
    """
    cosine, sine = angles.cos()[..., None], angles.sin()[..., None]
    u = first[..., None] + plane.pitch * torch.arange(plane.bins, dtype=angles.dtype, device=angles.device)
    v_x = plane.divergence * u * cosine - sine
    v_y = plane.divergence * u * sine + cosine
    along_rows = v_y.abs() >= v_x.abs()
    centre_x, centre_y = (plane.width - 1) / 2, (plane.height - 1) / 2
    along, across = torch.where(along_rows, v_y, v_x), torch.where(along_rows, v_x, v_y)
    here = torch.where(along_rows, centre_x, centre_y).to(u.dtype)
    there = centre_x + centre_y - here
    slope = -across / along
    start = here + u / along - there * slope
    return Lines(start, slope, along_rows)
