"""Scalings and homographies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.precision import in_own_precision
from wellposed.transforms._warp import Border, Interpolation, check_resampling, projective_warp
from wellposed.transforms.base import Motion, Transform, uniform
from wellposed.transforms.rotate import rotation

__all__ = ["Homography", "Scale"]

_FOCAL_LENGTH = 2.0
_STEEPEST = 0.6


@dataclass(frozen=True)
class _Resampled(Transform):
    @property
    def exact(self) -> bool:
        """False: images are interpolated."""
        return False


@final
@dataclass(frozen=True)
class Scale(_Resampled):
    r"""Magnify images about their centre, :math:`(T_s x)(p) = x(p / s)`.

    Parameters
    ----------
    limit : float
        The largest s; the logarithm of s is uniform between -log(limit) and log(limit).
    border : {"reflection", "border", "zeros"}
        What lies beyond the image.
    interpolation : {"bilinear", "bicubic", "nearest"}
    per_image : bool

    Raises
    ------
    ArgumentError
        If the limit is not above 1 and finite.
    UnknownNameError
        If there is no such border or interpolation.

    References
    ----------
    Scanvic, Davies, Abry, Tachella, *Self-supervised learning for image super-resolution and deblurring*,
    arXiv:2312.11232.

    Examples
    --------
    >>> Scale(limit=1.5)(torch.ones(1, 1, 4, 4)).mean()
    tensor(1.)
    """

    limit: float = 2.0
    border: Border = "reflection"
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        _check_zoom("Scale", "limit", self.limit, above=1)
        check_resampling(self.border, self.interpolation)

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        return projective_warp(
            _magnification(_factor(x, count, self.limit, generator)), self.border, self.interpolation
        )


@final
@dataclass(frozen=True)
class Homography(_Resampled):
    r"""See the image with a camera that pans, tilts, rolls and zooms.

    .. math:: (T x)(p) = x(M^{-1} p), \qquad M = K_z R_\mathrm{roll} R_\mathrm{tilt} R_\mathrm{pan} K^{-1}

    Points are homogeneous, from the centre in halves of the longer side; the focal length in :math:`K` is 2 of them,
    :math:`K_z` has z times as much.

    Parameters
    ----------
    tilt : float
        The largest angle of panning and of tilting, in radians, to either side; between 0 and 0.6.
    roll : float
        The largest angle of rolling, in radians, to either side.
    zoom : float
        The largest magnification, at least 1; its logarithm is uniform.
    border : {"reflection", "border", "zeros"}
        What lies beyond the image.
    interpolation : {"bilinear", "bicubic", "nearest"}
    per_image : bool

    Raises
    ------
    ArgumentError
        If an angle or the zoom is out of its range.
    UnknownNameError
        If there is no such border or interpolation.

    References
    ----------
    Wang, Davies, *Perspective-equivariance for unsupervised imaging with camera geometry*, arXiv:2403.09327.
    Hartley, Zisserman, *Multiple View Geometry in Computer Vision*, 2nd ed., Cambridge 2004, section 8.4.

    Examples
    --------
    >>> Homography()(torch.rand(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    tilt: float = 0.3
    roll: float = math.pi
    zoom: float = 1.2
    border: Border = "reflection"
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if not 0 <= self.tilt <= _STEEPEST:
            raise ArgumentError(f"Homography expects a tilt between 0 and {_STEEPEST} radians, got {self.tilt!r}.")
        if not 0 <= self.roll <= math.pi:
            raise ArgumentError(f"Homography expects a roll between 0 and pi, in radians, got {self.roll!r}.")
        _check_zoom("Homography", "zoom", self.zoom, above=None)
        check_resampling(self.border, self.interpolation)

    @in_own_precision
    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        angles = 2 * uniform(x, 3, count, generator=generator) - 1
        pan, tilt = rotation(self.tilt * angles[0]), rotation(self.tilt * angles[1])
        turn = rotation(self.roll * angles[2]) @ _about(tilt, axis=0) @ _about(pan, axis=1)
        lens = _magnification(turn.new_full((1,), _FOCAL_LENGTH))
        zoomed = _magnification(_FOCAL_LENGTH * _factor(x, count, self.zoom, generator))
        return projective_warp(zoomed @ turn @ torch.linalg.inv(lens), self.border, self.interpolation)


def _factor(x: Tensor, count: int, limit: float, generator: torch.Generator | None) -> Tensor:
    return (math.log(limit) * (2 * uniform(x, count, generator=generator) - 1)).exp()


def _magnification(factor: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([factor, factor, torch.ones_like(factor)], dim=-1))


def _about(turn: Tensor, *, axis: int) -> Tensor:
    """Return a rotation about the third axis as one about another."""
    return turn.roll((axis + 1, axis + 1), dims=(-2, -1))


def _check_zoom(owner: str, name: str, value: float, *, above: float | None) -> None:
    if not (math.isfinite(value) and (value >= 1 if above is None else value > above)):
        bound = "of at least 1" if above is None else f"above {above:g}"
        raise ArgumentError(f"{owner} expects a finite {name} {bound}, got {value!r}.")
