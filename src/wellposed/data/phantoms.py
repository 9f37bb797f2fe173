"""Phantoms: bodies made of ellipses or ellipsoids, whose pictures and whose line integrals are known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError

__all__ = ["SHEPP_LOGAN", "SHEPP_LOGAN_STANDARD", "Ellipse", "draw_ellipses", "integrate_ellipses", "shepp_logan"]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse, or an ellipsoid, of one value; bodies that overlap add up.

    Parameters
    ----------
    value : float
    centre : tuple of float, (x, y) or (x, y, z)
        x to the right, y upwards, z along the depth; one is half of the image's width.
    axes : tuple of float, (a, b) or (a, b, c)
        Half axes, in the same unit.
    angle : float
        By how much its first axis is turned from the x axis towards the y axis, in radians.

    Raises
    ------
    ArgumentError
        If it has not two or three dimensions, or an axis is not above zero.
    """

    value: float
    centre: tuple[float, ...]
    axes: tuple[float, ...]
    angle: float = 0.0

    def __post_init__(self) -> None:
        """Check the dimensions."""
        if len(self.centre) != len(self.axes) or len(self.axes) not in (2, 3) or min(self.axes) <= 0:
            raise ArgumentError(
                "Ellipse expects a centre and axes above zero of two or three numbers each, got "
                f"{self.centre} and {self.axes}."
            )

    def _to_unit_ball(self, vectors: Tensor) -> Tensor:
        """Turn and scale vectors (..., 2 or 3) as makes the body, at the origin, the unit ball."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        turned = [
            vectors[..., 0] * cosine + vectors[..., 1] * sine,
            vectors[..., 1] * cosine - vectors[..., 0] * sine,
            *vectors[..., 2:].unbind(-1),
        ]
        return torch.stack([part / axis for part, axis in zip(turned, self.axes, strict=True)], dim=-1)

    def _chords(self, points: Tensor, directions: Tensor) -> Tensor:
        """Return how long each line, through a point along a unit vector, is inside."""
        start = self._to_unit_ball(points - torch.tensor(self.centre, dtype=points.dtype, device=points.device))
        step = self._to_unit_ball(directions)
        square = step.square().sum(-1)
        half = (start * step).sum(-1)
        return 2 * (half.square() - square * (start.square().sum(-1) - 1)).clamp(min=0).sqrt() / square


def draw_ellipses(ellipses: Sequence[Ellipse], image_shape: tuple[int, ...], *, oversampling: int = 4) -> Tensor:
    """Return the picture of some bodies, each pixel the mean of several points in it.

    Parameters
    ----------
    ellipses : sequence of Ellipse
        Of two dimensions for an image, of three for a volume.
    image_shape : tuple of int, (H, W) or (D, H, W)
    oversampling : int
        How many points along each side of a pixel.

    Returns
    -------
    Tensor, shape (1, 1, H, W) or (1, 1, D, H, W)

    Raises
    ------
    ShapeError
        If the bodies have another number of dimensions than the image.

    Examples
    --------
    >>> disk = Ellipse(value=2.0, centre=(0.0, 0.0), axes=(0.5, 0.5))
    >>> picture = draw_ellipses([disk], (64, 64))
    >>> picture.shape, round(picture.mean().item(), 2), round(2 * math.pi * 0.25 / 4, 2)
    (torch.Size([1, 1, 64, 64]), 0.39, 0.39)
    """
    check_whole("draw_ellipses", "oversampling", oversampling, least=1)
    _check_dimensions("draw_ellipses", ellipses, len(image_shape))
    picture = torch.zeros(image_shape)
    half_width = image_shape[-1] / 2
    offsets = (torch.arange(oversampling) + 0.5) / oversampling - 0.5
    for shift in torch.cartesian_prod(*[offsets] * len(image_shape)).reshape(-1, len(image_shape)):
        axes = [
            (torch.arange(size) - (size - 1) / 2 + move) / half_width
            for size, move in zip(image_shape, shift, strict=True)
        ]
        grids = torch.meshgrid(*axes, indexing="ij")
        points = torch.stack([grids[-1], -grids[-2], *grids[:-2]], dim=-1)
        for body in ellipses:
            inside = body._to_unit_ball(points - torch.tensor(body.centre)).square().sum(-1) <= 1
            picture += body.value * inside
    return (picture / oversampling ** len(image_shape))[None, None]


def integrate_ellipses(ellipses: Sequence[Ellipse], beam: Any) -> Tensor:
    """Return the exact line integrals of some bodies, as large as `draw_ellipses` draws them in the beam's images.

    Parameters
    ----------
    ellipses : sequence of Ellipse
    beam : ParallelBeam2D, FanBeam2D, ParallelBeam3D or ConeBeam3D

    Returns
    -------
    Tensor, shape (B or 1, 1, *beam.measurement_shape[1:])

    Raises
    ------
    UnsupportedError
        If the operator has no rays.
    ShapeError
        If the bodies have another number of dimensions than the beam's images.

    Examples
    --------
    >>> from wellposed.operators import ParallelBeam2D
    >>> disk = Ellipse(value=2.0, centre=(0.0, 0.0), axes=(0.5, 0.5))
    >>> integrate_ellipses([disk], ParallelBeam2D(torch.zeros(1), (1, 64, 64), n_detectors=65)).max().item()
    64.0
    """
    if not hasattr(beam, "rays"):
        raise UnsupportedError(f"integrate_ellipses needs an operator with rays, and {type(beam).__name__} has none.")
    points, directions = beam.rays()
    _check_dimensions("integrate_ellipses", ellipses, points.shape[-1])
    unit = beam.pixel_size * beam.image_shape[-1] / 2
    total = torch.zeros(points.shape[:-1], dtype=points.dtype, device=points.device)
    for body in ellipses:
        total = total + body.value * unit * body._chords(points / unit, directions)
    return total[:, None]


def shepp_logan(image_shape: tuple[int, ...], *, modified: bool = True) -> Tensor:
    """Return the head phantom of Shepp and Logan, in the plane or in space.

    Parameters
    ----------
    image_shape : tuple of int, (H, W) or (D, H, W)
    modified : bool
        Use Toft's values, in [0, 1] and of high contrast; else the first ones, where the brain is at 1.02 of [0, 2].

    Returns
    -------
    Tensor, shape (1, 1, H, W) or (1, 1, D, H, W)

    References
    ----------
    Shepp and Logan, *The Fourier reconstruction of a head section*, IEEE Trans. Nucl. Sci. 21 (1974). Toft, *The Radon
    transform: theory and implementation*, PhD thesis, DTU (1996). Schabel, *3D Shepp-Logan phantom* (2006), for the
    ellipsoids.

    Examples
    --------
    >>> shepp_logan((64, 64)).shape, shepp_logan((8, 16, 16)).shape
    (torch.Size([1, 1, 64, 64]), torch.Size([1, 1, 8, 16, 16]))
    """
    if len(image_shape) not in (2, 3):
        raise ShapeError(
            f"shepp_logan expects the shape (H, W) of an image or (D, H, W) of a volume, got {image_shape}."
        )
    bodies = SHEPP_LOGAN if modified else SHEPP_LOGAN_STANDARD
    return draw_ellipses(bodies[len(image_shape)], image_shape)


def _check_dimensions(owner: str, ellipses: Sequence[Ellipse], dimensions: int) -> None:
    if any(len(body.axes) != dimensions for body in ellipses):
        raise ShapeError(f"{owner} needs bodies of {dimensions} dimensions, as the image has, got others.")


_MODIFIED = (1.0, -0.8, -0.2, -0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
_STANDARD = (2.0, -0.98, -0.02, -0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01)
_BODIES = (
    ((0.0, 0.0, 0.0), (0.69, 0.92, 0.81), 0.0),
    ((0.0, -0.0184, 0.0), (0.6624, 0.874, 0.78), 0.0),
    ((0.22, 0.0, 0.0), (0.11, 0.31, 0.22), -18.0),
    ((-0.22, 0.0, 0.0), (0.16, 0.41, 0.28), 18.0),
    ((0.0, 0.35, -0.15), (0.21, 0.25, 0.41), 0.0),
    ((0.0, 0.1, 0.25), (0.046, 0.046, 0.05), 0.0),
    ((0.0, -0.1, 0.25), (0.046, 0.046, 0.05), 0.0),
    ((-0.08, -0.605, 0.0), (0.046, 0.023, 0.05), 0.0),
    ((0.0, -0.606, 0.0), (0.023, 0.023, 0.02), 0.0),
    ((0.06, -0.605, 0.0), (0.023, 0.046, 0.02), 0.0),
)


def _bodies(values: tuple[float, ...], dimensions: int) -> tuple[Ellipse, ...]:
    return tuple(
        Ellipse(value, centre[:dimensions], axes[:dimensions], math.radians(degrees))
        for value, (centre, axes, degrees) in zip(values, _BODIES, strict=True)
    )


SHEPP_LOGAN: dict[int, tuple[Ellipse, ...]] = {n: _bodies(_MODIFIED, n) for n in (2, 3)}
"""The bodies of the modified phantom, by number of dimensions."""

SHEPP_LOGAN_STANDARD: dict[int, tuple[Ellipse, ...]] = {n: _bodies(_STANDARD, n) for n in (2, 3)}
"""The bodies of the standard phantom, by number of dimensions."""
